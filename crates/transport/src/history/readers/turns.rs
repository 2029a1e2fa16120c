//! Jobs that wait. Every client has the same share of the threads, however much it asks for.

use std::collections::{BTreeMap, HashMap};

/// The most jobs that wait. Beyond it the client with the most jobs loses its newest one.
pub(super) const MOST: usize = 65_536;

pub(super) type Job = Box<dyn FnOnce() + Send>;

/// The place of a job that waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticket {
    client: u64,
    number: u64,
}

/// Jobs by client. Clients take turns, and the jobs of a client keep their order.
#[derive(Default)]
pub(super) struct Turns {
    /// The client of each turn; every client with a job has one turn.
    turns: BTreeMap<u64, u64>,
    clients: HashMap<u64, Waiting>,
    /// Numbers turns and jobs.
    next: u64,
    jobs: usize,
}

struct Waiting {
    turn: u64,
    jobs: BTreeMap<u64, Job>,
}

impl Turns {
    pub(super) fn len(&self) -> usize {
        self.jobs
    }

    /// Adds a job. The second value is a job that was rejected for it, perhaps this one; dropping it tells
    /// its client.
    pub(super) fn push(&mut self, client: u64, job: Job) -> (Ticket, Option<Job>) {
        let number = self.number();
        let ticket = Ticket { client, number };
        if !self.clients.contains_key(&client) {
            let turn = self.number();
            self.turns.insert(turn, client);
            let jobs = BTreeMap::new();
            self.clients.insert(client, Waiting { turn, jobs });
        }
        if let Some(waiting) = self.clients.get_mut(&client) {
            waiting.jobs.insert(number, job);
            self.jobs += 1;
        }
        let excess = (self.jobs > MOST).then(|| self.newest_of_the_longest());
        (ticket, excess.flatten())
    }

    /// Takes the next job.
    pub(super) fn pop(&mut self) -> Option<Job> {
        let (_, client) = self.turns.pop_first()?;
        let next = self.number();
        let waiting = self.clients.get_mut(&client)?;
        let (_, job) = waiting.jobs.pop_first()?;
        self.jobs -= 1;
        if waiting.jobs.is_empty() {
            self.clients.remove(&client);
        } else {
            waiting.turn = next;
            self.turns.insert(next, client);
        }
        Some(job)
    }

    /// Removes a job, unless its turn has come.
    pub(super) fn cancel(&mut self, ticket: Ticket) -> Option<Job> {
        let waiting = self.clients.get_mut(&ticket.client)?;
        let job = waiting.jobs.remove(&ticket.number)?;
        self.jobs -= 1;
        if waiting.jobs.is_empty() {
            self.turns.remove(&waiting.turn);
            self.clients.remove(&ticket.client);
        }
        Some(job)
    }

    fn newest_of_the_longest(&mut self) -> Option<Job> {
        let longest = self
            .clients
            .iter()
            .max_by_key(|(_, waiting)| waiting.jobs.len());
        let (&client, waiting) = longest?;
        let (&number, _) = waiting.jobs.last_key_value()?;
        self.cancel(Ticket { client, number })
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, PoisonError};

    use super::*;

    type Done = Arc<Mutex<Vec<(u64, u64)>>>;

    fn job(done: &Done, client: u64, number: u64) -> Job {
        let done = Arc::clone(done);
        Box::new(move || {
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            done.push((client, number));
        })
    }

    fn run(turns: &mut Turns, done: &Done) -> Vec<(u64, u64)> {
        while let Some(job) = turns.pop() {
            job();
        }
        std::mem::take(&mut *done.lock().unwrap_or_else(PoisonError::into_inner))
    }

    #[test]
    fn clients_take_turns_and_keep_their_order() {
        let (mut turns, done) = (Turns::default(), Done::default());
        for (client, number) in [(1, 1), (1, 2), (1, 3), (2, 1), (3, 1), (2, 2)] {
            turns.push(client, job(&done, client, number));
        }
        let order = [(1, 1), (2, 1), (3, 1), (1, 2), (2, 2), (1, 3)];
        assert_eq!(run(&mut turns, &done), order);
        assert_eq!(turns.len(), 0);
        assert!(turns.clients.is_empty() && turns.turns.is_empty());
    }

    #[test]
    fn a_client_that_leaves_and_comes_back_has_one_turn() {
        let (mut turns, done) = (Turns::default(), Done::default());
        for _ in 0..10 {
            let (ticket, _) = turns.push(1, job(&done, 1, 0));
            assert!(turns.cancel(ticket).is_some());
            assert!(turns.cancel(ticket).is_none());
        }
        assert!(turns.clients.is_empty() && turns.turns.is_empty());
        turns.push(2, job(&done, 2, 1));
        turns.push(1, job(&done, 1, 1));
        turns.push(1, job(&done, 1, 2));
        assert_eq!(run(&mut turns, &done), [(2, 1), (1, 1), (1, 2)]);
    }

    #[test]
    fn beyond_the_bound_the_longest_queue_loses_its_newest_job() {
        let (mut turns, done) = (Turns::default(), Done::default());
        for number in 0..MOST as u64 {
            assert!(turns.push(1, job(&done, 1, number)).1.is_none());
        }
        // The newest job of that client.
        let (ticket, dropped) = turns.push(1, job(&done, 1, u64::MAX));
        assert!(dropped.is_some() && turns.cancel(ticket).is_none());
        // The job of another client stays.
        let (_, dropped) = turns.push(2, job(&done, 2, 0));
        assert!(dropped.is_some());
        assert_eq!(turns.len(), MOST);
        let order = run(&mut turns, &done);
        assert_eq!(order[..3], [(1, 0), (2, 0), (1, 1)]);
        assert_eq!(order.last(), Some(&(1, MOST as u64 - 2)));
    }
}
