//! Where lines go, and that nothing waits for it.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use talaria_conformance::client::Client;
use talaria_conformance::hub::{Home, Hub};
use talaria_conformance::token::{Token, exact};
use talaria_conformance::{HUB_PATH, PATIENCE, count};

use super::{BLOCK, JSON, is_for, lines, parsed, record, started, write};

/// The files of a folder that begin with `name-`, and what they hold.
fn moved(folder: &Path, name: &str) -> Vec<(PathBuf, String)> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let start = format!("{name}-");
    let is_moved = |path: &PathBuf| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(&start))
    };
    let mut moved: Vec<_> = paths
        .filter(is_moved)
        .map(|path| {
            let text = match path.extension().is_some_and(|ending| ending == "gz") {
                true => {
                    let output = std::process::Command::new("gzip")
                        .args(["-dc"])
                        .arg(&path)
                        .output();
                    String::from_utf8(output.expect("gzip runs").stdout).expect("text")
                }
                false => std::fs::read_to_string(&path).unwrap_or_default(),
            };
            (path, text)
        })
        .collect();
    moved.sort();
    moved
}

/// A file is rolled while requests come in, and no line is lost, doubled or cut. Old files are compressed, or not.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_rolled_under_load() {
    for (options, is_compressed) in [("", true), ("roll_uncompressed", false)] {
        let home = Home::new();
        let site = format!(
            "log {{\n output file logs/a.log {{\n roll_size 64KiB\n roll_keep 1000\n mode 0640\n {options}\n }}\n }}\n respond 204"
        );
        let hub = started(&home, "", &site);
        let requests = count(4_000, 800);
        let clients = (0..4).map(|client| {
            let (client, hub) = (client, hub.client());
            tokio::spawn(async move {
                for number in 0..requests / 4 {
                    assert_eq!(hub.get(&format!("/{client}/{number}")).await.status, 204);
                }
            })
        });
        for client in clients.collect::<Vec<_>>() {
            client.await.expect("its requests are answered");
        }
        let folder = home.path().join("logs");
        hub.stop().await;
        let mut seen = std::collections::BTreeSet::new();
        let old = moved(&folder, "a");
        assert!(old.len() > 2, "{old:?}");
        let newest = std::fs::read_to_string(folder.join("a.log")).unwrap_or_default();
        for text in old.iter().map(|(_, text)| text).chain([&newest]) {
            for line in text.lines() {
                let record = parsed(line).unwrap_or_else(|| panic!("{line}"));
                let uri = record["request"]["uri"]
                    .as_str()
                    .expect("a target")
                    .to_owned();
                assert!(seen.insert(uri), "{line} is there twice");
            }
        }
        assert_eq!(seen.len(), requests);
        let compressed = old
            .iter()
            .filter(|(path, _)| path.extension().is_some_and(|ending| ending == "gz"));
        assert_eq!(compressed.count() > 0, is_compressed, "{old:?}");
    }
}

/// What clients of a hub do while its log has this output: everything is answered, streams go on, and the hub ends in
/// order.
async fn serves(home: &Home, hub: Hub) {
    let mut hub = hub;
    let mut stream = hub.client().subscribe(&[exact("a")]).await;
    let token = Token::older(serde_json::json!({ "publish": ["*"] }));
    let mut publisher = hub
        .client()
        .bearer(&hub.sign_as_publisher(&token))
        .keep()
        .await;
    let long = format!("/{}", "x".repeat(1_500));
    for number in 0..count(2_000, 300) {
        let data = number.to_string();
        publisher.publish(&[("topic", "a"), ("data", &data)]).await;
        assert_eq!(stream.data().await, data);
        if number % 10 == 0 {
            for _ in 0..10 {
                assert_eq!(hub.client().get(&long).await.status, 204);
            }
        }
    }
    hub.terminate();
    stream.end().await;
    assert_eq!(hub.exit(Duration::from_secs(10)).await.code(), Some(0));
    drop(home.clone());
}

/// A full disk, a server that is not there, one that does not read, and a file that is a pipe without a reader change
/// nothing for clients.
#[tokio::test(flavor = "multi_thread")]
async fn no_output_holds_up_requests() {
    let stuck = TcpListener::bind("127.0.0.1:0").expect("a port");
    let gone = talaria_conformance::free_port();
    let stuck_at = stuck.local_addr().expect("an address");
    for output in [
        "file /dev/full".to_owned(),
        format!("net 127.0.0.1:{gone}"),
        // It accepts connections, and reads nothing of them.
        format!("net {stuck_at}"),
        format!("net udp/127.0.0.1:{gone}"),
        "net unix//nonexistent/socket".to_owned(),
        "net unixgram//nonexistent/socket".to_owned(),
        "net no-such-host.invalid:1".to_owned(),
        "discard".to_owned(),
        "stdout".to_owned(),
    ] {
        let home = Home::new();
        let site = format!("log {{\n output {output}\n }}\n respond /x* 204");
        let hub = started(&home, "", &site);
        println!("{output}");
        serves(&home, hub).await;
    }
}

/// A server gets whole lines, over one connection and, when it has closed that, over the next; a datagram for each
/// line by UDP.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_gets_lines() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let datagrams = UdpSocket::bind("127.0.0.1:0").expect("a port");
    datagrams
        .set_read_timeout(Some(PATIENCE))
        .expect("a timeout");
    let home = Home::new();
    let site = format!(
        "log {{\n output net {}\n }}\n log udp {{\n output net udp/{} {{\n dial_timeout 1s\n soft_start\n }}\n }}\n respond 204",
        listener.local_addr().expect("an address"),
        datagrams.local_addr().expect("an address"),
    );
    let hub = started(&home, "", &site);
    for (index, target) in ["/first", "/second"].into_iter().enumerate() {
        hub.client().get(target).await;
        let (stream, _) = listener.accept().expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).expect("a line");
        assert!(
            is_for(&parsed(&line).expect("JSON"), target),
            "{index}: {line}"
        );
        let mut datagram = [0; 65_536];
        let read = datagrams.recv(&mut datagram).expect("a datagram");
        let line = std::str::from_utf8(&datagram[..read]).expect("text");
        assert!(
            is_for(&parsed(line).expect("JSON"), target),
            "{index}: {line}"
        );
    }
}

/// A server that cannot be reached is told once, by the program's log; lines that find no room are counted.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_does_not_take_is_counted() {
    let port = talaria_conformance::free_port();
    let home = Home::new();
    let site = format!("log {{\n output net 127.0.0.1:{port}\n }}\n respond 204");
    let hub = started(&home, "", &site);
    let long = format!("/{}", "x".repeat(2_000));
    let client = hub.client();
    client.get(&long).await;
    record(&hub, |record| record["event"] == "log_server_unreachable");
    // Each makes a line of some 2,500 bytes, and 1 MiB of them waits.
    for _ in 0..1_200 {
        assert_eq!(client.get(&long).await.status, 204);
    }
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port");
    let (stream, _) = listener.accept().expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let dropped = BufReader::new(stream).lines().find_map(|line| {
        let record = parsed(&line.expect("a line")).expect("JSON");
        (record["event"] == "log_lines_dropped").then(|| record["dropped"].as_u64())
    });
    assert!(
        dropped.flatten().is_some_and(|dropped| dropped > 0),
        "{dropped:?}"
    );
    let unreachable = hub.log_to_the_end().await;
    let unreachable = unreachable
        .iter()
        .filter(|line| line.contains("log_server_unreachable"));
    assert_eq!(unreachable.count(), 1);
}

/// Runs the program, whose standard output is this file.
fn run_into(home: &Home, stdout: &Path) -> std::process::Child {
    let mut program = home.program();
    program.arg("run").env(JSON.0, JSON.1).env("RUST_LOG", "");
    for key in ["MERCURE_PUBLISHER_JWT_KEY", "MERCURE_SUBSCRIBER_JWT_KEY"] {
        program.env(key, talaria_conformance::hub::PUBLISHER_KEY);
    }
    let file = std::fs::File::create(stdout).expect("a file");
    program
        .stdout(file)
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts")
}

/// The first record of a file that fits.
fn find(path: &Path, fits: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = lines(path, 0).into_iter().find(|record| fits(record));
        if let Some(found) = found {
            return found;
        }
        assert!(Instant::now() < deadline, "{}", path.display());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// `include`, `exclude` and `level` divide what the program writes, and standard output is a place too.
#[tokio::test]
async fn logs_have_what_they_are_for() {
    let home = Home::new();
    let global = "log default {\n output stdout\n exclude http.handlers.mercure\n}
        log hub {\n output file hub.log\n include http.handlers.mercure\n level DEBUG\n}
        log errors {\n output file errors.log\n include http.log.access\n level ERROR\n}";
    write(&home, global, "log\n error /fail 503\n respond 204");
    let stdout = home.path().join("stdout");
    let mut child = run_into(&home, &stdout);
    let listening = find(&stdout, |record| record["event"] == "listening");
    let address = listening["address"].as_str().expect("an address");
    let port: u16 = address
        .rsplit(':')
        .next()
        .and_then(|port| port.parse().ok())
        .expect("a port");
    let client = Client::new(([127, 0, 0, 1], port).into(), &format!("127.0.0.1:{port}"));
    client.publish(&[("topic", "a")]).await;
    // A fault of the request is a record of the level debug.
    client.get(HUB_PATH).await;
    client.get("/ok").await;
    client.get("/fail").await;
    drop(client.subscribe(&[exact("a")]).await);
    find(&home.path().join("hub.log"), |record| {
        record["event"] == "token_missing"
    });
    find(&home.path().join("hub.log"), |record| {
        record["level"] == "debug"
    });
    find(&home.path().join("errors.log"), |record| {
        is_for(record, "/fail")
    });
    find(&stdout, |record| is_for(record, "/fail"));
    find(&stdout, |record| is_for(record, "/ok"));
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).expect("a number"));
    rustix::process::kill_process(pid.expect("a process"), rustix::process::Signal::TERM)
        .expect("it runs");
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .expect("a pipe")
        .read_to_string(&mut stderr)
        .expect("text");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    assert_eq!(stderr, "", "nothing goes to standard error");
    let of = |name: &str| lines(&home.path().join(name), 0);
    assert!(
        of("errors.log")
            .iter()
            .all(|record| record["level"] == "error")
    );
    assert!(of("hub.log").iter().all(|record| {
        record["logger"]
            .as_str()
            .is_some_and(|name| name.starts_with("http.handlers.mercure"))
    }));
    assert!(
        of("stdout")
            .iter()
            .all(|record| record["event"] != "token_missing")
    );
}

/// Of many equal lines a log has some.
#[tokio::test]
async fn equal_lines_are_sampled() {
    let home = Home::new();
    let site = "log {\n output file a.log\n sampling {\n interval 1h\n first 3\n thereafter 10\n }\n }\n respond 204";
    let hub = started(&home, "", site);
    for _ in 0..43 {
        hub.client().get("/a").await;
    }
    hub.stop().await;
    assert_eq!(lines(&home.path().join("a.log"), 0).len(), 7);
}

/// A reload changes outputs, forms and levels; one with a file that cannot be opened leaves the old ones, and such a
/// start is refused.
#[tokio::test]
async fn a_reload_changes_logs() {
    let home = Home::new();
    let text = |site: &str| {
        format!(
            "{{\n admin off\n}}\nhttp://127.0.0.1:{{$PORT}} {{\n {site}\n respond 204\n {BLOCK}\n}}\n"
        )
    };
    let port = talaria_conformance::free_port().to_string();
    let put = |site: &str| home.configure(text(site));
    put("log {\n output file one.log\n }");
    let variables = [JSON, ("PORT", port.as_str()), ("RUST_LOG", "")];
    let hub = home.start("ignored", "", &variables).expect("it starts");
    hub.client().get("/one").await;
    lines(&home.path().join("one.log"), 1);
    let reload = || {
        let pid = rustix::process::Pid::from_raw(i32::try_from(hub.pid()).expect("a number"));
        rustix::process::kill_process(pid.expect("a process"), rustix::process::Signal::USR1)
            .expect("it runs");
    };
    put("log {\n output file two.log\n format json {\n message_key said\n }\n }");
    reload();
    record(&hub, |record| record["event"] == "config_reloaded");
    hub.client().get("/two").await;
    let two = lines(&home.path().join("two.log"), 1).remove(0);
    assert_eq!(two["said"], "handled request");
    put("log {\n output file /dev/null/no/folder.log\n }");
    reload();
    let rejected = record(&hub, |record| record["event"] == "config_rejected");
    assert!(
        rejected["error"]
            .as_str()
            .is_some_and(|error| error.contains("cannot be opened")),
        "{rejected}"
    );
    hub.client().get("/three").await;
    assert!(is_for(&lines(&home.path().join("two.log"), 2)[1], "/three"));
    assert_eq!(lines(&home.path().join("one.log"), 1).len(), 1);
    let refused = home
        .start("ignored", "", &variables)
        .err()
        .expect("it is refused");
    assert!(refused.contains("cannot be opened"), "{refused}");
}
