//! What happened, for the oracle to judge.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use talaria_transport::{AppendError, Appended, Position};

use super::law::{Broken, Law};
use super::view::View;

/// What became of an attempt to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is not known, or its node died before it was.
    Unknown,
    Acknowledged(Appended),
    Refused(&'static str),
}

/// A text that was published, and what became of each attempt.
#[derive(Debug, Default, Clone)]
pub struct Publish {
    pub attempts: Vec<Outcome>,
    /// Whether it was published with a key, so that it is stored once however often it is sent.
    pub has_key: bool,
}

/// One process of a node, from its start to its end.
#[derive(Debug, Clone)]
pub struct Life {
    pub node: usize,
    pub number: u64,
    pub view: Arc<View>,
    /// The head of the log when it started.
    pub start: Position,
    /// Whether it was cut off from the server or stayed with a former primary.
    pub was_cut: bool,
    pub has_ended: bool,
    /// How many updates it says that it had shown and that the log has lost; known of one that runs in the end.
    pub lost: Option<u64>,
}

/// What a reader received from one process to the next.
#[derive(Debug, Default, Clone)]
pub struct Reading {
    pub received: Vec<Position>,
    /// Where it was told that something is gone, so that it went on from another place: before the received
    /// update of this index.
    pub gaps: Vec<usize>,
}

/// A subscription that a client held open.
#[derive(Debug, Clone, Copy)]
pub struct Held {
    /// The index of the process.
    pub life: usize,
    pub is_open: bool,
}

#[derive(Debug, Default)]
pub struct State {
    pub subscriptions: BTreeMap<String, Held>,
    pub publishes: BTreeMap<String, Publish>,
    pub lives: Vec<Life>,
    pub readings: Vec<Reading>,
    /// What was noticed while it happened.
    pub violations: Vec<Broken>,
}

#[derive(Debug, Default)]
pub struct Facts(Mutex<State>);

impl Facts {
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub fn violated(&self, law: Law, how: String) {
        self.lock().violations.push(Broken { law, how });
    }

    pub fn opened(&self, life: usize, topic: &str) {
        let held = Held {
            life,
            is_open: true,
        };
        self.lock().subscriptions.insert(topic.to_owned(), held);
    }

    pub fn closed(&self, topic: &str) {
        if let Some(held) = self.lock().subscriptions.get_mut(topic) {
            held.is_open = false;
        }
    }

    /// Notes that a node is cut off from the server, or stays with a former primary.
    pub fn cut(&self, node: usize) {
        let mut state = self.lock();
        let lives = state.lives.iter_mut();
        let lives = lives.filter(|life| life.node == node && !life.has_ended);
        lives.for_each(|life| life.was_cut = true);
    }

    /// Notes an attempt to publish; returns its number.
    pub fn attempt(&self, text: &str, has_key: bool) -> usize {
        let mut state = self.lock();
        let publish = state.publishes.entry(text.to_owned()).or_default();
        publish.has_key = has_key;
        publish.attempts.push(Outcome::Unknown);
        publish.attempts.len() - 1
    }

    pub fn answered(&self, text: &str, attempt: usize, answer: Result<Appended, AppendError>) {
        let outcome = match answer {
            Ok(appended) => Outcome::Acknowledged(appended),
            Err(AppendError::Refused(reason)) => Outcome::Refused(reason),
            Err(AppendError::Unknown) => Outcome::Unknown,
        };
        if let Some(publish) = self.lock().publishes.get_mut(text) {
            publish.attempts[attempt] = outcome;
        }
    }
}
