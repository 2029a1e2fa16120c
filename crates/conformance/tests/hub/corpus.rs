//! The corpus of the configuration, served: each site that starts delivers an update, and answers as its file
//! `checks` says.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use talaria_conformance::client::{form, target};
use talaria_conformance::hub::{Home, Hub};
use talaria_conformance::stream::EventStream;
use talaria_conformance::token::{Token, exact};
use talaria_conformance::{HUB_PATH, free_port};

/// The variables by which sites name the application beside the hub.
const APPLICATIONS: [&str; 5] = ["APP", "API", "FRONTEND", "PWA_UPSTREAM", "API_UPSTREAM"];

/// Sites that one flag cannot give another address, because the file has several; `hubs` serves such files. The last
/// needs a server, which `redis` or `postgres` starts.
const NOT_SERVED: [&str; 6] = [
    "19-hub-and-application-apart",
    "20-site-for-health-checks",
    "21-two-named-hubs",
    "22-two-hubs-of-one-transport",
    "53-redis",
    "55-postgres",
];

/// The site whose program logs to a file.
const LOGS_IN_A_FILE: &str = "50-log-in-the-global-options";

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/tests/corpus")
}

/// Copies a folder with what is in it.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in from.read_dir().expect("a folder") {
        let entry = entry.expect("an entry");
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &to);
        } else {
            std::fs::copy(&path, &to).expect("a copy");
        }
    }
}

/// An application that answers with what it was asked.
fn application() -> Hub {
    let home = Home::new();
    let text = "http://127.0.0.1:0 {\n respond \"application: {method} {uri}\"\n mercure {\n transport local\n anonymous\n publisher_jwt {env.MERCURE_PUBLISHER_JWT_KEY}\n }\n}\n";
    home.configure(text);
    home.start("ignored", "", &[]).expect("it starts")
}

/// Starts a site of the corpus in a new folder, on any port and for every host.
fn start(site: &Path, application: &Hub) -> Hub {
    let home = Home::new();
    copy(site, home.path());
    let application = application.address.to_string();
    let mut variables: Vec<(&str, &str)> = APPLICATIONS
        .iter()
        .map(|name| (*name, application.as_str()))
        .collect();
    let environment = home.path().join("environment");
    if !environment.exists() {
        std::fs::write(environment, "").expect("a file");
    }
    variables.push(("MERCURE_TRANSPORT_URL", "local://local"));
    if site.ends_with(LOGS_IN_A_FILE) {
        let port = free_port();
        let address = format!("http://:{port}");
        let arguments = ["--address", &address, "--envfile", "environment"];
        let hub = home.start_unread_with(port, &arguments, "anonymous", &variables);
        assert!(home.path().join("logs/hub.log").exists());
        return hub;
    }
    let arguments = ["--address", "http://:0", "--envfile", "environment"];
    home.start_with(&arguments, "anonymous", &variables)
        .unwrap_or_else(|said| panic!("{}: {said}", site.display()))
}

/// An update that is published at one path of the hub reaches a subscriber of another.
async fn round_trip(hub: &Hub, path: &str, file: &str) {
    let topic = "https://example.com/1";
    let is_modern = file.contains("issuer ");
    let (reader, publisher) = if is_modern {
        let mut pinned = file.lines().map(str::trim);
        let pinned = pinned.find_map(|line| line.strip_prefix("resource_identifier "));
        let audience = pinned.unwrap_or(&hub.audience);
        let token = |action: &str| {
            let token = Token::new(audience).grant(action, &[exact("*")]);
            token.grant(action, &[exact(topic)])
        };
        (
            hub.sign_as_subscriber(&token("subscribe")),
            hub.sign_as_publisher(&token("publish")),
        )
    } else {
        (
            hub.sign_as_subscriber(&Token::older(json!({ "subscribe": ["*"] }))),
            hub.sign_as_publisher(&Token::older(json!({ "publish": ["*"] }))),
        )
    };
    let parameter = if is_modern { "match" } else { "topic" };
    let query = target(&[(parameter, topic)]).replace(HUB_PATH, path);
    let (answer, local) = hub
        .client()
        .bearer(&reader)
        .open("GET", &query, "".into())
        .await;
    assert_eq!(answer.status(), 200, "{path}");
    let mut stream = EventStream::new(answer, local);
    let body = form(&[("topic", topic), ("data", path)]);
    let published = hub
        .client()
        .bearer(&publisher)
        .form()
        .send("POST", path, body)
        .await;
    assert_eq!(published.status, 200, "{path}: {}", published.text);
    assert_eq!(stream.data().await, path);
}

/// Makes the requests of a file `checks`: method, path, status and a part of the body on each line. `HUB` is
/// another path of the hub, and `USER` a request with the password of a user. `FIELD` is followed by a path and by the
/// name and the value of a field of its answer.
async fn check(hub: &Hub, name: &str, line: &str, file: &str) {
    let mut words = line.splitn(4, ' ');
    let mut word = || words.next().unwrap_or_default();
    let (method, path, status, text) = (word(), word(), word(), word());
    if method == "HUB" {
        return round_trip(hub, path, file).await;
    }
    if method == "FIELD" {
        let answer = hub.client().get(path).await;
        return assert_eq!(answer.header(status), text, "{name}: {line}: {answer:?}");
    }
    let client = match method {
        "USER" => {
            let password = STANDARD.encode("ann:a password");
            hub.client()
                .header("authorization", &format!("Basic {password}"))
        }
        _ => hub.client(),
    };
    let method = if method == "USER" { "GET" } else { method };
    let answer = client.send(method, path, "").await;
    assert_eq!(answer.status.as_str(), status, "{name}: {line}: {answer:?}");
    assert!(
        answer.text.contains(text),
        "{name}: {line}: {}",
        answer.text
    );
}

/// Every site of the corpus that starts serves the hub, its files and the application behind it.
#[tokio::test]
async fn each_site_serves_as_it_is_written() {
    let application = application();
    let mut served = 0;
    let mut sites: Vec<PathBuf> = corpus()
        .read_dir()
        .expect("the corpus")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    sites.sort();
    for site in sites {
        let name = site
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        if site.join("expected").exists() || NOT_SERVED.contains(&name.as_str()) {
            continue;
        }
        let text = std::fs::read_to_string(site.join("Caddyfile")).expect("a file");
        let hub = start(&site, &application);
        if name != "28-hub-below-a-path" {
            round_trip(&hub, HUB_PATH, &text).await;
        }
        let checks = std::fs::read_to_string(site.join("checks")).unwrap_or_default();
        for line in checks.lines() {
            check(&hub, &name, line, &text).await;
        }
        served += 1;
    }
    assert!(served >= 30, "{served} sites were served");
}
