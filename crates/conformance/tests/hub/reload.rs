//! Reloading (B-013, B-050, B-053): by verb, signal, request and watch; what is wrong leaves the old in force.

use rustix::process::Signal;
use talaria_conformance::behind;
use talaria_conformance::within;

use crate::running::{Running, caddyfile};

/// A site that answers `/version` with this text, beside its hub.
fn version(text: &str) -> String {
    let site = format!("respond /version {text}\nmercure {{");
    caddyfile("", "").replace("mercure {", &site)
}

async fn serves(hub: &Running, expected: &str) {
    within("the other configuration", async {
        while hub.client().get("/version").await.text != expected {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
}

fn write(hub: &Running, text: &str) {
    hub.home.configure(text);
}

/// `reload` puts the changed file in force, and a stream goes on. What has not changed is not loaded again
/// unless it is forced.
#[tokio::test]
async fn by_verb() {
    let hub = Running::start(&version("one"), &[]);
    let mut stream = hub.client().subscribe_with(&[("match", "a")]).await;
    serves(&hub, "one").await;
    write(&hub, &version("two"));
    let (code, said) = hub.verb(&["reload"]);
    assert_eq!(code, Some(0), "{said}");
    serves(&hub, "two").await;
    let shown = hub.admin().get("/config/").await.text;
    assert!(shown.contains("two"), "{shown}");
    for (arguments, words) in [
        (&["reload"][..], "the configuration is unchanged"),
        (&["reload", "--force"], "a configuration was loaded"),
    ] {
        let from = hub.log.len();
        assert_eq!(hub.verb(arguments).0, Some(0));
        hub.logs(from, words);
    }
    // The stream is of the first configuration; the update comes by the third.
    let publisher = talaria_conformance::token::Token::new(&format!(
        "http://{}/.well-known/mercure",
        hub.address
    ))
    .grant("publish", &[talaria_conformance::token::exact("*")])
    .sign(talaria_conformance::hub::PUBLISHER_KEY);
    let publisher = hub.client().bearer(&publisher);
    publisher
        .published(&[("topic", "a"), ("data", "after")])
        .await;
    assert_eq!(stream.data().await, "after");
}

/// The program's own verbs are answered although every request has to name an origin.
#[tokio::test]
async fn by_verb_with_enforce_origin() {
    let port = talaria_conformance::free_port();
    let option = format!("admin localhost:{port} {{\nenforce_origin\n}}");
    let text = |answer: &str| version(answer).replacen('{', &format!("{{\n{option}"), 1);
    let mut hub = Running::start(&text("one"), &[]);
    assert_eq!(hub.admin().get("/metrics").await.status, 403);
    write(&hub, &text("two"));
    for verb in [
        vec!["reload"],
        vec!["healthcheck", "--admin", &format!("localhost:{port}")],
    ] {
        let (code, said) = hub.verb(&verb);
        assert_eq!(code, Some(0), "{verb:?}: {said}");
    }
    serves(&hub, "two").await;
    assert_eq!(hub.verb(&["stop"]).0, Some(0));
    assert_eq!(hub.exit().await.code(), Some(0));
}

/// A wrong file is refused with every error, and the old configuration stays.
#[tokio::test]
async fn a_wrong_file_changes_nothing() {
    let hub = Running::start(&version("one"), &[]);
    write(&hub, &version("two").replace("anonymous", "anonymus"));
    let (code, said) = hub.verb(&["reload"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("did you mean `anonymous`?"), "{said}");
    hub.signal(Signal::USR1);
    hub.logs(0, "SIGUSR1: the configuration was not reloaded");
    serves(&hub, "one").await;
    let metrics = hub.admin().get("/metrics").await.text;
    assert!(metrics.contains("\ncaddy_config_last_reload_successful 0\n"));
}

/// SIGUSR1 reads the file again that the hub was started with.
#[tokio::test]
async fn by_signal() {
    let hub = Running::start(&version("one"), &[]);
    write(&hub, &version("two"));
    hub.signal(Signal::USR1);
    serves(&hub, "two").await;
}

/// `POST /load` takes a Caddyfile, and what `adapt` prints.
#[tokio::test]
async fn by_request() {
    let hub = Running::start(&version("one"), &[]);
    let load = |kind: &str| hub.admin().header("content-type", kind);
    let answer = load("text/caddyfile")
        .send("POST", "/load", behind::file(&version("two")).into_owned())
        .await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, ""));
    serves(&hub, "two").await;
    write(&hub, &version("three"));
    let adapted = hub.home.run(&["adapt"]).stdout;
    let answer = load("application/json")
        .send("POST", "/load", adapted)
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    serves(&hub, "three").await;
}

/// `--watch` sees the file change, and one that it imports; half a file changes nothing.
#[tokio::test]
async fn by_watch() {
    let text = version("one").replace("respond /version one", "import part");
    let hub = {
        let home = talaria_conformance::hub::Home::new();
        std::fs::write(home.path().join("part"), "respond /version one").unwrap();
        home.configure(&text);
        Running::start_in(home, &["--watch"])
    };
    serves(&hub, "one").await;
    std::fs::write(hub.home.path().join("part"), "respond /version two").unwrap();
    serves(&hub, "two").await;
    write(&hub, &text[..text.len() / 2]);
    hub.logs(0, "the changed configuration is wrong");
    serves(&hub, "two").await;
    // A wrong file that is imported from a folder that was not watched is put right.
    let late = hub.home.path().join("sub/late");
    std::fs::create_dir(late.parent().unwrap()).unwrap();
    std::fs::write(&late, "respondd /version late").unwrap();
    let from = hub.log.len();
    write(&hub, &text.replace("import part", "import sub/late"));
    hub.logs(from, "the changed configuration is wrong");
    std::fs::write(&late, "respond /version late").unwrap();
    serves(&hub, "late").await;
    write(&hub, &version("three"));
    serves(&hub, "three").await;
}

/// `--resume` starts with what was last loaded, which only its user can read; `persist_config off` keeps
/// nothing.
#[tokio::test]
async fn resume() {
    use std::os::unix::fs::PermissionsExt as _;
    let kept = "config/caddy/talaria-autosave.json";
    let hub = Running::start(&version("one"), &["--resume"]);
    write(&hub, &version("two"));
    assert_eq!(hub.verb(&["reload"]).0, Some(0));
    let mode = std::fs::metadata(hub.home.path().join(kept))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    write(&hub, &version("three"));
    let home = hub.home.clone();
    drop(hub);
    let hub = Running::start_in(home.clone(), &["--resume"]);
    serves(&hub, "two").await;
    // The file that a signal put in force is newer than what was kept.
    hub.signal(Signal::USR1);
    hub.logs(0, "because of SIGUSR1");
    serves(&hub, "three").await;
    drop(hub);
    let hub = Running::start_in(home, &["--resume"]);
    serves(&hub, "three").await;

    let text = version("one").replacen('{', "{\npersist_config off", 1);
    let hub = Running::start(&text, &[]);
    assert_eq!(hub.verb(&["reload", "--force"]).0, Some(0));
    assert!(!hub.home.path().join(kept).exists());
}

/// Another admin address is taken over by a reload.
#[tokio::test]
async fn the_admin_listener_moves() {
    let hub = Running::start(&version("one"), &[]);
    let port = talaria_conformance::free_port();
    write(
        &hub,
        &version("two").replacen('{', &format!("{{\nadmin localhost:{port}"), 1),
    );
    let address = hub.admin.to_string();
    let (code, said) = hub.verb(&["reload", "--address", &address]);
    assert_eq!(code, Some(0), "{said}");
    let moved = format!("localhost:{port}");
    let (code, said) = hub.verb(&["healthcheck", "--admin", &moved]);
    assert_eq!(code, Some(0), "{said}");
    assert!(tokio::net::TcpStream::connect(hub.admin).await.is_err());
}
