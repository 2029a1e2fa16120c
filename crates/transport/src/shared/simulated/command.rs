//! What nodes ask a server to change.
//!
//! A copy of the log that executes the same commands in the same order holds the same, so replicas follow by
//! executing what their primary has executed.

use super::log::{Context, Limits, Log};
use crate::Position;
use crate::shared::backend::{
    Attached, BackendError, Batch, Beat, Continue, Member, Outcome, Settled, Subscriptions,
};

#[derive(Debug, Clone)]
pub(super) enum Command {
    Attach {
        member: Member,
        after: Position,
        /// The key and tag of the log, should it be created.
        key: [u8; 16],
        tag: u64,
    },
    Append(Batch),
    /// Stores this many entries of a batch, and fails.
    AppendPart(Batch, usize),
    Settle(Member, u64),
    Beat(Member),
    Bury(Member, u64),
    Leave(Member),
    Flush,
}

#[derive(Debug, Clone)]
pub(super) enum Answer {
    Attached(Attached),
    Outcomes(Vec<Outcome>),
    Settled(Settled),
    Beat(Beat),
    Buried(bool),
    Done,
}

/// A command with the tag of the log that it is for; `None` for any.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) tag: Option<u64>,
    pub(super) command: Command,
}

/// What one server holds.
#[derive(Debug, Clone, Default)]
pub(super) struct Data {
    pub(super) log: Option<Log>,
}

impl Data {
    /// The log with a tag.
    pub(super) fn log_of(&self, tag: Option<u64>) -> Result<&Log, BackendError> {
        let log = self.log.as_ref().filter(|log| Some(log.tag) == tag);
        log.ok_or(BackendError::NoLog)
    }

    pub(super) fn execute(
        &mut self,
        request: &Request,
        context: Context,
        limits: &Limits,
    ) -> Result<Answer, BackendError> {
        match &request.command {
            Command::Attach {
                member,
                after,
                key,
                tag,
            } => {
                let is_new = self.log.is_none();
                let log = self
                    .log
                    .get_or_insert_with(|| Log::create(context, *after, *key, *tag));
                log.members.enter(*member)?;
                return Ok(Answer::Attached(log.attached(is_new)));
            }
            Command::Flush => {
                self.log = None;
                return Ok(Answer::Done);
            }
            _ => {}
        }
        let log = self.log.as_mut();
        let log = log.filter(|log| Some(log.tag) == request.tag);
        let log = log.ok_or(BackendError::NoLog)?;
        change(log, &request.command, context, limits)
    }
}

fn change(
    log: &mut Log,
    command: &Command,
    context: Context,
    limits: &Limits,
) -> Result<Answer, BackendError> {
    Ok(match command {
        Command::Append(batch) => Answer::Outcomes(append(log, batch, context, limits)?),
        Command::AppendPart(batch, entries) => {
            if let Some(outcomes) = log.members.check(batch.member, batch.number)? {
                return Ok(Answer::Outcomes(outcomes));
            }
            let mut part = batch.clone();
            part.entries.truncate(*entries);
            log.store(&part, context, limits);
            log.members.failed(batch.member, batch.number);
            return Err(BackendError::Away("the batch failed half-way".to_owned()));
        }
        Command::Settle(member, number) => Answer::Settled(log.members.settle(*member, *number)?),
        Command::Beat(member) => {
            log.members.beat(*member)?;
            Answer::Beat(beat(log))
        }
        Command::Bury(member, counter) => Answer::Buried(log.members.bury(*member, *counter)),
        Command::Leave(member) => {
            log.members.leave(*member);
            Answer::Done
        }
        Command::Attach { .. } | Command::Flush => Answer::Done,
    })
}

fn append(
    log: &mut Log,
    batch: &Batch,
    context: Context,
    limits: &Limits,
) -> Result<Vec<Outcome>, BackendError> {
    if let Some(outcomes) = log.members.check(batch.member, batch.number)? {
        return Ok(outcomes);
    }
    let outcomes = log.store(batch, context, limits);
    log.members.stored(batch.member, batch.number, &outcomes);
    Ok(outcomes)
}

fn beat(log: &Log) -> Beat {
    let has_left = |member: &Member| {
        let mut begun = log.subscriptions.values();
        begun.any(|begun| begun.member == *member)
    };
    Beat {
        tag: log.tag,
        bounds: log.bounds(),
        members: log.members.counters(),
        buried: log.members.gone().into_iter().filter(has_left).collect(),
        bytes: Some(log.bytes()),
        refusing: None,
        outbox: None,
    }
}

/// A part of the stored subscriptions; their order is that of their topics.
pub(super) fn subscriptions(
    log: &Log,
    of: Option<Member>,
    from: &Continue,
    most: usize,
) -> Subscriptions {
    let wanted = log.subscriptions.iter().filter(|(topic, begun)| {
        let is_after = from.0.is_empty() || topic.as_bytes() > &*from.0;
        is_after && of.is_none_or(|member| begun.member == member)
    });
    let found: Vec<_> = wanted.take(most + 1).collect();
    let part = &found[..found.len().min(most)];
    let next = part.last().filter(|_| found.len() > most);
    Subscriptions {
        begun: part
            .iter()
            .map(|(_, begun)| (begun.position, begun.update.clone()))
            .collect(),
        next: next.map(|(topic, _)| Continue(topic.as_bytes().to_vec())),
    }
}
