//! What the start reports, and refuses.

use talaria_conformance::servers::{Program, Redis as Server, Reply, Sentinels};
use talaria_redis::{Place, Redis, RedisOptions, Survey};
use talaria_transport::Position;
use talaria_transport::shared::Backend as _;
use talaria_transport::shared::backend::{BackendError, Member};

use crate::support::{Node, always, on, on_each, until, update};

on_each!(
    the_survey_says_what_the_server_is,
    settings_that_cannot_be_read_are_named,
    a_wrong_password_is_fatal,
    a_missing_permission_is_fatal,
    an_eviction_policy_is_fatal,
    replicas_without_replicas_are_fatal,
    a_server_with_too_many_clients_is_awaited,
    keys_that_are_not_ours_are_fatal,
    a_newer_format_is_fatal,
    a_database_that_is_not_there_is_fatal,
    unknown_fields_are_ignored_and_kept,
);

async fn survey(options: RedisOptions) -> Result<Survey, BackendError> {
    Redis::new(options)
        .expect("the options can be used")
        .survey()
        .await
}

/// The problem, and what to do.
async fn fatal(options: RedisOptions) -> (String, String) {
    match survey(options).await {
        Err(BackendError::Fatal { problem, remedy }) => (problem, remedy),
        other => panic!("{other:?} is not fatal"),
    }
}

/// The least that a hub's user is permitted, in the server's own words.
const RULES: [&str; 30] = [
    "~{hub}:*",
    "+auth",
    "+select",
    "+role",
    "+info",
    "+evalsha",
    "+eval",
    "+time",
    "+xadd",
    "+xlen",
    "+xrange",
    "+xrevrange",
    "+xread",
    "+xtrim",
    "+xdel",
    "+@hash",
    "+@sortedset",
    "+@list",
    "+set",
    "+get",
    "+del",
    "+exists",
    "+wait",
    "+config|get",
    "+memory|usage",
    "-hrandfield",
    "-zrandmember",
    "-lmove",
    "-blmove",
    "-sort",
];

async fn the_survey_says_what_the_server_is(program: Program) {
    let server = Server::with(program, &["--appendfsync", "always"]);
    let found = survey(on(&server)).await.expect("a survey");
    let (product, version) = match program {
        Program::Redis7 => ("redis", "7.0."),
        Program::Valkey => ("valkey", "8.1."),
        Program::Redis8 => ("redis", "8.2."),
    };
    assert_eq!(found.product, product);
    assert!(found.version.starts_with(version), "{}", found.version);
    assert_eq!(found.primary, server.address().to_string());
    assert_eq!((found.replicas, found.append_only), (0, Some(true)));
    assert_eq!(found.append_fsync.as_deref(), Some("always"));
    assert_eq!(found.eviction.as_deref(), Some("noeviction"));
    assert_eq!(
        (found.min_replicas_to_write, found.unread),
        (Some(0), vec![])
    );
    assert_eq!(found.min_replicas_max_lag, Some(10));
    assert_eq!(server.ask(&["DBSIZE"]).text(), "0");

    let _replica = server.replica(&[]);
    let mut options = on(&server);
    options.replicas = 2;
    let found = survey(options).await.expect("one of two is connected");
    assert_eq!(found.replicas, 1);
}

async fn settings_that_cannot_be_read_are_named(program: Program) {
    let server = Server::start(program);
    permit(&server, &["-config"]);
    let found = survey(as_hub(&server)).await.expect("a survey");
    assert_eq!(
        found.unread,
        [
            "appendfsync",
            "min-replicas-to-write",
            "min-replicas-max-lag"
        ]
    );
    assert_eq!(found.eviction.as_deref(), Some("noeviction"));
}

async fn a_wrong_password_is_fatal(program: Program) {
    let server = Server::with(program, &["--requirepass", "right"]);
    let (problem, _) = fatal(on(&server)).await;
    assert!(problem.contains("NOAUTH"), "{problem}");
    let mut options = on(&server);
    options.password = Some("a wrong secret".to_owned());
    let (problem, remedy) = fatal(options.clone()).await;
    assert!(problem.contains("WRONGPASS"), "{problem}");
    assert!(remedy.contains("password"), "{remedy}");
    let backend = Redis::new(options.clone()).expect("it can be used");
    let shown = format!("{problem} {remedy} {options:?} {backend:?}");
    assert!(!shown.contains("a wrong secret"), "{shown}");
    let attached = backend.attach(Member(1), Position::ORIGIN).await;
    assert!(
        matches!(attached, Err(BackendError::Fatal { .. })),
        "{attached:?}"
    );
    options.password = Some("right".to_owned());
    survey(options).await.expect("a survey");
}

/// A user with these rules besides [`RULES`].
fn permit(server: &Server, rules: &[&str]) {
    let command = [
        &["ACL", "SETUSER", "hub", "reset", "on", ">secret"],
        &RULES[..],
        rules,
    ]
    .concat();
    assert_eq!(server.ask(&command), Reply::Text("OK".to_owned()));
}

fn as_hub(server: &Server) -> RedisOptions {
    let mut options = on(server);
    options.username = Some("hub".to_owned());
    options.password = Some("secret".to_owned());
    options
}

async fn a_missing_permission_is_fatal(program: Program) {
    let server = Server::start(program);
    permit(&server, &[]);
    survey(as_hub(&server))
        .await
        .expect("these rules are enough");
    let mut node = Node::enter(as_hub(&server), 1).await;
    node.append(vec![always(update("a"))]).await;
    assert_eq!(node.tail(1).await.len(), 1);
    assert!(
        node.backend
            .beat(node.member)
            .await
            .is_ok_and(|beat| beat.bytes.is_some())
    );
    for missing in [
        "info",
        "evalsha",
        "xadd",
        "xread",
        "hscan",
        "zrangebylex",
        "wait",
        "role",
        "xtrim",
        "hkeys",
        "lpop",
    ] {
        permit(&server, &[&format!("-{missing}")]);
        let (problem, remedy) = fatal(as_hub(&server)).await;
        assert!(
            problem.to_lowercase().contains(missing),
            "{missing}: {problem}"
        );
        assert!(remedy.contains("permit"), "{remedy}");
    }
    permit(&server, &["resetkeys", "~other:*"]);
    let (problem, _) = fatal(as_hub(&server)).await;
    assert!(problem.contains("NOPERM"), "{problem}");
}

async fn an_eviction_policy_is_fatal(program: Program) {
    let server = Server::start(program);
    server.set("maxmemory-policy", "allkeys-lru");
    let (problem, remedy) = fatal(on(&server)).await;
    assert!(problem.contains("allkeys-lru"), "{problem}");
    assert!(remedy.contains("noeviction"), "{remedy}");
    permit(&server, &["-config"]);
    let (problem, _) = fatal(as_hub(&server)).await;
    assert!(problem.contains("allkeys-lru"), "{problem}");
}

async fn replicas_without_replicas_are_fatal(program: Program) {
    let server = Server::start(program);
    let mut options = on(&server);
    options.replicas = 1;
    let (problem, _) = fatal(options.clone()).await;
    assert!(problem.contains("`replicas` is 1"), "{problem}");

    // Those of a log that is there may come back, and the hub waits for them.
    let _node = Node::enter(on(&server), 1).await;
    let found = survey(options.clone()).await.expect("a survey");
    assert_eq!(found.replicas, 0);
    let backend = Redis::new(options).expect("it can be used");
    let entered = backend.attach(Member(2), Position::ORIGIN).await;
    assert_eq!(entered.map(drop), Err(BackendError::NotDurable));
}

async fn a_server_with_too_many_clients_is_awaited(program: Program) {
    let server = Server::start(program);
    server.set("maxclients", "1");
    let _client = std::net::TcpStream::connect(server.address()).expect("it connects");
    let backend = Redis::new(on(&server)).expect("it can be used");
    let away = until(
        "the server has too many clients",
        || backend.survey(),
        Result::is_err,
    );
    let away = away.await;
    assert!(matches!(away, Err(BackendError::Away(_))), "{away:?}");
}

async fn keys_that_are_not_ours_are_fatal(program: Program) {
    let server = Server::start(program);
    for (key, command) in [
        ("{hub}:log", &["SET", "{hub}:log", "a"][..]),
        ("{hub}:log", &["XADD", "{hub}:log", "1-1", "a", "b"]),
        ("{hub}:meta", &["SET", "{hub}:meta", "a"]),
        ("{hub}:meta", &["HSET", "{hub}:meta", "a", "b"]),
        ("{hub}:meta", &["HSET", "{hub}:meta", "format", "text"]),
    ] {
        server.ask(&["FLUSHALL"]);
        assert!(matches!(server.ask(command), Reply::Text(_)));
        let (problem, _) = fatal(on(&server)).await;
        assert!(problem.contains(key), "{problem}");
        let attached = Redis::new(on(&server))
            .expect("it can be used")
            .attach(Member(1), Position::ORIGIN)
            .await;
        assert!(
            matches!(attached, Err(BackendError::Fatal { .. })),
            "{command:?}: {attached:?}"
        );
    }
    for key in ["{hub}:ids", "{hub}:events"] {
        server.ask(&["FLUSHALL"]);
        server.ask(&["SET", key, "a"]);
        let (problem, _) = fatal(on(&server)).await;
        assert!(problem.contains(key), "{problem}");
    }
}

async fn a_newer_format_is_fatal(program: Program) {
    let server = Server::start(program);
    let node = Node::enter(on(&server), 1).await;
    assert!(node.backend.survey().await.is_ok());
    server.ask(&["HSET", "{hub}:meta", "format", "2"]);
    let (problem, _) = fatal(on(&server)).await;
    assert!(problem.contains("newer format"), "{problem}");
    let attached = node.backend.attach(Member(2), Position::ORIGIN).await;
    assert!(
        matches!(attached, Err(BackendError::Fatal { .. })),
        "{attached:?}"
    );
}

async fn a_database_that_is_not_there_is_fatal(program: Program) {
    let server = Server::start(program);
    let mut options = on(&server);
    options.database = 99;
    let (problem, _) = fatal(options.clone()).await;
    assert!(problem.contains("out of range"), "{problem}");
    options.database = 3;
    let mut node = Node::enter(options, 1).await;
    node.publish(&["a"]).await;
    assert_eq!(server.ask(&["DBSIZE"]).text(), "0");
}

async fn unknown_fields_are_ignored_and_kept(program: Program) {
    let server = Server::start(program);
    let mut node = Node::enter(on(&server), 1).await;
    node.publish(&["a"]).await;
    server.ask(&["HSET", "{hub}:meta", "later", "x", "later:00", "y"]);
    node.publish(&["b"]).await;
    assert!(node.backend.beat(node.member).await.is_ok());
    assert_eq!(server.ask(&["HGET", "{hub}:meta", "later"]).text(), "x");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_the_sentinels_do_not_know_is_fatal() {
    let sentinels = Sentinels::start(Program::Redis7);
    let place = |name: &str| Place::Sentinel {
        name: name.to_owned(),
        sentinels: sentinels.addresses(),
    };
    let (problem, _) = fatal(RedisOptions::new(place("other"), "hub")).await;
    assert!(problem.contains("\"other\""), "{problem}");
    let mut options = RedisOptions::new(place(&sentinels.name()), "hub");
    options.replicas = 2;
    survey(options).await.expect("a survey");
}

#[test]
fn a_stream_needs_a_name_without_braces() {
    for name in ["", "}", "a{b"] {
        let place = Place::Cluster(Vec::new());
        let made = Redis::new(RedisOptions::new(place, name));
        assert!(matches!(made, Err(BackendError::Fatal { .. })), "{name}");
    }
}
