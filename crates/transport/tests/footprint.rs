//! The memory that a log in memory takes, measured in a separate process.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::future::Future as _;
use std::pin::pin;
use std::process::Command;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use talaria_protocol::Update;
use talaria_transport::{Frame, Memory, MemoryOptions, Ring, Route, Transport};

const MIB: u64 = 1 << 20;

struct Into(Arc<Ring>);

impl Route for Into {
    fn route(&self, group: &[Arc<Frame>], acknowledge: &mut dyn FnMut()) {
        self.0.extend(group);
        acknowledge();
    }
}

/// The memory of this process, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status
        .lines()
        .find(|line| line.starts_with("RssAnon:"))
        .expect("anonymous memory");
    let kibibytes = line.split_whitespace().nth(1).expect("a number");
    kibibytes.parse::<u64>().expect("a number") << 10
}

/// What is published: a name, how much of it, and the update of a number.
type Kind = (&'static str, u64, fn(u64) -> Update);

/// Each is several times the bound.
const KINDS: [Kind; 5] = [
    ("short ids", 400_000, |number| Update {
        id: Some(number.to_string()),
        ..of_one_topic()
    }),
    ("long ids", 200_000, |number| Update {
        id: Some(format!("{number:0>200}")),
        ..of_one_topic()
    }),
    ("one id", 400_000, |_| Update {
        id: Some("same".to_owned()),
        ..of_one_topic()
    }),
    ("topics", 80_000, |number| Update {
        topics: (0..20).map(|topic| format!("topic {topic}")).collect(),
        data: number.to_string(),
        ..Update::default()
    }),
    ("lines", 40_000, |number| Update {
        data: format!("{number}{}", "\n".repeat(500)),
        ..of_one_topic()
    }),
];
/// The variable that tells the process which kind to store.
const VARIABLE: &str = "TALARIA_FOOTPRINT";

fn of_one_topic() -> Update {
    Update {
        topics: vec!["t".to_owned()],
        ..Update::default()
    }
}

/// `max_bytes` bounds all memory that exists because of the updates: their bytes, ids that publishers
/// chose, and topics.
#[test]
fn max_bytes_is_all_that_is_held() {
    for (kind, ..) in KINDS {
        // Memory that was freed before would hide what is held, so each kind has a separate process.
        let program = std::env::current_exe().expect("this program");
        let held = Command::new(program)
            .args(["--exact", "hold", "--nocapture"])
            .env(VARIABLE, kind)
            .output()
            .expect("it runs");
        let output = String::from_utf8_lossy(&held.stdout).into_owned();
        assert!(held.status.success(), "{kind}: {output}");
        assert!(output.contains(kind), "{output}");
    }
}

/// Runs in the separate process: stores the updates of one kind and measures.
#[test]
fn hold() {
    let Ok(wanted) = std::env::var(VARIABLE) else {
        return;
    };
    let kind = KINDS.iter().find(|(kind, ..)| *kind == wanted);
    let (kind, count, update) = kind.expect("a kind");
    let bound = 32 * MIB;
    let before = resident();
    let mut options = MemoryOptions::default();
    options.max_bytes = usize::try_from(bound).expect("a bound");
    let memory = Memory::open(options).expect("a log in memory");
    memory.start(Arc::new(Into(Arc::clone(memory.ring()))));
    for number in 0..*count {
        let mut appended = pin!(memory.append(update(number)));
        let outcome = appended
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        assert!(!matches!(outcome, Poll::Ready(Err(_))), "{outcome:?}");
    }
    let held = resident().saturating_sub(before);
    println!("{kind}: {} MiB of {} MiB", held / MIB, bound / MIB);
    assert!(held > bound / 2, "it is used");
    assert!(held <= bound + bound / 4, "{kind}: {} MiB", held / MIB);
}
