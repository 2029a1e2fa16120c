//! The log in a server, as the engine sees it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use talaria_transport::Position;
use talaria_transport::shared::Backend;
use talaria_transport::shared::backend::{
    Attached, BackendError, Batch, Beat, Continue, Member, Outcome, Record, Records, Settled,
    Subscriptions,
};
use talaria_transport::shared::flight::Flight;
use tokio::task::JoinHandle;

use crate::fault::Fault;
use crate::link::Link;
use crate::options::PostgresOptions;
use crate::primary::Finder;
use crate::store::Store;
use crate::survey::Survey;
use crate::tail::Tail;
use crate::{chores, members, names, pages, survey, writes};

/// A log that is kept in PostgreSQL.
pub struct Postgres {
    store: Arc<Store>,
    tail: Tail,
    confirms: Flight<Result<(), BackendError>>,
    chores: Chores,
}

/// The task that does what no call asks for; it begins when a node attaches.
#[derive(Default)]
struct Chores(Mutex<Option<JoinHandle<()>>>);

impl Chores {
    fn begin(&self, store: &Arc<Store>) {
        let mut task = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let store = Arc::clone(store);
        task.get_or_insert_with(|| tokio::spawn(async move { chores::run(&store).await }));
    }
}

impl Drop for Chores {
    fn drop(&mut self) {
        let task = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = task {
            task.abort();
        }
    }
}

impl Postgres {
    /// A log with these options. Nothing is asked of the server yet.
    ///
    /// # Errors
    /// [`BackendError::Fatal`] if an option cannot be used.
    pub fn new(options: PostgresOptions) -> Result<Self, BackendError> {
        names::check_name(&options.schema)?;
        let link = Link::new(Finder::new(options.clone())?);
        Ok(Self {
            store: Arc::new(Store::new(link, options)),
            tail: Tail::default(),
            confirms: Flight::default(),
            chores: Chores::default(),
        })
    }

    /// Finds out what the server is and how it keeps data. Called before the node attaches.
    ///
    /// # Errors
    /// [`BackendError::Fatal`] if the log cannot be kept there, [`BackendError::Away`] if the server does not answer.
    pub async fn survey(&self) -> Result<Survey, BackendError> {
        let (held, version) = self.store.link.own().await.map_err(Fault::at_start)?;
        survey::survey(&self.store, &held, version).await
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres")
            .field("options", &self.store.options)
            .finish_non_exhaustive()
    }
}

impl Backend for Postgres {
    fn name(&self) -> &'static str {
        "postgres"
    }

    async fn attach(&self, member: Member, after: Position) -> Result<Attached, BackendError> {
        let attached = writes::attach(&self.store, member, after).await?;
        self.chores.begin(&self.store);
        Ok(attached)
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
        pages::page(&self.store, (after, up_to), most_records, most_bytes).await
    }

    async fn newest(&self, up_to: Position, most_bytes: usize) -> Result<Records, BackendError> {
        pages::newest(&self.store, up_to, most_bytes).await
    }

    async fn find(&self, id: &str) -> Result<Option<Position>, BackendError> {
        pages::find(&self.store, &self.confirms, id).await
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
