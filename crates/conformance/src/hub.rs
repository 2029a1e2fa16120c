//! The hub under test: our own program on a free port, or any hub that `TALARIA_HUB_URL` names.
//!
//! The suite assumes two things about the program: in `home`, the verb `run` and the variables of the
//! official image; here, a log line with `listening` and the address.

use std::net::{SocketAddr, TcpStream};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::client::Client;
use crate::home::Process;
pub use crate::home::{Home, PUBLISHER_KEY, SUBSCRIBER_KEY, program};
use crate::log::Log;
use crate::token::{ISSUER, Matcher, Token, exact};
use crate::{HUB_PATH, PATIENCE};

/// The directives of most tests: every client may subscribe, and there is a history.
pub const ORDINARY: &str = "anonymous\ntransport memory";

/// A hub that answers at [`Hub::address`].
pub struct Hub {
    /// Where it listens.
    pub address: SocketAddr,
    /// The value of `Host` that reaches its site.
    pub host: String,
    /// The resource identifier that tokens must name (B-420).
    pub audience: String,
    /// Its standard error, line by line; empty for an external hub.
    pub log: Log,
    keys: [String; 2],
    process: Option<Process>,
}

impl Hub {
    /// A hub with [`ORDINARY`] directives: the external one, if the environment names one.
    #[must_use]
    pub fn ordinary() -> Self {
        match std::env::var("TALARIA_HUB_URL") {
            Ok(url) => Self::external(&url),
            Err(_) => Self::start(ORDINARY),
        }
    }

    /// Our own program with these lines in its `mercure` block.
    #[must_use]
    pub fn start(directives: &str) -> Self {
        Self::start_on("http://127.0.0.1:0", directives)
    }

    /// Our own program with the two key variables and these lines alone, so that no issuer is named
    /// and both generations of the protocol are spoken.
    #[must_use]
    pub fn classic(directives: &str) -> Self {
        match Home::new().start("http://127.0.0.1:0", directives, &[]) {
            Ok(hub) => hub,
            Err(said) => panic!("the hub named no address it listens on; it said:\n{said}"),
        }
    }

    /// Our own program on the site address `server_name`, with these lines in its `mercure` block.
    #[must_use]
    pub fn start_on(server_name: &str, directives: &str) -> Self {
        match Home::new().launch(server_name, directives) {
            Ok(hub) => hub,
            Err(said) => panic!("the hub named no address it listens on; it said:\n{said}"),
        }
    }

    fn external(url: &str) -> Self {
        let key = std::env::var("TALARIA_HUB_KEY")
            .unwrap_or_else(|_| "!ChangeThisMercureHubJWTSecretKey!".to_owned());
        let parsed = url::Url::parse(url).expect("TALARIA_HUB_URL is a URL");
        let addresses = parsed
            .socket_addrs(|| None)
            .expect("TALARIA_HUB_URL names a host");
        Self {
            address: *addresses
                .first()
                .expect("the host of TALARIA_HUB_URL has an address"),
            host: parsed[url::Position::BeforeHost..url::Position::AfterPort].to_owned(),
            audience: url.to_owned(),
            log: Log::default(),
            keys: [key.clone(), key],
            process: None,
        }
    }

    fn at(port: u16, log: Log, process: Process) -> Self {
        let host = format!("127.0.0.1:{port}");
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            audience: format!("http://{host}{HUB_PATH}"),
            host,
            log,
            keys: [PUBLISHER_KEY.to_owned(), SUBSCRIBER_KEY.to_owned()],
            process: Some(process),
        }
    }

    /// A client that speaks HTTP/1.1 and presents no token.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(self.address, &self.host)
    }

    /// A client whose token grants publishing on every topic.
    #[must_use]
    pub fn publisher(&self) -> Client {
        self.client().bearer(&self.publisher_token(&[exact("*")]))
    }

    /// A client whose token grants reading what `matchers` match.
    #[must_use]
    pub fn subscriber(&self, matchers: &[Matcher]) -> Client {
        self.client().bearer(&self.subscriber_token(matchers))
    }

    /// A token that lives an hour and grants publishing what `matchers` match.
    #[must_use]
    pub fn publisher_token(&self, matchers: &[Matcher]) -> String {
        self.sign_as_publisher(&Token::new(&self.audience).grant("publish", matchers))
    }

    /// A token that lives an hour and grants reading what `matchers` match.
    #[must_use]
    pub fn subscriber_token(&self, matchers: &[Matcher]) -> String {
        self.sign_as_subscriber(&Token::new(&self.audience).grant("subscribe", matchers))
    }

    /// The token, signed with the publishers' key.
    #[must_use]
    pub fn sign_as_publisher(&self, token: &Token) -> String {
        token.sign(&self.keys[0])
    }

    /// The token, signed with the subscribers' key.
    #[must_use]
    pub fn sign_as_subscriber(&self, token: &Token) -> String {
        token.sign(&self.keys[1])
    }

    /// Asks the hub to stop, as an orchestrator would.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Asks the hub to stop, as a terminal would.
    pub fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("processes have positive numbers"), signal)
            .expect("the hub still runs");
    }

    /// The process number of a hub of our own.
    #[must_use]
    pub fn pid(&self) -> u32 {
        let process = self.process.as_ref();
        process
            .expect("only a hub of our own has a process")
            .child
            .id()
    }

    /// Kills the process, as a crash would.
    pub fn kill(mut self) {
        let mut process = self.process.take().expect("only a hub of our own");
        process.child.kill().expect("it is our child");
        process.child.wait().expect("it ends");
    }

    /// Asks the hub to stop, and waits until it has.
    pub async fn stop(mut self) {
        self.terminate();
        assert!(self.exit(PATIENCE).await.success());
    }

    /// Stops the hub, and returns all lines of its log: a line may follow the answer that it is about.
    pub async fn log_to_the_end(mut self) -> Vec<String> {
        self.terminate();
        assert!(self.exit(PATIENCE).await.success());
        self.log
            .find(0, PATIENCE, |line| {
                let is_last = line.ends_with("stopped") || line.contains("\"event\":\"stopped\"");
                is_last.then_some(())
            })
            .expect("it stopped");
        self.log.since(0)
    }

    /// Waits for the end of the process.
    pub async fn exit(&mut self, limit: Duration) -> ExitStatus {
        let process = self
            .process
            .as_mut()
            .expect("only a hub of our own can be waited for");
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = process.child.try_wait().expect("the hub is our child") {
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "the hub still runs after {limit:?}; it said:\n{}",
                self.log.since(0).join("\n")
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Home {
    /// Starts a hub with these lines in its `mercure` block.
    ///
    /// # Errors
    ///
    /// The lines of its log, if it did not begin to listen.
    pub fn hub(&self, directives: &str) -> Result<Hub, String> {
        self.launch("http://127.0.0.1:0", directives)
    }

    fn launch(&self, server_name: &str, directives: &str) -> Result<Hub, String> {
        let issuer = [("MERCURE_TRUSTED_ISSUERS", ISSUER)];
        self.start(server_name, directives, &issuer)
    }

    /// As [`Self::hub`], on the site address `server_name` and with these variables besides the two
    /// keys.
    ///
    /// # Errors
    ///
    /// The lines of its log, if it did not begin to listen.
    pub fn start(
        &self,
        server_name: &str,
        directives: &str,
        variables: &[(&str, &str)],
    ) -> Result<Hub, String> {
        Self::listening(self.spawn(server_name, directives, variables, Stdio::piped()))
    }

    /// As [`Self::start`], with these arguments of the verb `run` in place of a site address.
    ///
    /// # Errors
    ///
    /// The lines of its log, if it did not begin to listen.
    pub fn start_with(
        &self,
        arguments: &[&str],
        directives: &str,
        variables: &[(&str, &str)],
    ) -> Result<Hub, String> {
        let mut command = self.program();
        command.arg("run").args(arguments);
        let process = self.serve(command, "ignored", directives, variables, Stdio::piped());
        Self::listening(process)
    }

    /// As [`Self::start`], by this verb and these options of the program.
    ///
    /// # Errors
    ///
    /// The lines of its log, if it did not begin to listen.
    pub fn start_by(
        &self,
        arguments: &[&str],
        server_name: &str,
        directives: &str,
    ) -> Result<Hub, String> {
        let mut command = self.program();
        command.args(arguments);
        Self::listening(self.serve(command, server_name, directives, &[], Stdio::piped()))
    }

    /// As [`Self::start`] with the variables of [`Self::hub`] and `variables`, but the log goes to
    /// `stderr` and is not read here.
    ///
    /// # Panics
    ///
    /// When the hub does not listen within [`PATIENCE`].
    #[must_use]
    pub fn start_unread(&self, directives: &str, variables: &[(&str, &str)], stderr: Stdio) -> Hub {
        // This port was free a moment ago. The log, which would name a port that the hub chose, is
        // not read.
        let port = crate::free_port();
        let variables = [&[("MERCURE_TRUSTED_ISSUERS", ISSUER)], variables].concat();
        let server_name = format!("http://127.0.0.1:{port}");
        let process = self.spawn(&server_name, directives, &variables, stderr);
        await_port(port);
        Hub::at(port, Log::default(), process)
    }

    /// As [`Self::start_with`] on this port, where the configuration keeps the log from standard error.
    ///
    /// # Panics
    ///
    /// When the hub does not listen within [`PATIENCE`].
    #[must_use]
    pub fn start_unread_with(
        &self,
        port: u16,
        arguments: &[&str],
        directives: &str,
        variables: &[(&str, &str)],
    ) -> Hub {
        let mut command = self.program();
        command.arg("run").args(arguments);
        let process = self.serve(command, "ignored", directives, variables, Stdio::null());
        await_port(port);
        Hub::at(port, Log::default(), process)
    }

    /// As [`Self::hub`], where the process may have this many open files.
    ///
    /// # Errors
    ///
    /// The lines of its log, if it did not begin to listen.
    pub fn hub_with_files(&self, files: u64, directives: &str) -> Result<Hub, String> {
        let mut command = self.environment(Command::new("sh"));
        let script = format!("ulimit -n {files} && exec \"$0\" run");
        command.args(["-c", &script]).arg(program());
        let issuer = [("MERCURE_TRUSTED_ISSUERS", ISSUER)];
        let process = self.serve(
            command,
            "http://127.0.0.1:0",
            directives,
            &issuer,
            Stdio::piped(),
        );
        Self::listening(process)
    }

    fn listening(mut process: Process) -> Result<Hub, String> {
        let log = Log::collect((process.child.stderr.take()).expect("its standard error is ours"));
        let address: SocketAddr = log.find(0, PATIENCE, address_of)?;
        Ok(Hub::at(address.port(), log, process))
    }
}

/// Waits until a hub listens on a port, without its log.
fn await_port(port: u16) {
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < deadline, "the hub does not listen");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn address_of(line: &str) -> Option<SocketAddr> {
    if !line.contains("listening") {
        return None;
    }
    if let Ok(record) = serde_json::from_str::<serde_json::Value>(line) {
        return record["address"].as_str()?.parse().ok();
    }
    let (_, after) = line.split_once("address=")?;
    after
        .split_whitespace()
        .next()?
        .trim_matches('"')
        .parse()
        .ok()
}
