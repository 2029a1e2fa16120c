//! What the start reports, and refuses.

use talaria_conformance::servers::WITH_PASSWORD;
use talaria_postgres::{Host, Postgres, PostgresOptions, Survey, schema_sql};
use talaria_transport::Position;
use talaria_transport::shared::Backend as _;
use talaria_transport::shared::backend::{BackendError, Member};

use crate::session::SUPERUSER;
use crate::site::{Kind, Site};
use crate::support::{Node, at, at_each, contents, event, on, position, tests_on, until, with};

tests_on!(Direct:
    the_survey_says_what_the_server_is,
    a_role_has_what_the_schema_grants,
    a_missing_privilege_is_named,
    a_role_that_may_not_create_is_told_so,
    tables_that_are_not_ours_are_fatal,
    a_newer_format_is_fatal,
    an_odd_name_of_a_schema_is_quoted,
);
tests_on!(Pooled:
    the_survey_says_what_the_server_is,
    a_role_has_what_the_schema_grants,
);
tests_on!(Newest:
    the_survey_says_what_the_server_is,
    a_role_has_what_the_schema_grants,
);

async fn survey(options: PostgresOptions) -> Result<Survey, BackendError> {
    let backend = Postgres::new(options).expect("the options can be used");
    backend.survey().await
}

/// The problem, and what to do, of the survey or of entering.
async fn fatal(options: PostgresOptions) -> (String, String) {
    let found = match survey(options.clone()).await {
        Ok(_) => {
            let backend = Postgres::new(options).expect("the options can be used");
            backend.attach(Member(1), Position::ORIGIN).await.map(drop)
        }
        Err(error) => Err(error),
    };
    match found {
        Err(BackendError::Fatal { problem, remedy }) => (problem, remedy),
        other => panic!("{other:?} is not fatal"),
    }
}

fn names(said: &(String, String), problem: &str, remedy: &str) {
    assert!(said.0.contains(problem), "{said:?}");
    assert!(said.1.contains(remedy), "{said:?}");
}

/// The options of a role that may do nothing but log in.
fn as_hub(site: &Site) -> PostgresOptions {
    site.run_sql("CREATE ROLE hub LOGIN");
    let mut options = on(site);
    options.user = "hub".to_owned();
    options
}

async fn the_survey_says_what_the_server_is(kind: Kind) {
    let server = Site::start(kind);
    let found = survey(on(&server)).await.expect("a survey");
    assert_eq!(found.version, server.ask("SHOW server_version"));
    assert_eq!(found.primary, server.address().to_string());
    assert_eq!(
        (found.fsync, found.full_page_writes, found.bytes),
        (true, true, None)
    );
    assert_eq!(
        (
            &*found.synchronous_commit,
            &*found.synchronous_standby_names
        ),
        ("on", "")
    );
    assert_eq!(found.standbys, 0);
    let _standby = server.standby();
    server.set_at_last("fsync", "off").await;
    server.set_at_last("synchronous_standby_names", "*").await;
    server
        .set_at_last("synchronous_commit", "remote_apply")
        .await;
    Node::enter(on(&server), 1).await;
    let found = until(
        "the standby is connected",
        || survey(on(&server)),
        |found| found.as_ref().is_ok_and(|found| found.standbys == 1),
    );
    let found = found.await.expect("a survey");
    assert!(!found.fsync && found.bytes.is_some_and(|bytes| bytes > 0));
    assert_eq!(found.synchronous_standby_names, "*");
    if kind != Kind::Pooled {
        assert_eq!(found.synchronous_commit, "remote_apply");
        assert!(!found.is_pooled);
    }
}

async fn a_role_has_what_the_schema_grants(kind: Kind) {
    let server = Site::start(kind);
    let mut options = as_hub(&server);
    server.run_sql(&schema_sql(&options, "hub"));
    options.size = 2;
    survey(options.clone()).await.expect("a survey");
    let mut node = Node::enter(options, 1).await;
    let positions = node.publish(&["a", "b", "c"]).await;
    node.floor_is(positions[0]).await;
    node.read = positions[2];
    let subscription = with(
        talaria_transport::shared::backend::Condition::Begins,
        event("/s", "{}"),
    );
    let begun = node.append(vec![subscription]).await;
    server.run_sql("SELECT talaria.publish('{https://example.com/sql}', 'by sql')");
    server.run_sql("SELECT talaria.publish('{https://example.com/.well-known/mercure/x}')");
    let records = node.tail(2).await;
    assert_eq!(records[0].position, position(begun[0]));
    assert_eq!(contents(&records[1..]), ["by sql"]);
    until(
        "the other is rejected",
        || async { server.ask("SELECT count(*) FROM talaria.rejected") },
        |count| count == "1",
    )
    .await;
    assert_eq!(node.backend.bury(Member(9), 0).await, Ok(false));
    node.backend.leave(node.member).await.expect("it leaves");
    // Who may publish is who may execute the function.
    server.run_sql("CREATE ROLE app LOGIN; GRANT USAGE ON SCHEMA talaria TO app");
    let publish = "SELECT talaria.publish('{https://example.com/sql}', 'again')";
    let refused = server.ask_as("app", SUPERUSER, publish);
    assert!(refused.is_err_and(|said| said.contains("permission denied")));
    server.run_sql("GRANT EXECUTE ON FUNCTION talaria.publish TO app");
    assert!(server.ask_as("app", SUPERUSER, publish).is_ok());
    let refused = server.ask_as("app", SUPERUSER, "DELETE FROM talaria.outbox");
    assert!(refused.is_err_and(|said| said.contains("permission denied")));
}

async fn a_missing_privilege_is_named(kind: Kind) {
    let server = Site::start(kind);
    let options = as_hub(&server);
    server.run_sql(&schema_sql(&options, "hub"));
    server.run_sql("REVOKE DELETE ON talaria.log FROM hub");
    let said = fatal(options.clone()).await;
    names(
        &said,
        "DELETE",
        "GRANT DELETE ON \"talaria\".log TO \"hub\"",
    );
    server.run_sql("GRANT DELETE ON talaria.log TO hub; REVOKE USAGE ON SCHEMA talaria FROM hub");
    let said = fatal(options.clone()).await;
    names(
        &said,
        "USAGE",
        "GRANT USAGE ON SCHEMA \"talaria\" TO \"hub\"",
    );
    server.run_sql(
        "GRANT USAGE ON SCHEMA talaria TO hub; REVOKE EXECUTE ON FUNCTION talaria.append FROM hub",
    );
    let said = fatal(options).await;
    names(&said, "append", "GRANT EXECUTE");
}

async fn a_role_that_may_not_create_is_told_so(kind: Kind) {
    let server = Site::start(kind);
    let options = as_hub(&server);
    let said = fatal(options.clone()).await;
    names(
        &said,
        "\"hub\" cannot create the schema",
        "talaria postgres schema",
    );
    server.run_sql("CREATE SCHEMA talaria AUTHORIZATION hub");
    let node = Node::enter(options, 1).await;
    assert_eq!(node.read, Position::ORIGIN);
}

async fn tables_that_are_not_ours_are_fatal(kind: Kind) {
    let server = Site::start(kind);
    server.run_sql("CREATE SCHEMA talaria; CREATE TABLE talaria.state (a integer)");
    names(&fatal(on(&server)).await, "\"state\"", "`schema`");
    server.run_sql("DROP TABLE talaria.state; CREATE TABLE talaria.log (a integer)");
    names(&fatal(on(&server)).await, "\"log\"", "`schema`");
    // What is there is left as it is.
    assert_eq!(server.ask("SELECT count(*) FROM talaria.log"), "0");
}

async fn a_newer_format_is_fatal(kind: Kind) {
    let server = Site::start(kind);
    Node::enter(on(&server), 1).await;
    server.run_sql("UPDATE talaria.state SET format = 2");
    names(&fatal(on(&server)).await, "the format 2", "newer");
}

async fn an_odd_name_of_a_schema_is_quoted(kind: Kind) {
    let server = Site::start(kind);
    let mut options = on(&server);
    options.schema = "Ö'\"; DROP TABLE x; --".to_owned();
    let mut node = Node::enter(options, 1).await;
    node.publish(&["a"]).await;
    assert_eq!(contents(&node.tail(1).await), ["a"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_nodes_create_one_schema() {
    let server = Site::start(Kind::Direct);
    let mut tasks = tokio::task::JoinSet::new();
    for member in 0..8 {
        let backend = Postgres::new(on(&server)).expect("the options can be used");
        tasks.spawn(async move { backend.attach(Member(member), Position::ORIGIN).await });
    }
    let attached = tasks.join_all().await;
    let new = attached
        .iter()
        .filter(|each| each.as_ref().is_ok_and(|each| each.is_new));
    assert_eq!(
        (
            new.count(),
            attached.iter().filter(|each| each.is_ok()).count()
        ),
        (1, 8)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_mend_itself_is_fatal() {
    let server = Site::start(Kind::Direct);
    let mut options = on(&server);
    options.database = "nowhere".to_owned();
    names(&fatal(options).await, "nowhere", "create the database");
    let mut options = on(&server);
    options.user = "stranger".to_owned();
    names(&fatal(options).await, "stranger", "role");

    server.run_sql(&format!(
        "CREATE ROLE {WITH_PASSWORD}; CREATE ROLE secret LOGIN PASSWORD 'right' IN ROLE {WITH_PASSWORD}"
    ));
    let mut options = on(&server);
    options.user = "secret".to_owned();
    names(
        &fatal(options.clone()).await,
        "password",
        "set the password",
    );
    options.password = Some("wrong".to_owned());
    let said = fatal(options.clone()).await;
    names(&said, "password", "set the password");
    assert!(!said.0.contains("wrong") && !format!("{options:?}").contains("wrong"));
    options.servers[0].password = Some("right".to_owned());
    let said = fatal(options).await;
    names(&said, "cannot create the schema", "talaria postgres schema");

    server.run_sql("ALTER ROLE postgres SET default_transaction_isolation = 'serializable'");
    names(&fatal(on(&server)).await, "serializable", "ALTER ROLE");
    server.run_sql("ALTER ROLE postgres RESET default_transaction_isolation");
    server.run_sql("CREATE DATABASE latin TEMPLATE template0 ENCODING LATIN1 LOCALE 'C'");
    let mut options = on(&server);
    options.database = "latin".to_owned();
    names(&fatal(options).await, "LATIN1", "UTF8");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_primary_is_found_among_several() {
    let server = Site::start(Kind::Direct);
    let standby = server.standby();
    let nowhere = talaria_conformance::free_port();
    let nowhere = std::net::SocketAddr::from(([127, 0, 0, 1], nowhere));
    let options = at_each(&[nowhere, standby.address(), server.address()]);
    let found = survey(options).await.expect("a survey");
    assert_eq!(found.primary, server.address().to_string());
    let found = survey(at(standby.address())).await;
    assert!(
        matches!(&found, Err(BackendError::Refusing(said)) if said.contains("standby")),
        "{found:?}"
    );
    let found = survey(at(nowhere)).await;
    assert!(
        matches!(&found, Err(BackendError::Away(said)) if said.contains(&nowhere.to_string())),
        "{found:?}"
    );
    let mut options = on(&server);
    options.servers[0].host = Host::Folder(server.folder().to_owned());
    let mut node = Node::enter(options, 1).await;
    node.publish(&["a"]).await;
    assert_eq!(contents(&node.tail(1).await), ["a"]);
}
