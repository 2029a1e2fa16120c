//! `talaria top`: what the metrics of running hubs say, live in a terminal.

mod exposition;
mod figures;
mod node;
mod pane;
mod screen;
mod summary;
mod tables;
mod terminal;
mod view;

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

use talaria_config::Error;
use talaria_config::settings::AdminAddress;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use self::node::{Answer, Node};
use self::pane::plain;
use self::screen::{Position, draw};
use self::terminal::{Key, Screen};
use super::{load, output, runtime};
use crate::serve::clock::monotonic;

/// What `talaria top --help` adds.
pub(super) const HELP: &str = "\
It asks the admin listener every two seconds, at the addresses that are given, else at the one that the configuration
or CADDY_ADMIN names, else at localhost:2019. It only reads. Several addresses, such as those of the nodes of a cluster,
have a row each, and one for all.

Keys: q ends; Tab and the left and right arrows choose a pane; the up and down arrows scroll it; p pauses.

If standard output is not a terminal, or with --once, it asks twice, a second apart, and prints plain text. The exit
code is 1 if a node does not answer.

Examples:
  talaria top
  talaria top node1.internal:2019 node2.internal:2019
  talaria top --once unix//run/talaria/admin.sock";

/// How often the nodes are asked.
const PERIOD: Duration = Duration::from_secs(2);
/// Between the two times that a snapshot asks.
const APART: Duration = Duration::from_secs(1);

/// The flags of `top`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The addresses of admin listeners: `host:port`, `http://host:port` or `unix//path`.
    #[arg(value_name = "ADMIN")]
    nodes: Vec<String>,
    /// Print what there is now, and end.
    #[arg(long)]
    once: bool,
}

/// Shows what the nodes say.
pub(super) fn top(args: &Args) -> ExitCode {
    let shown = addresses(&args.nodes).and_then(|addresses| {
        let nodes = addresses.into_iter().map(Node::new).collect();
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        match args.once || is_dumb || !std::io::stdout().is_terminal() {
            true => runtime::block_on(snapshot(nodes)),
            false => runtime::block_on(live(nodes)).map(|()| ExitCode::SUCCESS),
        }
    });
    shown.unwrap_or_else(output::failure)
}

fn addresses(named: &[String]) -> Result<Vec<AdminAddress>, Error> {
    if named.is_empty() {
        let admin = load::Args::of_file(None, None).admin()?;
        let address = admin.address.ok_or_else(|| {
            Error::new("the configuration says `admin off`, so there is nothing to ask")
                .remedy("name the address of another hub's admin listener, or switch it on")
        })?;
        return Ok(vec![address]);
    }
    named.iter().map(|text| address(text)).collect()
}

/// Reads an address, which may be written as a URL.
fn address(text: &str) -> Result<AdminAddress, Error> {
    let bare = text.strip_prefix("http://").unwrap_or(text);
    let bare = match bare.starts_with("unix/") {
        true => bare,
        false => bare.trim_end_matches('/'),
    };
    AdminAddress::parse(bare).map_err(|problem| {
        Error::new(format!("the address {text:?}: {problem}"))
            .remedy("give for example localhost:2019, http://localhost:2019 or unix//run/hub.sock")
    })
}

/// Asks all nodes at once.
fn ask(nodes: &[Node]) -> JoinSet<(usize, Result<Answer, Error>)> {
    let mut asked = JoinSet::new();
    for (place, node) in nodes.iter().enumerate() {
        let address = node.address();
        asked.spawn(async move { (place, node::read(address).await) });
    }
    asked
}

/// Prints what there is now.
async fn snapshot(mut nodes: Vec<Node>) -> Result<ExitCode, Error> {
    let began = monotonic();
    for round in 0..2 {
        if round > 0 {
            sleep(APART).await;
        }
        let mut asked = ask(&nodes);
        while let Some(answered) = asked.join_next().await {
            let (place, answer) = answered.map_err(Error::from_cause)?;
            // One that is not there at first is not waited for.
            if nodes.len() == 1 && round == 0 && answer.is_err() {
                return answer.map(|_| ExitCode::SUCCESS);
            }
            if let Some(node) = nodes.get_mut(place) {
                node.take(answer, began.elapsed().as_secs_f64());
            }
        }
    }
    let printed = output::print(&plain(&view::panes(&nodes)));
    let all_answer = nodes.iter().all(|node| node.failure.is_none());
    Ok(match all_answer {
        true => printed,
        false => ExitCode::FAILURE,
    })
}

/// Shows what the nodes say until a key or a signal ends it.
async fn live(mut nodes: Vec<Node>) -> Result<(), Error> {
    let began = monotonic();
    if let [node] = &nodes[..] {
        // A message is better than an empty screen.
        let answer = node::read(node.address()).await?;
        nodes
            .iter_mut()
            .for_each(|node| node.take(Ok(answer.clone()), 0.0));
    }
    let handled = |kind| {
        signal(kind).map_err(|error| Error::new("signals cannot be handled").caused_by(error))
    };
    let mut interrupted = handled(SignalKind::interrupt())?;
    let mut terminated = handled(SignalKind::terminate())?;
    let mut hung_up = handled(SignalKind::hangup())?;
    let mut screen = Screen::take_over()?;
    let mut position = Position::default();
    let mut asked = ask(&nodes);
    let mut next = Instant::now() + PERIOD;
    loop {
        let panes = view::panes(&nodes);
        let most = panes.get(position.pane).map_or(0, |pane| pane.rows.len());
        position.row = position.row.min(most.saturating_sub(1));
        let title = title(&nodes);
        let drawn = screen
            .terminal
            .draw(|frame| draw(frame, &panes, &position, &title));
        drawn.map_err(|error| Error::new("the terminal").caused_by(error))?;
        tokio::select! {
            key = screen.keys.recv() => match key {
                None | Some(Key::Quit) => return Ok(()),
                Some(key) => apply(key, &mut position, panes.len()),
            },
            Some(Ok((place, answer))) = asked.join_next() => {
                if let Some(node) = nodes.get_mut(place) {
                    node.take(answer, began.elapsed().as_secs_f64());
                }
            }
            () = sleep_until(next), if asked.is_empty() && !position.is_paused => {
                asked = ask(&nodes);
                next = Instant::now() + PERIOD;
            }
            _ = interrupted.recv() => return Ok(()),
            _ = terminated.recv() => return Ok(()),
            _ = hung_up.recv() => return Ok(()),
        }
    }
}

fn title(nodes: &[Node]) -> String {
    let answering = nodes.iter().filter(|node| node.answer().is_some()).count();
    let versions = nodes.iter().filter_map(|node| {
        let answer = node.answer()?;
        let build = answer.metrics.all("talaria_build_info").first()?;
        Some(build.label("version"))
    });
    let mut versions: Vec<&str> = versions.collect();
    versions.dedup();
    let shown = format!(
        "talaria top: {} of {} nodes answer, version {}",
        answering,
        nodes.len(),
        versions.join(", ")
    );
    talaria_protocol::error::Visible(&shown).to_string()
}

fn apply(key: Key, position: &mut Position, panes: usize) {
    match key {
        Key::Pause => position.is_paused = !position.is_paused,
        Key::Pane(by) => {
            let panes = panes.cast_signed().max(1);
            let pane = (position.pane.cast_signed() + by).rem_euclid(panes);
            (position.pane, position.row) = (pane.unsigned_abs(), 0);
        }
        Key::Rows(by) => position.row = position.row.saturating_add_signed(by),
        Key::Draw | Key::Quit => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An address is written as for the option `admin`, or as a URL.
    #[test]
    fn addresses_may_be_urls() {
        for (text, expected) in [
            ("localhost:2019", "localhost:2019"),
            ("http://localhost:2019/", "localhost:2019"),
            ("unix//run/hub.sock", "unix//run/hub.sock"),
        ] {
            assert_eq!(address(text).unwrap().to_string(), expected);
        }
        let error = address("https://hub.example").unwrap_err().to_string();
        assert!(error.contains("localhost:2019"), "{error}");
    }

    /// Keys choose a pane in a circle, and rows never before the first.
    #[test]
    fn keys_choose_panes_and_rows() {
        let mut position = Position::default();
        apply(Key::Pane(-1), &mut position, 8);
        apply(Key::Rows(3), &mut position, 8);
        apply(Key::Rows(-10), &mut position, 8);
        apply(Key::Rows(2), &mut position, 8);
        apply(Key::Pause, &mut position, 8);
        assert_eq!(
            (position.pane, position.row, position.is_paused),
            (7, 2, true)
        );
        apply(Key::Pane(1), &mut position, 8);
        assert_eq!((position.pane, position.row), (0, 0));
    }
}
