//! Hubs on `transport redis`: several share one log, each waits for its server, and leaves it at the end.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use talaria_conformance::hub::{Home, Hub, PUBLISHER_KEY};
use talaria_conformance::log::Log;
use talaria_conformance::servers::{Program, Redis};
use talaria_conformance::token::exact;
use talaria_conformance::{PATIENCE, within};

use crate::history::{FIELD, publish, resume};
use crate::running::{Running, caddyfile};

/// The lines of the `mercure` block of a hub on this server, with these options of the transport.
pub(crate) fn on(server: &Redis, options: &str) -> String {
    format!(
        "anonymous\ntransport redis {{\naddress {}\n{options}\n}}",
        server.address()
    )
}

/// A hub that need not serve, and its log; dropping it kills it.
pub(crate) struct Starting {
    child: Child,
    pub(crate) log: Log,
}

impl Starting {
    /// Starts a hub with these lines in its `mercure` block.
    pub(crate) fn new(home: &Home, directives: &str, variables: &[(&str, &str)]) -> Self {
        let mut command = home.program();
        let mut child = command
            .arg("run")
            .env("SERVER_NAME", "http://127.0.0.1:0")
            .env("MERCURE_PUBLISHER_JWT_KEY", PUBLISHER_KEY)
            .env("MERCURE_EXTRA_DIRECTIVES", directives)
            .envs(variables.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let log = Log::collect(child.stderr.take().expect("it is piped"));
        Self { child, log }
    }

    /// Waits for a line of its log that has these words.
    pub(crate) fn says(&self, words: &str) -> String {
        let found = self.log.find(0, PATIENCE, |line| {
            line.contains(words).then(|| line.to_owned())
        });
        found.unwrap_or_else(|said| panic!("never logged {words:?}, but:\n{said}"))
    }

    /// Tells it something.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a process has a number"), signal).expect("it runs");
    }

    /// Waits for its end; the exit code.
    pub(crate) fn ends(&mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                return status.code();
            }
            let said = || self.log.since(0).join("\n");
            assert!(Instant::now() < deadline, "it still runs:\n{}", said());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What one node takes reaches the subscribers of the other, once and in one order; a client goes on at the other.
#[tokio::test]
async fn two_hubs_share_one_log() {
    let server = Redis::start(Program::Redis7);
    let homes = [Home::new(), Home::new()];
    let [one, two] = homes.map(|home| home.hub(&on(&server, "")).expect("it starts"));
    let mut streams = [
        one.client().subscribe(&[exact("a")]).await,
        two.client().subscribe(&[exact("a")]).await,
    ];
    let ids = publish(&one, 1..=3).await;
    publish(&two, 4..=6).await;
    for stream in &mut streams {
        assert_eq!(stream.several::<6>().await, ["1", "2", "3", "4", "5", "6"]);
    }
    one.kill();
    let mut resumed = resume(&two, &ids[0]).await;
    assert_eq!(resumed.header(FIELD), ids[0]);
    assert_eq!(
        resumed.several::<5>().await,
        ["2", "3", "4", "5", "6"],
        "the other node has the ids of the first"
    );
    // The history outlives both, and the next hub begins with it.
    two.stop().await;
    let three = Home::new().hub(&on(&server, "")).expect("it starts");
    let mut all = resume(&three, "earliest").await;
    assert_eq!(all.several::<6>().await, ["1", "2", "3", "4", "5", "6"]);
}

/// The report counts the other nodes of the log and says the settings that it found, or no more than it may read.
#[tokio::test]
async fn the_report_counts_nodes_and_names_settings() {
    let server = Redis::start(Program::Redis7);
    let one = Home::new().hub(&on(&server, "")).expect("it starts");
    let two = Home::new().hub(&on(&server, "")).expect("it starts");
    // The third may not read the settings, which does not keep it from starting.
    let rules = [
        "ACL", "SETUSER", "hub", "on", ">S3CR3T", "~*", "+@all", "-config",
    ];
    server.ask(&rules);
    let unread = on(&server, "username hub\npassword S3CR3T");
    let three = Home::new().hub(&unread).expect("it starts");
    let [one, two, three] = [
        one.log_to_the_end().await.join("\n"),
        two.log_to_the_end().await.join("\n"),
        three.log_to_the_end().await.join("\n"),
    ];
    let all = "`appendonly yes`, `appendfsync everysec`, `maxmemory-policy noeviction`";
    for (said, nodes, settings) in [
        (&one, "no other node", all),
        (&two, "1 other node", all),
        (
            &three,
            "2 other nodes",
            "`appendonly yes`, `maxmemory-policy noeviction`",
        ),
    ] {
        let nodes = format!("no replica connected, {nodes}");
        for expected in [nodes.as_str(), settings] {
            assert!(said.contains(expected), "{expected}: {said}");
        }
    }
}

/// The report says which server there is and what an acknowledged update survives, and no password.
#[tokio::test]
async fn the_report_names_the_server() {
    for (settings, options, expected) in [
        (
            &["--appendfsync", "always"][..],
            "",
            "of its machine loses no acknowledged update; there is no replica",
        ),
        (&[], "max_length 100", "of its machine those of up to 2 s"),
        (
            &["--appendonly", "no"],
            "",
            "set `appendonly yes` there, or `replicas` here",
        ),
    ] {
        let server = Redis::with(Program::Redis7, settings);
        server.set("requirepass", "S3CR3T");
        let options = format!("{options}\npassword S3CR3T");
        let hub = Home::new().hub(&on(&server, &options)).expect("it starts");
        let said = hub.log_to_the_end().await.join("\n");
        let primary = format!("primary {}", server.address());
        for expected in [expected, "shared log mercure: Redis 7.", &primary] {
            assert!(said.contains(expected), "{expected}: {said}");
        }
        assert!(!said.contains("S3CR3T"), "{said}");
        assert!(
            !said.contains("was not told that this node leaves"),
            "{said}"
        );
    }
}

/// A hub that is started before its server waits for it, says so, and then serves.
#[tokio::test]
async fn a_hub_waits_for_its_server() {
    let mut server = Redis::with(Program::Redis7, &["--requirepass", "S3CR3T"]);
    server.kill();
    let home = Home::new();
    let url = format!("redis://:S3CR3T@{}", server.address());
    let variables = [
        ("MERCURE_TRANSPORT_URL", url.as_str()),
        ("MERCURE_LICENSE", "x"),
    ];
    let hub = Starting::new(&home, "anonymous", &variables);
    let waits = hub.says("cannot be used yet");
    assert!(waits.contains(&server.address().to_string()), "{waits}");
    assert!(waits.contains("reason="), "{waits}");
    server.restart();
    hub.says("listening");
    hub.says("MERCURE_LICENSE has no effect");
    let said = hub.log.since(0).join("\n");
    assert!(!said.contains("S3CR3T"), "{said}");
    let told = said.matches("cannot be used yet").count();
    assert!(told < 5, "it says so once in ten seconds: {said}");
}

/// A signal ends a hub that waits.
#[test]
fn a_signal_ends_the_waiting() {
    let home = Home::new();
    for signal in [Signal::TERM, Signal::INT] {
        let port = talaria_conformance::free_port();
        let directives = format!("anonymous\ntransport redis {{\naddress 127.0.0.1:{port}\n}}");
        let mut hub = Starting::new(&home, &directives, &[]);
        hub.says("cannot be used yet");
        hub.signal(signal);
        assert_eq!(hub.ends(), Some(0));
    }
}

/// A reload waits for a server a few seconds only, and leaves the old configuration in force.
#[tokio::test]
async fn a_reload_does_not_wait_for_ever() {
    let mut server = Redis::start(Program::Redis7);
    server.kill();
    let hub = Running::start(&caddyfile("", ""), &[]);
    let transport = format!("transport redis {{\naddress {}\n}}", server.address());
    hub.home.configure(caddyfile("", &transport));
    let (code, said) = hub.verb(&["reload"]);
    assert_eq!(code, Some(1), "{said}");
    let expected = format!("the server {} cannot be used", server.address());
    assert!(said.contains(&expected), "{said}");
    let mut stream = hub.client().subscribe_with(&[("match", "a")]).await;
    server.restart();
    let (code, said) = hub.verb(&["reload"]);
    assert_eq!(code, Some(0), "{said}");
    // The stream of the old transport ends, so that its client comes back to the new one.
    stream.end().await;
    let shown = hub.admin().get("/config/").await.text;
    assert!(shown.contains("redis"), "{shown}");
}

/// The password is in no answer of the admin listener, and in no file that the hub keeps.
#[tokio::test]
async fn the_password_is_never_shown() {
    let server = Redis::start(Program::Redis7);
    server.set("requirepass", "S3CR3T");
    let address = server.address();
    for transport in [
        format!("transport redis {{\naddress {address}\npassword S3CR3T\n}}"),
        format!("transport redis {{\nurl redis://:S3CR3T@{address}\n}}"),
        format!("transport_url redis://{address}?password=S3CR3T"),
    ] {
        let hub = Running::start(&caddyfile("", &transport), &[]);
        let text = std::fs::read_to_string(hub.file()).unwrap();
        let media_type = hub.admin().header("content-type", "text/caddyfile");
        let mut said = vec![
            hub.admin().get("/config/").await.text,
            media_type.send("POST", "/adapt", text).await.text,
            hub.verb(&["validate"]).1,
            hub.log.since(0).join("\n"),
        ];
        let changed = caddyfile("", &format!("{transport}\nheartbeat 5s"));
        let loaded = media_type.send("POST", "/load", changed).await;
        assert_eq!(loaded.status, 200, "{}", loaded.text);
        said.push(hub.admin().get("/config/").await.text);
        let wrong = caddyfile("", &transport.replace("S3CR3T", "S3CR3T more"));
        let refused = media_type.send("POST", "/load", wrong).await;
        assert_eq!(refused.status, 400, "{}", refused.text);
        said.push(refused.text);
        for said in said {
            assert!(!said.contains("S3CR3T"), "{transport}: {said}");
        }
    }
}

/// The site of the corpus that needs a server delivers an update.
#[tokio::test]
async fn the_site_of_the_corpus_serves() {
    let server = Redis::start(Program::Redis7);
    let replica = server.replica(&[]);
    let _second = server.replica(&[]);
    server.ask(&["ACL", "SETUSER", "hub", "on", ">S3CR3T", "~*", "+@all"]);
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../config/tests/corpus/53-redis/Caddyfile"
    );
    let home = Home::new();
    std::fs::copy(file, home.path().join("Caddyfile")).unwrap();
    let port = server.port().to_string();
    let variables = [
        ("REDIS_HOST", "127.0.0.1"),
        ("REDIS_PORT", port.as_str()),
        ("REDIS_PASSWORD", "S3CR3T"),
        ("SERVER_NAME", "http://127.0.0.1:0"),
    ];
    let arguments = ["--address", "http://127.0.0.1:0"];
    let hub: Hub = home
        .start_with(&arguments, "", &variables)
        .expect("it starts");
    let subscriber = hub.sign_as_subscriber(
        &talaria_conformance::token::Token::new(&hub.audience).grant("subscribe", &[exact("a")]),
    );
    let mut stream = hub
        .client()
        .bearer(&subscriber)
        .subscribe(&[exact("a")])
        .await;
    hub.publisher()
        .published(&[("topic", "a"), ("data", "1")])
        .await;
    assert_eq!(stream.data().await, "1");
    let replicated = async {
        while !replica.info("keyspace").contains("db0") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    within("the replica has the log", replicated).await;
}
