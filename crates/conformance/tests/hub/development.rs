//! Hubs to try things out: the development file of older images, `playground`, and `talaria dev`.

use std::io::Read as _;
use std::process::Stdio;

use serde_json::json;
use talaria_conformance::client::Client;
use talaria_conformance::hub::{Home, PUBLISHER_KEY};
use talaria_conformance::token::{Token, exact};

/// The commands of compose files name a file that later images lack; its name is enough, what
/// MERCURE_EXTRA_DIRECTIVES says takes precedence, and a file that exists counts (B-092, B-093, B-870).
#[tokio::test]
async fn the_development_file_need_not_exist() {
    for name in ["dev.Caddyfile", "Caddyfile.dev"] {
        let home = Home::new();
        let directives = "cors_origins http://127.0.0.1:8000";
        let arguments = ["run", "--config", name];
        let hub = home
            .start_by(&arguments, "http://127.0.0.1:0", directives)
            .expect("it starts");
        let said = hub.log.since(0).join("\n");
        assert!(said.contains(&format!("{name} does not exist")), "{said}");
        let root = hub.client().get("/").await;
        assert_eq!(root.status, 302);
        let page = "/.well-known/mercure/ui/";
        assert_eq!(root.headers["location"], page);
        let page = hub.client().get(page).await;
        assert_eq!(page.status, 200);
        assert!(page.text.contains("<title>Debugger"), "{}", page.text);

        let reader = hub.client().header("origin", "http://127.0.0.1:8000");
        let mut stream = reader.subscribe(&[exact("a")]).await;
        let token = Token::older(json!({ "publish": ["*"] })).sign(PUBLISHER_KEY);
        let publisher = hub.client().bearer(&token);
        publisher.published(&[("topic", "a"), ("data", "x")]).await;
        assert_eq!(stream.data().await, "x");
        hub.stop().await;

        std::fs::write(home.path().join(name), ":0\nwrong\n").expect("a file");
        let failed = home.start_by(&arguments, "http://127.0.0.1:0", directives);
        let said = failed.map(|_| ()).expect_err("the file counts");
        assert!(said.contains(&format!("{name}:2:1")), "{said}");
    }
}

/// `talaria dev` on every interface, over HTTPS: the playground comes first and `/` leads to it; the printed commands
/// work as they are, also under the address that other machines use.
#[tokio::test]
async fn dev_listens_elsewhere() {
    for https in [false, true] {
        let home = Home::new();
        let mut arguments = vec!["dev", "--address", "0.0.0.0", "--port", "0"];
        arguments.extend(https.then_some("--https"));
        let mut program = home.program();
        program.args(&arguments).stdout(Stdio::piped());
        let mut child = Killed(program.stderr(Stdio::null()).spawn().expect("it starts"));
        let mut greeting = String::new();
        let mut out = child.0.stdout.take().expect("its output is ours");
        let mut bytes = [0; 1024];
        while !greeting.contains("talaria token") || !greeting.ends_with("\n\n") {
            let read = out.read(&mut bytes).expect("it prints");
            assert!(read > 0, "{greeting}");
            greeting.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
        let commands: Vec<&str> = greeting
            .lines()
            .filter(|l| l.starts_with("curl "))
            .collect();
        let publish = commands[1].replace("curl ", "curl -fsS ");
        let output = std::process::Command::new("sh")
            .args(["-c", &publish])
            .output();
        let output = output.expect("a shell");
        let id = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(id.starts_with("urn:uuid:"), "{publish}: {output:?}");
        let first = greeting.lines().next().expect("a line");
        let playground = first
            .strip_prefix("Its playground: ")
            .expect("the page comes first");
        assert!(
            playground.ends_with("/.well-known/mercure/debug/"),
            "{playground}"
        );
        if !https {
            let (_, url) = publish.rsplit_once("http://").expect("a URL");
            let (address, _) = url.split_once('/').expect("a path");
            let (_, token) = publish.split_once("Bearer ").expect("a token");
            let (token, _) = token.split_once('\'').expect("its end");
            let elsewhere = Client::new(address.parse().expect("an address"), "hub.example");
            assert_eq!(
                elsewhere.get("/").await.header("location"),
                "/.well-known/mercure/debug/"
            );
            let minted = elsewhere
                .get("/.well-known/mercure/debug/playground-token")
                .await
                .text;
            for token in [token, &minted] {
                let publisher =
                    Client::new(address.parse().expect("an address"), "hub.example").bearer(token);
                publisher.published(&[("topic", "a"), ("data", "x")]).await;
            }
        }
    }
}

/// A program that ends with the test.
struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
