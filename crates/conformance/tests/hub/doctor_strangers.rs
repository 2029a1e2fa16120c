//! `talaria doctor` and what is not a Mercure hub.

use std::net::{IpAddr, UdpSocket};

use talaria_conformance::hub::{Home, PUBLISHER_KEY};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::nginx::Nginx;

async fn fault(home: &Home, url: &str) -> String {
    let mut command = home.program();
    command.args(["doctor", url]);
    let output = tokio::task::spawn_blocking(move || command.output());
    let output = output.await.expect("it ran").expect("it runs");
    let text = String::from_utf8([output.stdout, output.stderr].concat()).expect("UTF-8");
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("faults: 1\n"), "{text}");
    text
}

fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
}

/// A web page, a path without anything, a redirect, a JSON API and a login are called what they are.
#[tokio::test]
async fn web_servers_are_told_from_hubs() {
    let home = Home::new();
    let nginx = Nginx::serve(
        "location = /page { return 200 '<h1>Shop</h1>'; }\n\
         location = /linked { add_header Link '<https://hub.example/.well-known/mercure>; rel=\"mercure\"'; return 200 'x'; }\n\
         location = /api { default_type application/json; return 200 '{}'; }\n\
         location = /refused { default_type application/json; return 401 '{}'; }\n\
         location = /moved { return 301 https://elsewhere.example/hub; }\n\
         location = /login { auth_basic 'Staff'; auth_basic_user_file /dev/null; }\n\
         location = /forbidden { return 403; }\n\
         location / { return 404; }",
    );
    let at = |path: &str| format!("{}{path}", nginx.url());
    const NO_HUB: &str = "FAULT   hub: this is not a Mercure hub: ";
    for (path, parts) in [
        (
            "/page",
            &[NO_HUB, "this is a web page", "/.well-known/mercure"][..],
        ),
        (
            "/linked",
            &[
                NO_HUB,
                "ask the hub that this answer names: https://hub.example/.well-known/mercure",
            ],
        ),
        ("/api", &[NO_HUB, "this is a JSON API (200 OK)"]),
        ("/refused", &[NO_HUB, "something asks for a login first"]),
        (
            "/login",
            &[NO_HUB, "asks for a login first (Basic realm=\"Staff\")"],
        ),
        (
            "/forbidden",
            &[NO_HUB, "access is forbidden before a hub is asked"],
        ),
        (
            "/moved",
            &["the hub's URL redirects to https://elsewhere.example/hub"],
        ),
        (
            "/",
            &[
                NO_HUB,
                "nginx",
                "nothing is at this path (404 Not Found)",
                "docs/proxies.md",
            ],
        ),
    ] {
        says(&fault(&home, &at(path)).await, parts);
    }
}

/// A service that greets, one that answers no HTTP, and TLS where none is asked for.
#[tokio::test]
async fn other_services_are_told_from_hubs() {
    let home = Home::new();
    for (greets, answer) in [
        (true, "SSH-2.0-Example\r\n"),
        (false, "-ERR unknown command\r\n"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let serving = tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                if !greets {
                    _ = client.read(&mut [0; 512]).await;
                }
                _ = client.write_all(answer.as_bytes()).await;
                _ = client.shutdown().await;
            }
        });
        let text = fault(&home, &format!("http://127.0.0.1:{port}")).await;
        let quoted = format!("it says {:?}", answer.trim_end());
        says(
            &text,
            &[
                "FAULT   connection: this is not a Mercure hub",
                "does not speak HTTP",
                &quoted,
            ],
        );
        serving.abort();
    }

    let unused = talaria_conformance::free_port();
    let text = fault(&home, &format!("http://127.0.0.1:{unused}")).await;
    says(
        &text,
        &[
            "FAULT   connection: ",
            "Connection refused",
            "start the hub",
        ],
    );
    let text = fault(&home, "http://talaria-doctor.invalid").await;
    says(&text, &["correct the host in the URL"]);
}

/// `http` where `https` is spoken, and the reverse.
#[tokio::test]
async fn the_wrong_scheme_is_named() {
    let home = Home::new();
    let plain = home.hub("anonymous\ntransport memory").expect("it starts");
    let url = format!("https://127.0.0.1:{}", plain.address.port());
    let text = fault(&home, &url).await;
    says(
        &text,
        &[
            "this port speaks plain HTTP",
            "write http:// in the URL",
            "docs/https.md#the-wrong-scheme",
        ],
    );
    let port = talaria_conformance::free_port();
    let name = format!("https://localhost:{port}");
    let _hub = home
        .start(&name, "anonymous\ntransport memory", &[])
        .expect("it starts");
    let text = fault(&home, &format!("http://localhost:{port}")).await;
    says(&text, &["FAULT   "]);
    assert!(text.contains("https"), "{text}");
}

/// An address of this machine that is not the loopback one.
fn outside() -> IpAddr {
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
    // Nothing is sent: it only chooses an address (RFC 5737).
    socket
        .connect("192.0.2.1:9")
        .expect("a route out of this machine");
    socket.local_addr().expect("an address").ip()
}

/// An admin listener that answers from outside is a fault.
#[tokio::test]
async fn an_admin_listener_in_public_is_a_fault() {
    let ip = outside();
    for (interface, finding) in [
        (
            "0.0.0.0",
            "FAULT   admin: an admin listener can be reached from here",
        ),
        (
            "127.0.0.1",
            "ok      admin: no admin listener answers on port",
        ),
    ] {
        let home = Home::new();
        let admin = talaria_conformance::free_port();
        let port = talaria_conformance::free_port();
        let text = format!(
            "{{\nadmin {interface}:{admin}\n}}\nhttp://{ip}:{port} {{\nmercure {{\npublisher_jwt \"{PUBLISHER_KEY}\"\n\
             anonymous\ntransport memory\n}}\n}}\n"
        );
        home.configure(text);
        // The hub in the background keeps standard error open.
        let log = std::fs::File::create(home.path().join("log")).expect("a file");
        let mut start = home.program();
        start
            .arg("start")
            .stdout(std::process::Stdio::null())
            .stderr(log);
        assert!(start.status().expect("it runs").success());
        let url = format!("http://{ip}:{port}");
        let output = home.run(&["doctor", &url, "--admin-port", &admin.to_string()]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let stopped = home.run(&["stop", "--address", &format!("127.0.0.1:{admin}")]);
        assert!(stopped.status.success(), "{stopped:?}");
        assert!(said.contains(finding), "{interface}: {said}");
    }
}
