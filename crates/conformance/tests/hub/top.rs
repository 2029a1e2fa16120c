//! `talaria top`: what it prints, and what it shows in a terminal, compared with the metrics.

use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use talaria_conformance::client::Client;
use talaria_conformance::hub::{Home, PUBLISHER_KEY, program};
use talaria_conformance::stream::EventStream;
use talaria_conformance::token::{Token, exact};
use talaria_conformance::{HUB_PATH, PATIENCE, free_port};

use crate::running::{Running, caddyfile};

/// A terminal of tmux, in which a program runs; dropping it ends both.
struct Terminal {
    home: Home,
    socket: String,
}

impl Terminal {
    /// Runs a command of the shell in a terminal of a size.
    fn start(size: (u16, u16), command: &str) -> Self {
        let home = Home::new();
        let socket = home.path().join("tmux").display().to_string();
        let terminal = Self { home, socket };
        let (width, height) = (size.0.to_string(), size.1.to_string());
        // The shell says how the program ended, on a screen that it gave back.
        let script = format!("{command}; echo \"ended with $?\"; exec sleep 1000");
        let arguments = [
            "new-session",
            "-d",
            "-s",
            "top",
            "-x",
            &width,
            "-y",
            &height,
            &script,
        ];
        terminal.tmux(&arguments);
        terminal
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let output = Command::new("tmux")
            .args(["-u", "-S", &self.socket, "-f", "/dev/null"])
            .args(arguments)
            .env("HOME", self.home.path())
            .env("LC_ALL", "C.UTF-8")
            .env("TERM", "xterm-256color")
            .output()
            .expect("tmux is installed, as ./test does");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "tmux {arguments:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn press(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys", "-t", "top"], keys].concat());
    }

    /// Waits until the screen has all of these texts, and returns it.
    fn shows(&self, texts: &[&str]) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let screen = self.tmux(&["capture-pane", "-p", "-t", "top"]);
            if texts.iter().all(|text| screen.contains(text)) {
                return screen;
            }
            assert!(Instant::now() < deadline, "never {texts:?} on\n{screen}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

/// A hub with three streams, four publishes and nine refusals.
async fn busy() -> (Running, Vec<EventStream>) {
    let hub = Running::start(&caddyfile("", "busiest_topics"), &[]);
    let mut streams = Vec::new();
    for _ in 0..3 {
        streams.push(hub.client().subscribe(&[exact("news/\u{1f4f0}")]).await);
    }
    let publisher = publisher(&hub);
    for _ in 0..4 {
        publisher
            .published(&[("topic", "news/\u{1f4f0}"), ("data", "x")])
            .await;
    }
    for _ in 0..9 {
        hub.client().publish(&[("topic", "a")]).await;
    }
    let algorithm = json!("<b>\u{1b}[2J\u{202e}652SH</b>");
    let token = Token::new(&audience(&hub))
        .parameter("alg", algorithm)
        .sign(PUBLISHER_KEY);
    hub.client().bearer(&token).publish(&[("topic", "a")]).await;
    for stream in &mut streams {
        stream.several::<4>().await;
    }
    (hub, streams)
}

fn audience(hub: &Running) -> String {
    format!("http://{}{HUB_PATH}", hub.address)
}

fn publisher(hub: &Running) -> Client {
    let token = Token::new(&audience(hub)).grant("publish", &[exact("*")]);
    hub.client().bearer(&token.sign(PUBLISHER_KEY))
}

/// The row that begins with a text, as its cells.
fn row(screen: &str, name: &str) -> Vec<String> {
    let lines = screen.lines().map(|line| line.trim_matches(['│', ' ']));
    let mut rows = lines.filter(|line| line.starts_with(name));
    let row = rows
        .next()
        .unwrap_or_else(|| panic!("no {name} on\n{screen}"));
    let cells = row.get(name.len()..).unwrap().split_whitespace();
    cells.map(str::to_owned).collect()
}

/// The sum of the series of a name, as the metrics say it.
async fn metric(hub: &Running, name: &str) -> String {
    let page = hub.admin().get("/metrics").await.text;
    let values = page.lines().filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        let own = series.split('{').next()?;
        (own == name).then(|| value.parse::<f64>().unwrap())
    });
    values.sum::<f64>().to_string()
}

/// Every pane of a small screen says what the metrics say; keys choose, pause and end, and the terminal comes back.
#[tokio::test(flavor = "multi_thread")]
async fn a_small_screen_shows_the_metrics() {
    let (hub, _streams) = busy().await;
    let command = format!("{} top http://{}/", program().display(), hub.admin);
    let terminal = Terminal::start((80, 24), &command);
    let screen = terminal.shows(&["1 of 1 nodes answer", "ready", "q quit"]);
    let cells = row(&screen, &hub.admin.to_string());
    assert_eq!(
        (cells[0].as_str(), &cells[2]),
        ("ready", &metric(&hub, "talaria_hub_streams").await)
    );
    assert!(
        screen.lines().all(|line| line.chars().count() <= 80),
        "{screen}"
    );
    terminal.press(&["Tab"]);
    let screen = terminal.shows(&["Traffic", "a second", "publishes"]);
    for (name, series) in [
        ("publishes", "talaria_hub_publishes_total"),
        ("deliveries", "talaria_hub_deliveries_total"),
        ("streams opened", "talaria_hub_streams_opened_total"),
    ] {
        assert_eq!(row(&screen, name)[0], metric(&hub, series).await, "{name}");
    }
    assert_eq!(row(&screen, "refusals")[0], "10");
    terminal.press(&["Right"]);
    let screen = terminal.shows(&["p99", "publish acknowledged"]);
    assert_eq!(row(&screen, "publish acknowledged")[0], "4");
    terminal.press(&["Tab"]);
    terminal.shows(&["max_streams", "250k", "bound"]);
    terminal.press(&["Tab"]);
    let screen = terminal.shows(&["since the start", "refused by a hub"]);
    assert_eq!(row(&screen, "refused by a hub")[..2], ["no_token", "9"]);
    terminal.press(&["Tab"]);
    // Neither markup nor control characters do anything but stand there.
    let screen = terminal.shows(&["alg_not_allowed", "no_token", "why"]);
    assert!(screen.contains("401"), "{screen}");
    terminal.press(&["Tab"]);
    terminal.shows(&["kept", "in memory"]);
    terminal.press(&["Tab"]);
    let screen = terminal.shows(&["at least", "news/\u{1f4f0}"]);
    assert_eq!(row(&screen, "default")[..2], ["4", "4"]);
    terminal.press(&["Tab", "p"]);
    terminal.shows(&["PAUSED", "ready"]);
    terminal.press(&["p"]);
    terminal.shows(&["p pause"]);
    // Another size is another layout, and then the first one again.
    terminal.tmux(&["resize-window", "-t", "top", "-x", "200", "-y", "50"]);
    terminal.shows(&["all panes", "Traffic", "Topics"]);
    terminal.tmux(&["resize-window", "-t", "top", "-x", "80", "-y", "24"]);
    terminal.shows(&["Nodes", "q quit"]);
    terminal.press(&["q"]);
    let screen = terminal.shows(&["ended with 0"]);
    assert!(!screen.contains("q quit"), "{screen}");
}

/// A large screen shows all panes at once, for the nodes of a cluster one row each and one for all.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_screen_shows_all_panes() {
    let ((one, _streams), (two, _others)) = (busy().await, busy().await);
    let silent = format!("127.0.0.1:{}", free_port());
    let command = format!(
        "{} top {} {} {silent}",
        program().display(),
        one.admin,
        two.admin
    );
    let terminal = Terminal::start((200, 50), &command);
    let screen = terminal.shows(&[
        "2 of 3 nodes answer",
        "Traffic",
        "Latency",
        "Limits",
        "Reasons",
        "Refusals",
        "History",
        "Topics",
        "does not answer",
        "alg_not_allowed",
    ]);
    assert_eq!(row(&screen, "all  ")[1], "6", "{screen}");
    let publishes = row(&screen, "publishes");
    assert_eq!(publishes[0], "8");
    assert!(screen.contains("\\u{1b}[2J\\u{202e}"), "{screen}");
    // A hub that goes is silent, and the others go on.
    drop(one);
    terminal.shows(&["1 of 3 nodes answer"]);
}

/// A terminal that shows a hub, and the process that does.
fn shown(hub: &Running) -> (Terminal, Pid) {
    let file = hub.home.path().join("pid");
    let (program, admin) = (program().display(), hub.admin);
    let command = format!(
        "sh -c 'echo $$ >{}; exec {program} top {admin}'",
        file.display()
    );
    let terminal = Terminal::start((80, 24), &command);
    terminal.shows(&["q quit"]);
    let number = std::fs::read_to_string(&file).unwrap();
    let process = Pid::from_raw(number.trim().parse().unwrap());
    (terminal, process.unwrap())
}

/// A terminal that hangs up takes the program with it: it does not wait for keys for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_that_hangs_up_ends_it() {
    let hub = Running::start(&caddyfile("", ""), &[]);
    let (terminal, process) = shown(&hub);
    drop(terminal);
    let deadline = Instant::now() + PATIENCE;
    let state = format!("/proc/{}/stat", process.as_raw_pid());
    // One that has ended may stay as a zombie, if the first process of the machine does not reap.
    while std::fs::read_to_string(&state).is_ok_and(|stat| !stat.contains(") Z ")) {
        assert!(Instant::now() < deadline, "it still runs");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// SIGTERM gives the terminal back, too.
#[tokio::test(flavor = "multi_thread")]
async fn a_signal_gives_the_terminal_back() {
    let hub = Running::start(&caddyfile("", ""), &[]);
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let (terminal, process) = shown(&hub);
        kill_process(process, signal).unwrap();
        let screen = terminal.shows(&["ended with 0"]);
        assert!(!screen.contains("q quit"), "{screen}");
    }
}

/// A snapshot says what the metrics say, once for one node and once for several.
#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_plain_text() {
    let (hub, _streams) = busy().await;
    let (code, text) = hub.verb(&["top", "--once"]);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(row(&text, "publishes")[0], "4");
    assert_eq!(row(&text, "refused by a hub")[..2], ["no_token", "9"]);
    assert!(text.contains("\\u{1b}[2J\\u{202e}"), "{text}");
    assert!(
        !text.contains('\u{1b}') && !text.contains('\u{202e}'),
        "{text}"
    );
    // Standard output is not a terminal here.
    let (code, also) = hub.verb(&["top"]);
    assert_eq!(
        (code, row(&also, "publishes")),
        (Some(0), row(&text, "publishes"))
    );
}

/// An error names what is wrong and what to do.
#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_explained() {
    let hub = Running::start(&caddyfile("", ""), &[]);
    let nothing = format!("127.0.0.1:{}", free_port());
    for (node, says) in [
        (nothing.as_str(), "does not answer"),
        (
            &hub.address.to_string(),
            "is not the admin listener of a Talaria hub",
        ),
        ("https://localhost:2019", "localhost:2019"),
        ("localhost:99999", "localhost:2019"),
    ] {
        let (code, said) = hub.verb(&["top", "--once", node]);
        assert_eq!(code, Some(1), "{node}: {said}");
        assert!(said.contains(says), "{node}: {said}");
    }
}
