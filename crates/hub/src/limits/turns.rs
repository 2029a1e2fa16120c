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
use crate::clock::{Clock as _, SystemClock};
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

impl Turns {
    /// Half of the processors; the others are for what is cheap.
    pub(crate) fn usual() -> usize {
        available_parallelism().map_or(1, usize::from).div_ceil(2)
    }

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
                known.due_since = Some(SystemClock.now());
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
            began: SystemClock.now(),
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

/// A turn, which ends when it is dropped. The task that has it waits for nothing but a [rest](Self::rest).
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

#[cfg(not(talaria_loom))]
#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    /// Counts how often it was woken.
    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Work that waits, and its waker.
    struct Work(Pin<Box<Waiting>>, Arc<Woken>);

    impl Work {
        fn of(turns: &Arc<Turns>, client: u64) -> Self {
            let mut work = Self(Box::pin(turns.turn_of(client)), Arc::default());
            assert!(work.turn().is_none(), "a turn never comes at once");
            work
        }

        fn turn(&mut self) -> Option<Turn> {
            let waker = Arc::clone(&self.1).into();
            match self.0.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(turn) => Some(turn),
                Poll::Pending => None,
            }
        }

        fn is_woken(&self) -> bool {
            self.1.0.load(Ordering::SeqCst) > 0
        }
    }

    /// A client with one piece of work waits for one of each other client, not for all of them.
    #[test]
    fn clients_take_turns() {
        let turns = Arc::new(Turns::of(1));
        let mut work: Vec<(u64, Work)> = (0..100)
            .map(|number| number % 2)
            .chain([2])
            .map(|client| (client, Work::of(&turns, client)))
            .collect();
        let mut order = Vec::new();
        while let Some(next) = work.iter().position(|(_, work)| work.is_woken()) {
            let (client, mut next) = work.remove(next);
            assert!(
                work.iter().all(|(_, work)| !work.is_woken()),
                "one at a time"
            );
            order.push(client);
            drop(next.turn().expect("its turn has come"));
        }
        assert_eq!(order.len(), 101);
        assert_eq!(order[..6], [0, 1, 0, 2, 1, 0]);
    }

    /// Work that is given up, before its turn or in it, does not hold up others.
    #[test]
    fn work_may_be_given_up() {
        let turns = Arc::new(Turns::of(1));
        let [first, second, mut third] = [1, 2, 3].map(|client| Work::of(&turns, client));
        assert!(first.is_woken());
        drop(second);
        assert!(!third.is_woken());
        drop(first);
        assert!(third.is_woken());
        let turn = third.turn();
        let mut fourth = Work::of(&turns, 4);
        assert!(!fourth.is_woken());
        drop(turn);
        assert!(fourth.turn().is_some());
        assert!(turns.0.lock().tickets.is_empty());
    }

    /// Work that does not take its turn is passed over, and may take it later.
    #[test]
    fn what_is_stuck_holds_up_others_for_a_while() {
        let turns = Arc::new(Turns::of(1));
        let mut stuck = Work::of(&turns, 1);
        let long_ago = SystemClock.now().checked_sub(2 * PATIENCE);
        for ticket in turns.0.lock().tickets.values_mut() {
            ticket.due_since = long_ago;
        }
        let mut other = Work::of(&turns, 2);
        assert!(other.is_woken());
        drop(other.turn());
        drop(stuck.turn().expect("its turn"));
        assert_eq!(turns.0.lock().under_way, 0);
    }

    /// A turn that has taken long enough is given to the next.
    #[tokio::test]
    async fn long_work_rests() {
        let turns = Arc::new(Turns::of(1));
        let mut turn = turns.turn_of(1).await;
        let mut other = pin!(turns.turn_of(2));
        let waker = Waker::noop();
        assert!(
            other
                .as_mut()
                .poll(&mut Context::from_waker(waker))
                .is_pending()
        );
        turn.began -= SLICE;
        let mut rest = pin!(turn.rest());
        assert!(
            rest.as_mut()
                .poll(&mut Context::from_waker(waker))
                .is_pending()
        );
        drop(other.await);
        assert_eq!(rest.await.client, 1);
    }
}
