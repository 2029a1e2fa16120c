//! What the start finds out about the server, and refuses.

use talaria_transport::shared::backend::BackendError;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::fault::{Fault, PERMIT, fatal};
use crate::link::Held;
use crate::names;
use crate::row::read;
use crate::schema::{self, Found};
use crate::store::Store;

/// What the server is, and how it keeps data.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Survey {
    /// The version of the server, as it says it.
    pub version: String,
    /// The address of the primary.
    pub primary: String,
    /// Whether the server waits for its disk (`fsync`). If not, a power loss may damage the whole database.
    pub fsync: bool,
    /// Whether the server survives pages that were written in part (`full_page_writes`).
    pub full_page_writes: bool,
    /// What a commit waits for (`synchronous_commit`), as it is for our role.
    pub synchronous_commit: String,
    /// The standbys that a commit waits for; empty if it waits for none.
    pub synchronous_standby_names: String,
    /// How many standbys are connected.
    pub standbys: u64,
    /// The bytes that the log takes; `None` if there is no log yet.
    pub bytes: Option<u64>,
    /// Whether a pooler (PgBouncer) is between us and the server, so that it cannot wake us.
    pub is_pooled: bool,
}

const SETTINGS: &str = "SELECT current_setting('fsync') = 'on', current_setting('full_page_writes') = 'on', \
    current_setting('synchronous_commit'), current_setting('synchronous_standby_names'), \
    (SELECT count(*) FROM pg_stat_replication), has_database_privilege(current_database(), 'CREATE'), \
    (SELECT pg_total_relation_size(c.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
        WHERE n.nspname = $1 AND c.relname = 'log'), \
    current_setting('server_encoding'), current_setting('default_transaction_isolation'), \
    current_setting('default_transaction_read_only')";

/// Asks the server for all of that, and checks that the log can be kept there.
pub(crate) async fn survey(
    store: &Store,
    held: &Held,
    version: String,
) -> Result<Survey, BackendError> {
    let parameters = [(&store.options.schema as _, Type::TEXT)];
    let rows = held.connection.ask(SETTINGS, &parameters).await;
    let rows = rows.map_err(Fault::at_start)?;
    let row = rows.first().ok_or(Fault::Unexpected("a row").later())?;
    let known = || {
        let standbys: i64 = read(row, 4)?;
        let bytes: Option<i64> = read(row, 6)?;
        Ok(Survey {
            version,
            primary: held.address.clone(),
            fsync: read(row, 0)?,
            full_page_writes: read(row, 1)?,
            synchronous_commit: read(row, 2)?,
            synchronous_standby_names: read(row, 3)?,
            standbys: u64::try_from(standbys).unwrap_or(0),
            bytes: bytes.and_then(|bytes| u64::try_from(bytes).ok()),
            is_pooled: held.is_pooled,
        })
    };
    let survey: Survey = known().map_err(Fault::later)?;
    let may_create: bool = read(row, 5).map_err(Fault::later)?;
    check_defaults(store, row)?;
    match schema::look(store, held).await.map_err(Fault::at_start)? {
        Found::Log => schema::check(store, held).await?,
        Found::Nothing if !may_create => {
            return Err(fatal(
                format!(
                    "the role \"{}\" cannot create the schema \"{}\"",
                    store.options.user, store.options.schema
                ),
                PERMIT,
            ));
        }
        Found::Nothing | Found::Schema => {}
    }
    Ok(survey)
}

/// Refuses what would break each statement of the hub.
fn check_defaults(store: &Store, row: &Row) -> Result<(), BackendError> {
    let text = |column| read::<&str>(row, column).map_err(Fault::later);
    let encoding = text(7)?;
    if encoding != "UTF8" {
        return Err(fatal(
            format!("the database has the encoding {encoding}, so it cannot hold all updates"),
            "create a database with `ENCODING 'UTF8'`",
        ));
    }
    for (column, setting, value) in [
        (8, "default_transaction_isolation", "read committed"),
        (9, "default_transaction_read_only", "off"),
    ] {
        let found = text(column)?;
        if found != value {
            let role = names::quoted(&store.options.user);
            return Err(fatal(
                format!("`{setting}` is \"{found}\" for the role {role}"),
                &format!("run `ALTER ROLE {role} SET {setting} = '{value}'`"),
            ));
        }
    }
    Ok(())
}
