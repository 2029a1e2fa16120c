//! Turns: whose costly work is next.
//!
//! A runtime polls what is ready in the order in which it became ready, so a client that asks for a thousand
//! costly things at once would make all others wait for a thousand. Here costly work waits for its turn instead.
//! Few turns are under way at a time, each is short, and clients take turns however much each of them asks for.
//! What is cheap needs no turn, and waits for no more than the turns under way.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use super::client::hash;
use talaria_transport::sync::{Mutex, MutexGuard};

/// How long a turn goes on without a rest.
const SLICE: Duration = Duration::from_micros(500);
/// How long a turn may have come without being taken, until the next one comes. The task that was woken for it is
/// stuck.
const PATIENCE: Duration = Duration::from_secs(1);

/// The turns of all clients of a hub.
#[derive(Debug)]
pub struct Turns(Mutex<Queue>);

/// The work that waits, and how much is under way.
#[derive(Debug)]
struct Queue {
    /// The most turns under way.
    most: usize,
    /// The turns under way, and those that have come and are not taken yet.
    under_way: usize,
    /// Whose turn is next: each client with work that waits, once.
    clients: VecDeque<u64>,
    /// The tickets of each of them, in their order, also those that were given back.
    lines: HashMap<u64, VecDeque<u64>>,
    tickets: HashMap<u64, Ticket>,
    /// The tickets whose turn has come, in that order.
    due: VecDeque<u64>,
    /// The number of the next ticket.
    next: u64,
}

#[derive(Debug)]
struct Ticket {
    waker: Waker,
    /// When its turn came.
    due_since: Option<Instant>,
}

impl Default for Turns {
    /// Turns for half of the processors; the others are for what is cheap.
    fn default() -> Self {
        Self::of(available_parallelism().map_or(1, usize::from).div_ceil(2))
    }
}

impl Turns {
    /// Turns of which `most` are under way at a time.
    pub fn of(most: usize) -> Self {
        Self(Mutex::new(Queue {
            most,
            under_way: 0,
            clients: VecDeque::new(),
            lines: HashMap::new(),
            tickets: HashMap::new(),
            due: VecDeque::new(),
            next: 0,
        }))
    }

    /// The next turn of a client. It never comes at once: so the runtime is soon done with all that is ready.
    pub fn turn(self: &Arc<Self>, client: &impl Hash) -> Waiting {
        self.turn_of(hash(client))
    }

    /// As [`Self::turn`], by the number of the client.
    pub(crate) fn turn_of(self: &Arc<Self>, client: u64) -> Waiting {
        Waiting {
            turns: Arc::clone(self),
            client,
            ticket: None,
        }
    }

    /// Wakes those whose turn comes while there is room.
    fn call(&self, mut queue: MutexGuard<'_, Queue>) {
        queue.pass_over_stuck();
        let mut woken = Vec::new();
        while queue.under_way < queue.most
            && let Some(waker) = queue.pop()
        {
            queue.under_way += 1;
            woken.push(waker);
        }
        drop(queue);
        woken.into_iter().for_each(Waker::wake);
    }

    fn end(&self) {
        let mut queue = self.0.lock();
        queue.under_way = queue.under_way.saturating_sub(1);
        self.call(queue);
    }

    /// Whether the turn of a ticket has come, which is used up then.
    fn has_come(&self, ticket: u64, waker: &Waker) -> bool {
        let mut queue = self.0.lock();
        match queue.tickets.get_mut(&ticket) {
            Some(Ticket {
                waker: known,
                due_since: None,
            }) => {
                known.clone_from(waker);
                false
            }
            Some(_) => {
                queue.use_up(ticket);
                true
            }
            // It was passed over.
            None => {
                queue.under_way += 1;
                true
            }
        }
    }
}

impl Queue {
    fn push(&mut self, client: u64, waker: Waker) -> u64 {
        let ticket = self.next;
        self.next += 1;
        let due_since = None;
        self.tickets.insert(ticket, Ticket { waker, due_since });
        match self.lines.entry(client) {
            Entry::Occupied(line) => line.into_mut().push_back(ticket),
            Entry::Vacant(line) => {
                line.insert([ticket].into());
                self.clients.push_back(client);
            }
        }
        ticket
    }

    /// The turn of the next ticket comes. Returns what to wake.
    fn pop(&mut self) -> Option<Waker> {
        while let Some(client) = self.clients.pop_front() {
            let line = self.lines.get_mut(&client)?;
            let ticket = line.pop_front();
            match line.is_empty() {
                true => _ = self.lines.remove(&client),
                false => self.clients.push_back(client),
            }
            // One that was given back costs its client nothing but its place in the round.
            if let Some(ticket) = ticket
                && let Some(known) = self.tickets.get_mut(&ticket)
            {
                known.due_since = Some(Instant::now());
                self.due.push_back(ticket);
                return Some(known.waker.clone());
            }
        }
        None
    }

    /// Removes a ticket. Returns whether its turn had come.
    fn use_up(&mut self, ticket: u64) -> bool {
        self.due.retain(|due| *due != ticket);
        let known = self.tickets.remove(&ticket);
        known.is_some_and(|known| known.due_since.is_some())
    }

    /// Makes room for others, if those whose turn came long ago do not take it.
    fn pass_over_stuck(&mut self) {
        while let Some(&ticket) = self.due.front() {
            let known = self.tickets.get(&ticket).and_then(|known| known.due_since);
            if known.is_some_and(|since| since.elapsed() < PATIENCE) {
                return;
            }
            self.use_up(ticket);
            self.under_way = self.under_way.saturating_sub(1);
        }
    }
}

/// A place in the line of a client. Dropping it gives it up.
#[derive(Debug)]
pub struct Waiting {
    turns: Arc<Turns>,
    client: u64,
    ticket: Option<u64>,
}

impl Future for Waiting {
    type Output = Turn;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Turn> {
        let Some(ticket) = self.ticket else {
            let mut queue = self.turns.0.lock();
            let ticket = queue.push(self.client, context.waker().clone());
            self.turns.call(queue);
            self.ticket = Some(ticket);
            return Poll::Pending;
        };
        if !self.turns.has_come(ticket, context.waker()) {
            return Poll::Pending;
        }
        self.ticket = None;
        Poll::Ready(Turn {
            turns: Arc::clone(&self.turns),
            client: self.client,
            began: Instant::now(),
        })
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            let had_come = self.turns.0.lock().use_up(ticket);
            if had_come {
                self.turns.end();
            }
        }
    }
}

/// A turn, which ends when it is dropped. Whoever has it works, and waits for nothing but a [rest](Self::rest).
#[derive(Debug)]
pub struct Turn {
    turns: Arc<Turns>,
    client: u64,
    began: Instant,
}

impl Turn {
    /// Lets others have their turn, if this one has taken long enough.
    pub async fn rest(self) -> Self {
        if self.began.elapsed() < SLICE {
            return self;
        }
        let next = self.turns.turn_of(self.client);
        drop(self);
        next.await
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.end();
    }
}
