//! The log in a server, as the engine sees it.

use std::fmt;

use talaria_transport::Position;
use talaria_transport::shared::Backend;
use talaria_transport::shared::backend::{
    Attached, BackendError, Batch, Beat, Continue, Member, Outcome, Record, Records, Settled,
    Subscriptions,
};

use crate::fault::Fault;
use crate::link::Link;
use crate::options::RedisOptions;
use crate::pace::Pace;
use crate::primary::Finder;
use crate::store::Store;
use crate::survey::Survey;
use crate::tail::Tail;
use crate::tls::Tls;
use crate::{members, pages, survey, writes};

/// A log that is kept in Redis or Valkey.
pub struct Redis {
    options: RedisOptions,
    store: Store,
    tail: Tail,
    pace: Pace,
}

impl Redis {
    /// A log with these options. Nothing is asked of the server yet.
    ///
    /// # Errors
    /// [`BackendError::Fatal`] if an option cannot be used.
    pub fn new(options: RedisOptions) -> Result<Self, BackendError> {
        if options.stream.is_empty() || options.stream.contains(['{', '}']) {
            return Err(BackendError::Fatal {
                problem: format!("the name of the stream is \"{}\"", options.stream),
                remedy: "set a name that is not empty and has no braces".to_owned(),
            });
        }
        let tls = options.tls.as_ref();
        let tls = tls.map(|tls| Tls::new(tls, options.tls_again.clone()));
        let tls = tls.transpose()?;
        let link = Link::new(Finder::new(options.clone(), tls));
        Ok(Self {
            store: Store::new(link, &options),
            options,
            tail: Tail::default(),
            pace: Pace::default(),
        })
    }

    /// Finds out what the server is and how it keeps data. Called before the node attaches.
    ///
    /// # Errors
    /// [`BackendError::Fatal`] if the log cannot be kept there, [`BackendError::Away`] if the server does not answer.
    pub async fn survey(&self) -> Result<Survey, BackendError> {
        let (held, named) = self.store.link.own().await.map_err(Fault::at_start)?;
        survey::survey(&held.connection, &named, &self.options, &self.store.keys).await
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Backend for Redis {
    fn name(&self) -> &'static str {
        "redis"
    }

    async fn attach(&self, member: Member, after: Position) -> Result<Attached, BackendError> {
        writes::attach(&self.store, member, after).await
    }

    async fn append(&self, batch: &Batch) -> Result<Vec<Outcome>, BackendError> {
        writes::append(&self.store, batch).await
    }

    async fn settle(&self, member: Member, number: u64) -> Result<Settled, BackendError> {
        writes::settle(&self.store, member, number).await
    }

    async fn tail(&self, after: Position) -> Result<Vec<Record>, BackendError> {
        self.tail.read(&self.store, after).await
    }

    async fn page(
        &self,
        after: Position,
        up_to: Position,
        most_records: usize,
        most_bytes: usize,
    ) -> Result<Records, BackendError> {
        pages::page(
            &self.store,
            &self.pace,
            (after, up_to),
            most_records,
            most_bytes,
        )
        .await
    }

    async fn newest(&self, up_to: Position, most_bytes: usize) -> Result<Records, BackendError> {
        pages::newest(&self.store, &self.pace, up_to, most_bytes).await
    }

    async fn find(&self, id: &str) -> Result<Option<Position>, BackendError> {
        pages::find(&self.store, id).await
    }

    async fn beat(&self, member: Member) -> Result<Beat, BackendError> {
        members::beat(&self.store, member).await
    }

    async fn bury(&self, member: Member, counter: u64) -> Result<bool, BackendError> {
        members::bury(&self.store, member, Some(counter)).await
    }

    async fn leave(&self, member: Member) -> Result<(), BackendError> {
        members::bury(&self.store, member, None).await.map(drop)
    }

    async fn subscriptions(
        &self,
        of: Option<Member>,
        from: &Continue,
    ) -> Result<Subscriptions, BackendError> {
        members::subscriptions(&self.store, of, from).await
    }
}
