//! HTTPS with the certificates of a local authority, and with files (B-060 to B-065).

use std::path::Path;
use std::process::{Command, Output};

use talaria_conformance::hub::{Home, Hub};
use talaria_conformance::token::{Token, exact};

const DIRECTIVES: &str = "anonymous\ntransport memory";

/// `curl` with the root of the home's authority, which it checks names and dates against.
pub fn curl(home: &Home, arguments: &[&str]) -> Output {
    let root = home
        .path()
        .join("data/caddy/pki/authorities/local/root.crt");
    run_curl(&root, arguments)
}

fn run_curl(root: &Path, arguments: &[&str]) -> Output {
    let output = Command::new("curl")
        .args(["-sS", "--max-time", "20", "--cacert"])
        .arg(root)
        .args(arguments)
        .output();
    output.expect("curl is installed")
}

fn text(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn start(home: &Home, port: u16) -> Hub {
    let name = format!("https://localhost:{port}");
    home.start(&name, DIRECTIVES, &[]).expect("it starts")
}

/// HTTP/2 by ALPN and HTTP/1.1; the derived identifier is `https` ("Protected Resource Metadata");
/// what is published arrives.
#[tokio::test]
async fn a_local_authority_certifies_localhost() {
    let home = Home::new();
    let port = talaria_conformance::free_port();
    let hub = start(&home, port);
    let url = format!("https://localhost:{port}/.well-known/mercure");
    let metadata = format!(
        "https://localhost:{port}/.well-known/oauth-protected-resource/.well-known/mercure"
    );
    for (version, name) in [("--http2", "2"), ("--http1.1", "1.1")] {
        let written = ["-w", " %{http_version}", version, metadata.as_str()];
        let answer = text(&curl(&home, &written));
        assert!(
            answer.contains(&format!("\"resource\":\"{url}\"")),
            "{answer}"
        );
        assert!(answer.ends_with(&format!(" {name}")), "{answer}");
    }
    let token = Token::new(&url).grant("publish", &[exact("*")]);
    let authorization = format!("Authorization: Bearer {}", hub.sign_as_publisher(&token));
    let publish = [
        "-H",
        &authorization,
        "-d",
        "topic=a",
        "-d",
        "data=over TLS",
        &url,
    ];
    let id = text(&curl(&home, &publish));
    assert!(id.starts_with("urn:uuid:"), "{id}");
    let resume = format!("{url}?match=a&last_event_id=earliest");
    let mut arguments = vec!["-N", "--http2", "--max-time", "2"];
    arguments.push(&resume);
    let stream = curl(&home, &arguments).stdout;
    let stream = String::from_utf8(stream).expect("text");
    assert!(
        stream.contains(&format!("id: {id}\ndata: over TLS\n\n")),
        "{stream}"
    );
}

/// A client that verifies refuses the certificate of another name, and the log says what to write; another `Host` gets 421
/// (B-063).
#[tokio::test]
async fn other_names_are_refused() {
    let home = Home::new();
    let port = talaria_conformance::free_port();
    let hub = start(&home, port);
    let resolve = format!("other.localhost:{port}:127.0.0.1");
    let url = format!("https://other.localhost:{port}/");
    let refused = curl(&home, &["--resolve", &resolve, &url]);
    assert!(!refused.status.success());
    let line = hub.log.find(0, talaria_conformance::PATIENCE, |line| {
        line.contains("SERVER_NAME=\"localhost, other.localhost\"")
            .then_some(())
    });
    line.expect("a line about it");
    let url = format!("https://localhost:{port}/");
    let status = [
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        "-H",
        "Host: x",
        &url,
    ];
    assert_eq!(text(&curl(&home, &status)), "421");
}

/// The root outlives the process, so that a client trusts it once; `trust --print` shows it
/// (B-065).
#[tokio::test]
async fn the_root_stays() {
    let home = Home::new();
    let port = talaria_conformance::free_port();
    start(&home, port).stop().await;
    let root = home
        .path()
        .join("data/caddy/pki/authorities/local/root.crt");
    let kept = home.path().join("kept.crt");
    std::fs::copy(&root, &kept).expect("a copy");
    let printed = home.run(&["trust", "--print"]);
    assert_eq!(printed.stdout, std::fs::read(&kept).expect("the root"));
    let _hub = start(&home, port);
    let url = format!("https://localhost:{port}/robots.txt");
    assert!(text(&run_curl(&kept, &[&url])).contains("Disallow"));
}

/// Makes a self-signed certificate for a host, and its key, in these files of a folder.
pub fn certify(folder: &Path, host: &str, [certificate, key]: [&str; 2]) {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt"])
        .args(["ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
        .args(["-subj", &format!("/CN={host}")])
        .args(["-addext", &format!("subjectAltName=DNS:{host}")])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", key, "-out", certificate])
        .current_dir(folder)
        .output();
    assert!(made.expect("openssl is installed").status.success());
}

/// A site's own certificate, from files.
#[tokio::test]
async fn a_certificate_may_come_from_files() {
    let home = Home::new();
    let (certificate, key) = (home.path().join("c.pem"), home.path().join("k.pem"));
    certify(home.path(), "hub.test", ["c.pem", "k.pem"]);
    let port = talaria_conformance::free_port();
    let file = format!(
        "{{\n auto_https disable_redirects\n}}\nhttps://hub.test:{port} {{\n tls c.pem k.pem\n mercure {{\n anonymous\n transport memory\n }}\n}}\n"
    );
    home.configure(file);
    let _hub = home.start("ignored", "", &[]).expect("it starts");
    let resolve = format!("hub.test:{port}:127.0.0.1");
    let url = format!("https://hub.test:{port}/robots.txt");
    let answer = run_curl(&certificate, &["--resolve", &resolve, &url]);
    assert!(text(&answer).contains("Disallow"));
    std::fs::write(&key, "no key").expect("a file");
    let error = home
        .start("ignored", "", &[])
        .map(|_| ())
        .expect_err("a wrong key");
    assert!(error.contains("k.pem"), "{error}");
}

/// The authority that the existing hub left in the volume stays in use, so that no client must
/// trust a new root (B-065). Its keys have the form `EC PRIVATE KEY` (RFC 5915).
#[tokio::test]
async fn an_existing_authority_goes_on() {
    let home = Home::new();
    let folder = home.path().join("data/caddy/pki/authorities/local");
    std::fs::create_dir_all(&folder).expect("a folder");
    let openssl = |arguments: &str| {
        let output = Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(&folder)
            .output()
            .expect("openssl is installed");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments}: {error}");
    };
    let extensions = |below: &str| {
        format!(
            "basicConstraints=critical,CA:true,pathlen:{below}\nkeyUsage=critical,keyCertSign,cRLSign\n\
             subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
        )
    };
    std::fs::write(folder.join("root.ext"), extensions("1")).expect("a file");
    std::fs::write(folder.join("intermediate.ext"), extensions("0")).expect("a file");
    for name in ["root", "intermediate"] {
        openssl(&format!(
            "ecparam -name prime256v1 -genkey -noout -out {name}.key"
        ));
        openssl(&format!(
            "req -new -key {name}.key -subj /CN=Existing-{name} -out {name}.csr"
        ));
    }
    openssl("x509 -req -in root.csr -signkey root.key -days 3600 -extfile root.ext -out root.crt");
    openssl(
        "x509 -req -in intermediate.csr -CA root.crt -CAkey root.key -CAcreateserial -days 7 \
         -extfile intermediate.ext -out intermediate.crt",
    );
    let key = std::fs::read_to_string(folder.join("root.key")).expect("a key");
    assert!(key.contains("BEGIN EC PRIVATE KEY"), "{key}");
    let before = ["root.crt", "intermediate.crt"].map(|name| std::fs::read(folder.join(name)));
    let kept = home.path().join("kept.crt");
    std::fs::copy(folder.join("root.crt"), &kept).expect("a copy");

    let port = talaria_conformance::free_port();
    let _hub = start(&home, port);
    let url = format!("https://localhost:{port}/robots.txt");
    assert!(text(&run_curl(&kept, &[&url])).contains("Disallow"));
    let after = ["root.crt", "intermediate.crt"].map(|name| std::fs::read(folder.join(name)));
    for (before, after) in before.into_iter().zip(after) {
        assert_eq!(before.expect("a file"), after.expect("a file"));
    }
}

/// Requests over plain HTTP are redirected to HTTPS, whatever they ask for, except one that names
/// no host (B-062, B-292).
#[tokio::test]
async fn plain_http_is_sent_to_https() {
    let home = Home::new();
    let (http, https) = (
        talaria_conformance::free_port(),
        talaria_conformance::free_port(),
    );
    let options = format!("http_port {http}\nhttps_port {https}\nskip_install_trust");
    let _hub = home
        .start("localhost", DIRECTIVES, &[("GLOBAL_OPTIONS", &options)])
        .expect("it starts");
    let url = format!("http://localhost:{http}/.well-known/mercure?match=a%20b");
    let written = "%{http_code} %{redirect_url}";
    let asked = [
        "-o",
        "/dev/null",
        "-w",
        written,
        "-d",
        "topic=a",
        url.as_str(),
    ];
    let target = format!("https://localhost:{https}/.well-known/mercure?match=a%20b");
    assert_eq!(text(&curl(&home, &asked)), format!("308 {target}"));
    let nameless = [
        "--http1.0",
        "-H",
        "Host:",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        &url,
    ];
    assert_eq!(text(&curl(&home, &nameless)), "421");
}

/// The health check of the recipes, `curl -f https://localhost/healthz`, knows no root but the
/// machine's (B-065, B-871). Where the process may not write those, the log says how to.
#[tokio::test]
async fn the_machine_trusts_its_own_hub() {
    let home = Home::new();
    let port = talaria_conformance::free_port();
    let name = format!("https://localhost:{port}");
    let hub = home
        .start(&name, DIRECTIVES, &[("GLOBAL_OPTIONS", "")])
        .expect("it starts");
    let told = |line: &str| {
        let trusted = line.contains("this machine trusts the root");
        let untrusted = line.contains("this machine does not trust");
        (trusted || untrusted).then_some(trusted)
    };
    let trusted = hub.log.find(0, talaria_conformance::PATIENCE, told);
    let trusted = trusted.expect("a line about it");
    let check = || {
        let mut curl = Command::new("curl");
        curl.args(["-fsS", "--max-time", "20", &format!("{name}/healthz")]);
        curl.output().expect("curl is installed").status.success()
    };
    assert_eq!(check(), trusted);
    if trusted {
        assert!(home.run(&["untrust"]).status.success());
        assert!(!check());
    }
}
