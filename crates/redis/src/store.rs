//! What all calls need: the connections, the keys, and which log the node attached to.

use std::sync::atomic::{AtomicU64, Ordering};

use redis::{Cmd, Pipeline, Value};
use talaria_transport::shared::backend::BackendError;
use talaria_transport::{Bounds, Position};

use crate::connection::checked;
use crate::fault::Fault;
use crate::keys::Keys;
use crate::link::{Held, Link, Purpose};
use crate::options::RedisOptions;
use crate::reply;
use crate::scripts::{CONFIRM, Script, UNKNOWN};

/// The number of the newest subscription events that are kept.
const MOST_EVENTS: u64 = 50_000;
/// How long to wait for replicas.
const REPLICAS_MS: u64 = 1_000;
/// No log has this tag, since a tag has 58 bits.
const NO_LOG: u64 = u64::MAX;

/// One log in one server.
pub(crate) struct Store {
    pub(crate) link: Link,
    pub(crate) keys: Keys,
    pub(crate) replicas: u32,
    max_length: u64,
    max_age: u64,
    tag: AtomicU64,
}

impl Store {
    pub(crate) fn new(link: Link, options: &RedisOptions) -> Self {
        let age = options.max_age.unwrap_or_default().as_millis();
        Self {
            link,
            keys: Keys::new(&options.stream),
            replicas: options.replicas,
            max_length: options.max_length.min(1 << 52),
            max_age: u64::try_from(age).unwrap_or(u64::MAX).min(1 << 52),
            tag: AtomicU64::new(NO_LOG),
        }
    }

    /// The tag of the log that the node attached to.
    pub(crate) fn tag(&self) -> u64 {
        self.tag.load(Ordering::Acquire)
    }

    pub(crate) fn attach(&self, tag: u64) {
        self.tag.store(tag, Ordering::Release);
    }

    /// Adds what retention keeps to the arguments of a script.
    pub(crate) fn add_limits(&self, command: &mut Cmd) {
        command
            .arg(self.max_length)
            .arg(self.max_age)
            .arg(MOST_EVENTS);
    }

    /// Runs a script on the connection for writes; returns its first word and the rest.
    pub(crate) async fn run(
        &self,
        script: &Script,
        keys: &[&str],
        arguments: impl Fn(&mut Cmd) + Send,
    ) -> Result<Said, Fault> {
        let held = self.link.shared(Purpose::Writes).await?;
        let answer = script.run(&held.connection, keys, arguments).await;
        let mut rest = reply::array(self.link.judge(&held, answer)?)?;
        if rest.is_empty() {
            return Err(Fault::Unexpected("a word and what follows"));
        }
        let word = reply::text(rest.remove(0))?;
        Ok(Said { word, rest, held })
    }

    /// Waits for the replicas to have what was written last on a connection.
    ///
    /// # Errors
    /// [`BackendError::NotDurable`] if too few confirm it in time.
    pub(crate) async fn wait_for_replicas(&self, held: &Held) -> Result<(), BackendError> {
        let answer = held.connection.ask(&self.wait()).await;
        self.are_enough(held, answer).await
    }

    fn wait(&self) -> Cmd {
        let mut command = redis::cmd("WAIT");
        command.arg(self.replicas).arg(REPLICAS_MS);
        command
    }

    async fn are_enough(
        &self,
        held: &Held,
        confirmed: Result<Value, Fault>,
    ) -> Result<(), BackendError> {
        let confirmed = self.link.judge(held, confirmed.and_then(reply::number));
        if confirmed.map_err(Fault::later)? < u64::from(self.replicas) {
            // A primary that was cut off has lost its replicas to another one.
            self.link.follow(held).await;
            return Err(BackendError::NotDurable);
        }
        Ok(())
    }

    /// Waits until as many replicas as configured have what was read or written on a connection, so that a primary that
    /// was cut off does not answer for the log. `WAIT` is about what its own connection wrote last, so something is written
    /// first. What is asked on the connection meanwhile waits too, so callers share a wait that begins after theirs.
    ///
    /// # Errors
    /// As [`Self::wait_for_replicas`].
    pub(crate) async fn confirm(&self, held: &Held) -> Result<(), BackendError> {
        if self.replicas == 0 {
            return Ok(());
        }
        let confirms = held.connection.confirms();
        confirms.join_next(self.confirm_all(held)).await
    }

    async fn confirm_all(&self, held: &Held) -> Result<(), BackendError> {
        let mut pipeline = redis::pipe();
        self.add_confirmation(&mut pipeline);
        let answers = held.connection.ask_all(&pipeline).await;
        let answers = self.link.judge(held, answers).and_then(reply::first);
        self.confirmed(held, answers.map_err(Fault::later)?).await
    }

    /// Adds two commands that confirm what those before them have read and written.
    pub(crate) fn add_confirmation(&self, pipeline: &mut Pipeline) {
        pipeline.add_command(CONFIRM.command(&[&self.keys.confirm]));
        pipeline.add_command(self.wait());
    }

    /// What the answers to these two commands say.
    ///
    /// # Errors
    /// As [`Self::wait_for_replicas`].
    pub(crate) async fn confirmed(
        &self,
        held: &Held,
        [written, replicas]: [Value; 2],
    ) -> Result<(), BackendError> {
        match checked(written) {
            Ok(_) => self.are_enough(held, checked(replicas)).await,
            Err(fault) if fault.is(UNKNOWN) => {
                let keys = [&*self.keys.confirm];
                let written = CONFIRM.run(&held.connection, &keys, |_| {}).await;
                self.link.judge(held, written).map_err(Fault::later)?;
                self.wait_for_replicas(held).await
            }
            // The server itself knows that there are too few.
            Err(fault) if fault.is("NOREPLICAS") => Err(BackendError::NotDurable),
            fault => self.link.judge(held, fault).map(drop).map_err(Fault::later),
        }
    }

    /// Confirms what a script answered, unless it did what it was asked: a primary that was cut off does not know who
    /// has entered the log since, and what was appended.
    ///
    /// # Errors
    /// As [`Self::wait_for_replicas`].
    pub(crate) async fn confirm_refusal(&self, said: &Said) -> Result<(), BackendError> {
        match said.is("ok") {
            true => Ok(()),
            false => self.confirm(&said.held).await,
        }
    }

    /// Compares the tag that is stored with that of the log that the node attached to.
    ///
    /// # Errors
    /// [`BackendError::NoLog`] if they differ.
    pub(crate) fn check_tag(&self, stored: Value) -> Result<(), BackendError> {
        let stored = checked(stored).and_then(reply::optional_text);
        match stored.map_err(Fault::later)?.map(|tag| tag.parse::<u64>()) {
            Some(Ok(tag)) if tag == self.tag() => Ok(()),
            _ => Err(BackendError::NoLog),
        }
    }
}

/// What a script answered.
pub(crate) struct Said {
    word: String,
    pub(crate) rest: Vec<Value>,
    pub(crate) held: Held,
}

impl Said {
    /// Whether the script answered with this word.
    pub(crate) fn is(&self, word: &str) -> bool {
        self.word == word
    }

    /// What follows the word "ok".
    ///
    /// # Errors
    /// What another word stands for.
    pub(crate) fn ok<const N: usize>(self) -> Result<[Value; N], BackendError> {
        match self.word.as_str() {
            "ok" => reply::first(self.rest).map_err(Fault::later),
            "nolog" => Err(BackendError::NoLog),
            "nomember" => Err(BackendError::NoMember),
            "order" => Err(BackendError::OutOfOrder),
            _ => Err(Fault::Unexpected("a word that this version knows").later()),
        }
    }
}

/// What the log keeps, from the fields `run`, `number` and `floor`.
///
/// # Errors
/// They are something else.
pub(crate) fn bounds(run: Value, number: Value, floor: Value) -> Result<Bounds, Fault> {
    let (run, number) = (reply::text(run)?, reply::text(number)?);
    let head = reply::position(&format!("{run}-{number}"))?;
    // A log to which nothing was appended has a run before the first one.
    let head = if number == "0" {
        Position::ORIGIN
    } else {
        head
    };
    let floor = reply::position(&reply::text(floor)?)?;
    Ok(Bounds { floor, head })
}
