//! The tables and functions of a log.

use std::time::Duration;

use talaria_transport::shared::backend::BackendError;
use tokio_postgres::types::Type;

use crate::fault::{Fault, PERMIT, fatal};
use crate::link::{Held, Purpose};
use crate::names::quoted;
use crate::options::PostgresOptions;
use crate::row::read;
use crate::store::Store;

/// The newest form of a log that this version reads.
const FORMAT: i32 = 1;
/// Which functions these are; counted up with each release that changes them. Nodes of older versions work with them.
const REVISION: i32 = 1;
/// How long the creation of the tables may take.
const CREATION: Duration = Duration::from_secs(10);

const TABLES: &str = include_str!("sql/tables.sql");
const FUNCTIONS: &str = include_str!("sql/functions.sql");
const TOPIC_INDEX: &str =
    "CREATE INDEX log_topics ON {schema}.log USING gin (topics) WHERE is_indexed;\n";

/// The least privileges of the role of the hubs.
const GRANTS: &str = "
GRANT USAGE ON SCHEMA {schema} TO {role};
GRANT SELECT, UPDATE ON {schema}.state TO {role};
GRANT SELECT, INSERT, DELETE ON {schema}.log, {schema}.batches, {schema}.subscriptions TO {role};
GRANT SELECT, INSERT, UPDATE, DELETE ON {schema}.members, {schema}.once TO {role};
GRANT SELECT, DELETE ON {schema}.outbox TO {role};
GRANT SELECT, INSERT, DELETE ON {schema}.rejected TO {role};
";

/// What `GRANTS` grants of tables, so that what lacks is named.
const TABLE_PRIVILEGES: [(&str, &[&str]); 8] = [
    ("state", &["SELECT", "UPDATE"]),
    ("log", &["SELECT", "INSERT", "DELETE"]),
    ("batches", &["SELECT", "INSERT", "DELETE"]),
    ("subscriptions", &["SELECT", "INSERT", "DELETE"]),
    ("members", &["SELECT", "INSERT", "UPDATE", "DELETE"]),
    ("once", &["SELECT", "INSERT", "UPDATE", "DELETE"]),
    ("outbox", &["SELECT", "DELETE"]),
    ("rejected", &["SELECT", "INSERT", "DELETE"]),
];

/// All SQL that creates a log, or brings one to this version, and the least privileges that `role` needs to use it.
#[must_use]
pub fn schema_sql(options: &PostgresOptions, role: &str) -> String {
    let (schema, role) = (quoted(&options.schema), quoted(role));
    let grants = GRANTS.replace("{schema}", &schema).replace("{role}", &role);
    let functions = listed(&schema, &function_names());
    format!(
        "BEGIN;\nCREATE SCHEMA IF NOT EXISTS {schema};\n{}{}{grants}GRANT EXECUTE ON FUNCTION {functions} TO {role};\nCOMMIT;\n",
        repeatable(&definition(options)),
        note_revision(&schema),
    )
}

/// The tables, the functions, and who may call them.
fn definition(options: &PostgresOptions) -> String {
    let index = if options.topic_index { TOPIC_INDEX } else { "" };
    let definition = [TABLES, index].concat();
    let definition = definition.replace("{revision}", &REVISION.to_string());
    definition.replace("{schema}", &quoted(&options.schema)) + &functions(options)
}

fn functions(options: &PostgresOptions) -> String {
    let schema = quoted(&options.schema);
    let all = listed(&schema, &function_names());
    let publish = listed(&schema, &["publish"]);
    let functions = FUNCTIONS.replace("{schema}", &schema);
    format!("{functions}\nREVOKE ALL ON FUNCTION {all}, {publish} FROM PUBLIC;\n")
}

fn note_revision(schema: &str) -> String {
    format!("UPDATE {schema}.state SET revision = {REVISION} WHERE revision < {REVISION};\n")
}

/// The same, for a database that may have some of it.
fn repeatable(definition: &str) -> String {
    definition
        .replace("CREATE TABLE ", "CREATE TABLE IF NOT EXISTS ")
        .replace("CREATE INDEX ", "CREATE INDEX IF NOT EXISTS ")
        .replace("CREATE FUNCTION ", "CREATE OR REPLACE FUNCTION ")
}

/// The functions that nodes call.
fn function_names() -> Vec<&'static str> {
    let created = FUNCTIONS.split("CREATE FUNCTION {schema}.").skip(1);
    let names = created.filter_map(|rest| rest.split('(').next());
    names.filter(|name| *name != "publish").collect()
}

fn listed(schema: &str, functions: &[&str]) -> String {
    let names = functions.iter().map(|name| format!("{schema}.{name}"));
    names.collect::<Vec<_>>().join(", ")
}

/// Makes sure that the tables are there and that the role may use them; creates them if there are none.
///
/// # Errors
/// [`BackendError::Fatal`] if that cannot be, with what to do.
pub(crate) async fn install(store: &Store) -> Result<(), BackendError> {
    let held = store.link.shared(Purpose::Writes).await;
    let held = held.map_err(Fault::at_start)?;
    match look(store, &held).await.map_err(Fault::at_start)? {
        Found::Log => check(store, &held).await,
        Found::Schema => create(store, &held, "").await,
        Found::Nothing => {
            let schema = format!("CREATE SCHEMA {};\n", quoted(&store.options.schema));
            create(store, &held, &schema).await
        }
    }
}

/// What is in the database.
#[derive(PartialEq)]
pub(crate) enum Found {
    Nothing,
    /// The schema, without a table `state`.
    Schema,
    Log,
}

/// Looks what is in the database.
///
/// # Errors
/// The server does not answer.
pub(crate) async fn look(store: &Store, held: &Held) -> Result<Found, Fault> {
    let statement = "SELECT c.oid IS NOT NULL FROM pg_namespace n \
        LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = 'state' WHERE n.nspname = $1";
    let parameters = [(&store.options.schema as _, Type::TEXT)];
    let rows = held.connection.ask(statement, &parameters).await;
    let rows = store.link.judge(held, rows)?;
    match rows.first() {
        None => Ok(Found::Nothing),
        Some(row) if read(row, 0)? => Ok(Found::Log),
        Some(_) => Ok(Found::Schema),
    }
}

async fn create(store: &Store, held: &Held, before: &str) -> Result<(), BackendError> {
    let options = &store.options;
    let statements = format!("{before}{}", definition(options));
    let Err(fault) = change(store, held, &statements).await? else {
        return Ok(());
    };
    // Another node may have been faster.
    if look(store, held).await.map_err(Fault::at_start)? == Found::Log {
        return check(store, held).await;
    }
    let schema = &options.schema;
    Err(match fault {
        Fault::Server { code, text } if code == "42501" => fatal(
            format!(
                "the role \"{}\" cannot create the schema \"{schema}\": {text}",
                options.user
            ),
            PERMIT,
        ),
        Fault::Server { code, text } if code == "42P07" || code == "42723" => fatal(
            format!("the schema \"{schema}\" has something that is not of this hub: {text}"),
            "set another `schema`, or remove what is there",
        ),
        fault => fault.at_start(),
    })
}

/// Changes the schema in one transaction, while no other node does.
async fn change(
    store: &Store,
    held: &Held,
    statements: &str,
) -> Result<Result<(), Fault>, BackendError> {
    let lock = format!(
        "SELECT pg_advisory_xact_lock(hashtextextended('talaria schema {}', 0));\n",
        store.options.schema.replace('\'', "''")
    );
    let statements = format!("BEGIN;\nSET LOCAL lock_timeout = '5s';\n{lock}{statements}COMMIT;\n");
    let changed = held.connection.run(CREATION, &statements).await;
    let Err(fault) = store.link.judge(held, changed) else {
        return Ok(Ok(()));
    };
    if !matches!(fault, Fault::Server { .. }) {
        return Err(fault.at_start());
    }
    let undone = held.connection.run(CREATION, "ROLLBACK").await;
    store.link.judge(held, undone).map_err(Fault::at_start)?;
    Ok(Err(fault))
}

/// Replaces the functions of an older version.
async fn update(store: &Store, held: &Held) -> Result<(), BackendError> {
    let statements = format!(
        "{}{}",
        repeatable(&functions(&store.options)),
        note_revision(&quoted(&store.options.schema))
    );
    let Err(fault) = change(store, held, &statements).await? else {
        return Ok(());
    };
    Err(match fault {
        Fault::Server { code, text } if code == "42501" => fatal(
            format!(
                "the functions of the log are those of an older version of the hub, and its role may not replace them: {text}"
            ),
            PERMIT,
        ),
        fault => fault.at_start(),
    })
}

/// Checks that a schema is of this format, and what the role may do there.
///
/// # Errors
/// [`BackendError::Fatal`] if the log cannot be used.
pub(crate) async fn check(store: &Store, held: &Held) -> Result<(), BackendError> {
    let options = &store.options;
    check_privileges(store, held).await?;
    let foreign = || {
        fatal(
            format!(
                "the schema \"{}\" has a table \"state\" that is not of this hub",
                options.schema
            ),
            "set another `schema`, or remove what is there",
        )
    };
    let statement = format!("SELECT format, revision FROM {}", store.table("state"));
    let rows = store
        .link
        .judge(held, held.connection.ask(&statement, &[]).await);
    let rows = match rows {
        Err(fault) if fault.is("42703") || fault.is("42809") => return Err(foreign()),
        rows => rows.map_err(Fault::at_start)?,
    };
    let known = rows
        .first()
        .map(|row| (read::<i32>(row, 0), read::<i32>(row, 1)));
    match known.unzip() {
        (Some(Ok(FORMAT)), Some(Ok(REVISION..))) => check_functions(store, held).await,
        (Some(Ok(FORMAT)), Some(Ok(_))) => {
            update(store, held).await?;
            check_functions(store, held).await
        }
        (Some(Ok(format)), _) if format > FORMAT => Err(fatal(
            format!(
                "the log in the schema \"{}\" has the format {format}, and this version of the hub reads {FORMAT}",
                options.schema
            ),
            "use the version that wrote the log, or a newer one",
        )),
        _ => Err(foreign()),
    }
}

async fn check_privileges(store: &Store, held: &Held) -> Result<(), BackendError> {
    let mut wanted = vec![("schema", store.options.schema.clone(), "USAGE")];
    for (table, privileges) in TABLE_PRIVILEGES {
        wanted.extend(
            privileges
                .iter()
                .map(|each| (table, store.table(table), *each)),
        );
    }
    let names: Vec<&str> = wanted.iter().map(|(_, name, _)| name.as_str()).collect();
    let privileges: Vec<&str> = wanted.iter().map(|(.., privilege)| *privilege).collect();
    // A table that is not there is told by the query after this one.
    let statement = "SELECT CASE WHEN n = 1 THEN has_schema_privilege(name, privilege) \
        WHEN has_schema_privilege($3, 'USAGE') AND to_regclass(name) IS NOT NULL \
        THEN has_table_privilege(name, privilege) ELSE true END \
        FROM unnest($1, $2) WITH ORDINALITY AS w (name, privilege, n) ORDER BY n";
    let parameters = [
        (&names as _, Type::TEXT_ARRAY),
        (&privileges as _, Type::TEXT_ARRAY),
        (&store.options.schema as _, Type::TEXT),
    ];
    let rows = held.connection.ask(statement, &parameters).await;
    let rows = store.link.judge(held, rows).map_err(Fault::at_start)?;
    for (row, (kind, name, privilege)) in rows.iter().zip(&wanted) {
        if !read::<bool>(row, 0).map_err(Fault::at_start)? {
            let on = match *kind {
                "schema" => format!("SCHEMA {}", quoted(name)),
                _ => name.clone(),
            };
            return Err(lacks(store, privilege, &on));
        }
    }
    Ok(())
}

async fn check_functions(store: &Store, held: &Held) -> Result<(), BackendError> {
    let statement = "SELECT w.name, bool_and(has_function_privilege(p.oid, 'EXECUTE')) FROM unnest($2) AS w (name) \
        LEFT JOIN (pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace AND n.nspname = $1) ON p.proname = w.name \
        GROUP BY w.name HAVING bool_and(has_function_privilege(p.oid, 'EXECUTE')) IS NOT TRUE LIMIT 1";
    let names = function_names();
    let parameters = [
        (&store.options.schema as _, Type::TEXT),
        (&names as _, Type::TEXT_ARRAY),
    ];
    let rows = held.connection.ask(statement, &parameters).await;
    let rows = store.link.judge(held, rows).map_err(Fault::at_start)?;
    let Some(row) = rows.first() else {
        return Ok(());
    };
    let function = store.table(read(row, 0).map_err(Fault::at_start)?);
    match read::<Option<bool>>(row, 1).map_err(Fault::at_start)? {
        Some(_) => Err(lacks(store, "EXECUTE", &format!("FUNCTION {function}"))),
        None => Err(fatal(format!("the log has no function {function}"), PERMIT)),
    }
}

fn lacks(store: &Store, privilege: &str, on: &str) -> BackendError {
    let user = &store.options.user;
    let role = quoted(user);
    fatal(
        format!("the role \"{user}\" lacks a privilege: {privilege} on {on}"),
        &format!(
            "run `GRANT {privilege} ON {on} TO {role}`, or all that `talaria postgres schema` prints"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted() {
        let mut options = PostgresOptions::new(Vec::new(), "u", "d");
        options.schema = "a\"b; --".to_owned();
        let sql = schema_sql(&options, "c\"d");
        assert!(sql.contains("CREATE TABLE IF NOT EXISTS \"a\"\"b; --\".log"));
        assert!(sql.contains("TO \"c\"\"d\";"));
        assert!(!sql.contains("{schema}") && !sql.contains("{role}"));
    }
}
