//! The verbs of the command line that the existing server has (B-010 to B-017), and its signals (B-050).

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use talaria_conformance::PATIENCE;
use talaria_conformance::hub::{Home, PUBLISHER_KEY, program};

use crate::running::{Running, caddyfile};

fn ordinary() -> Running {
    Running::start(&caddyfile("", ""), &[])
}

fn said(output: &Output) -> String {
    let said = [output.stdout.clone(), output.stderr.clone()].concat();
    String::from_utf8(said).unwrap()
}

/// Waits until a condition holds that a test cannot be told of.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain for: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// `stop` ends a hub, which it finds by a flag, a variable or its configuration.
#[tokio::test]
async fn stop() {
    let by_flag = |hub: &Running| {
        let address = hub.admin.to_string();
        let output = hub
            .home
            .program()
            .args(["stop", "--address", &address])
            .output();
        output.unwrap().status.code()
    };
    let by_variable = |hub: &Running| hub.verb(&["stop"]).0;
    for stop in [&by_flag as &dyn Fn(&Running) -> Option<i32>, &by_variable] {
        let mut hub = ordinary();
        assert_eq!(stop(&hub), Some(0));
        assert_eq!(hub.exit().await.code(), Some(0));
    }
    let port = talaria_conformance::free_port();
    let mut hub = Running::start(&caddyfile(&format!("admin localhost:{port}"), ""), &[]);
    assert_eq!(hub.home.run(&["stop"]).status.code(), Some(0));
    assert_eq!(hub.exit().await.code(), Some(0));
    // No hub is there any more.
    let output = hub.home.run(&["stop"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains("does not answer"),
        "{}",
        said(&output)
    );
    let output = hub
        .home
        .program()
        .args(["stop", "--address", "http://x"])
        .output()
        .unwrap();
    assert!(said(&output).contains("--address"));
    hub.home.configure(caddyfile("admin off", ""));
    assert!(said(&hub.home.run(&["stop"])).contains("admin off"));
}

/// `start` returns when the hub serves; the file of `--pidfile` is there then, and gone after `stop`.
#[tokio::test]
async fn start_and_stop() {
    let home = Home::new();
    let port = talaria_conformance::free_port();
    let admin = talaria_conformance::free_port();
    let text = caddyfile(&format!("admin localhost:{admin}"), "");
    let text = text.replace("127.0.0.1:0", &format!("127.0.0.1:{port}"));
    home.configure(text);
    let log = std::fs::File::create(home.path().join("log")).unwrap();
    let output = home
        .program()
        .args(["start", "--config", "Caddyfile", "--pidfile", "pid"])
        .stderr(log)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let healthy = home.run(&["healthcheck"]);
    assert_eq!(healthy.status.code(), Some(0), "{}", said(&healthy));
    let pidfile = home.path().join("pid");
    until("the file with its number", || pidfile.exists()).await;
    let pid = std::fs::read_to_string(&pidfile).unwrap().trim().to_owned();
    assert!(said(&output).contains(&format!("process {pid}")));
    assert_eq!(home.run(&["stop"]).status.code(), Some(0));
    until("the end of the hub", || !pidfile.exists()).await;
    let process = format!("/proc/{pid}/exe");
    until("the end of the process", || !Path::new(&process).exists()).await;
    let healthy = home.run(&["healthcheck"]);
    assert_eq!(healthy.status.code(), Some(1), "{}", said(&healthy));

    // A hub that cannot start is told of.
    home.configure("wrong");
    let output = home.run(&["start"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains("ended before it served"),
        "{}",
        said(&output)
    );
}

/// SIGQUIT ends the hub at once with code 2; SIGHUP and SIGUSR2 are logged.
#[tokio::test]
async fn signals() {
    let mut hub = Running::start(&caddyfile("", "drain_timeout 600s"), &["--pidfile", "pid"]);
    let pidfile = hub.home.path().join("pid");
    until("the file with its number", || pidfile.exists()).await;
    for (signal, name) in [(Signal::HUP, "SIGHUP"), (Signal::USR2, "SIGUSR2")] {
        hub.signal(signal);
        hub.logs(0, name);
    }
    let _stream = hub.client().subscribe_with(&[("match", "a")]).await;
    hub.signal(Signal::QUIT);
    assert_eq!(hub.exit().await.code(), Some(2));
    assert!(!pidfile.exists());
}

/// A hub that variables configure does not know what to reload, says so, and serves on.
#[tokio::test]
async fn sigusr1_without_a_file() {
    let home = Home::new();
    let hub = home.hub("anonymous\ntransport memory").unwrap();
    let pid = i32::try_from(hub.pid()).unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, Signal::USR1).unwrap();
    let logged = hub
        .log
        .find(0, PATIENCE, |line| line.contains("SIGUSR1").then_some(()));
    logged.unwrap();
    assert_eq!(hub.client().get("/healthz").await.status, 200);
}

/// `environ`, alone or before `run`, shows variables and folders, and no secret.
#[test]
fn environ() {
    let home = Home::new();
    let environment = |arguments: &[&str]| {
        let mut command = home.program();
        command
            .args(arguments)
            .env("MERCURE_PUBLISHER_JWT_KEY", PUBLISHER_KEY)
            .env(
                "MERCURE_EXTRA_DIRECTIVES",
                format!("wrong\nsubscriber_jwt {PUBLISHER_KEY}"),
            )
            .env("DATABASE_URL", "pgsql://me:S3CR3T@db/x")
            .env("SERVER_NAME", ":0");
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    for arguments in [&["environ"][..], &["run", "--environ"], &["run", "-e"]] {
        let text = environment(arguments);
        for shown in [
            format!("XDG_DATA_HOME={}", home.path().join("data").display()),
            format!(
                "talaria.DataDirectory={}",
                home.path().join("data/caddy").display()
            ),
            "SERVER_NAME=:0".to_owned(),
            "MERCURE_PUBLISHER_JWT_KEY=REDACTED".to_owned(),
        ] {
            assert!(text.lines().any(|line| line == shown), "{shown} in {text}");
        }
        assert!(
            !text.contains(PUBLISHER_KEY) && !text.contains("S3CR3T"),
            "{text}"
        );
    }
}

/// `fmt` prints the form and exits with 1, `--overwrite` writes it, `--diff` shows what changes.
#[test]
fn fmt() {
    let home = Home::new();
    let file = home.path().join("Caddyfile");
    let form = ":80 {\n\tmercure {\n\t\tanonymous\n\t}\n}\n";
    std::fs::write(&file, ":80 {\nmercure {\n  anonymous\n}\n}\n").unwrap();
    let output = home.run(&["fmt"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), form);
    let output = home.run(&["fmt", "--diff", "Caddyfile"]);
    assert_eq!(output.status.code(), Some(1));
    let diff = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        diff,
        "  :80 {\n- mercure {\n-   anonymous\n- }\n+ \tmercure {\n+ \t\tanonymous\n+ \t}\n  }\n"
    );
    let output = home.run(&["fmt", "--overwrite"]);
    assert_eq!(
        (output.status.code(), output.stdout.as_slice()),
        (Some(0), &b""[..])
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), form);
    for arguments in [&["fmt"][..], &["fmt", "-d"], &["fmt", "-c", "Caddyfile"]] {
        assert_eq!(home.run(arguments).status.code(), Some(0), "{arguments:?}");
    }
    let mut input = home.program();
    input
        .args(["fmt", "-"])
        .stdin(std::fs::File::open(&file).unwrap());
    let output = input.output().unwrap();
    assert_eq!(
        (output.status.code(), output.stdout),
        (Some(0), form.into())
    );
    std::fs::write(&file, "a \"b").unwrap();
    let output = home.run(&["fmt", "-w"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("Caddyfile:1:3"), "{}", said(&output));
}

/// `adapt` prints the tree, of a file or of what variables configure; with `--validate` it also checks.
#[test]
fn adapt() {
    let home = Home::new();
    let json = |output: Output| {
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        json["caddyfile"].clone()
    };
    let mut command = home.program();
    command
        .arg("adapt")
        .env("MERCURE_EXTRA_DIRECTIVES", "heartbeat 5s");
    command.env("MERCURE_PUBLISHER_JWT_KEY", PUBLISHER_KEY);
    let output = command.output().unwrap();
    assert!(!said(&output).contains(PUBLISHER_KEY), "{}", said(&output));
    let adapted = json(output);
    assert_eq!(adapted["lines"][0]["name"], "localhost");
    let hub = &adapted["lines"][0]["block"][0];
    assert_eq!(
        hub["block"][1],
        serde_json::json!({ "name": "heartbeat", "args": ["5s"] })
    );

    let file = home.path().join("Caddyfile");
    std::fs::write(
        &file,
        "(a) {\n heartbeet 5s\n}\n:80 {\n mercure {\n import a\n}\n}",
    )
    .unwrap();
    let adapted = json(home.run(&["adapt", "--pretty"]));
    assert_eq!(
        adapted["lines"][0]["block"][0]["block"][0]["name"],
        "heartbeet"
    );
    let output = home.run(&["adapt", "--validate"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains("did you mean `heartbeat`?"),
        "{}",
        said(&output)
    );
}

/// `healthcheck` asks the hub of the configuration, a URL or an admin listener, and tells by its exit code.
#[tokio::test]
async fn healthcheck() {
    let mut hub = ordinary();
    let url = format!("http://{}/healthz", hub.address);
    let admin = hub.admin.to_string();
    let asked = [["--url", url.as_str()], ["--admin", admin.as_str()]];
    for asked in asked {
        let (code, said) = hub.verb(&["healthcheck", asked[0], asked[1]]);
        assert_eq!(code, Some(0), "{said}");
    }
    let missing = format!("http://{}/missing", hub.address);
    let (code, said) = hub.verb(&["healthcheck", "--url", &missing]);
    assert_eq!(code, Some(1));
    assert!(said.contains("404"), "{said}");
    hub.signal(Signal::TERM);
    hub.exit().await;
    for asked in asked {
        let (code, said) = hub.verb(&["healthcheck", asked[0], asked[1]]);
        assert_eq!(code, Some(1), "{said}");
    }
}

/// Verbs that inform print what they are asked, and those that other tools do say which.
#[test]
fn informing() {
    let home = Home::new();
    for (arguments, says) in [
        (&["list-modules"][..], "http.handlers.mercure\n"),
        (&["list-modules", "-s"], "http.mercure.redis\n"),
        (&["list-modules", "--versions"], "http.handlers.mercure 0."),
        (&["build-info"], "talaria"),
        (&["version"], "Talaria 0."),
        (&["help", "reload"], "--force"),
    ] {
        let output = home.run(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(
            said(&output).contains(says),
            "{arguments:?}: {}",
            said(&output)
        );
    }
    for (verb, says) in [("storage", "talaria history"), ("upgrade", "image")] {
        let output = home.run(&[verb]);
        assert_eq!(output.status.code(), Some(1), "{verb}");
        assert!(said(&output).contains(says), "{verb}: {}", said(&output));
    }
}

/// Called as the existing server, the program is the same, and its help has that name (B-005).
#[test]
fn other_names() {
    let home = Home::new();
    for name in ["caddy", "mercure"] {
        let path = home.path().join(name);
        std::os::unix::fs::symlink(program(), &path).unwrap();
        let run = |arguments: &[&str]| {
            let output = Command::new(&path)
                .args(arguments)
                .stdin(Stdio::null())
                .output();
            output.unwrap()
        };
        let help = said(&run(&["run", "--help"]));
        assert!(help.contains(&format!("Usage: {name} run")), "{help}");
        assert!(help.contains(&format!("{name} reload")), "{help}");
        assert_eq!(run(&["version"]).status.code(), Some(0));
        let token = run(&["mercure-token", "--dev"]);
        assert_eq!(token.status.code(), Some(0), "{}", said(&token));
    }
}

/// What cannot be watched or resumed is refused, or said.
#[test]
fn flags_of_run() {
    let home = Home::new();
    let output = home.run(&["run", "--watch"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("--watch"), "{}", said(&output));
    let output = home.run(&["run", "--config", "-", "--pingback", "127.0.0.1:1"]);
    assert_eq!(output.status.code(), Some(1));
}
