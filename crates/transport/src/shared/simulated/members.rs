//! The members of a log, and the last batch of each.

use crate::shared::backend::{BackendError, Member, Outcome, Settled};

/// The members in the order in which they entered, so that nothing depends on their random numbers.
#[derive(Debug, Clone, Default)]
pub(super) struct Members(Vec<Membership>);

#[derive(Debug, Clone)]
struct Membership {
    member: Member,
    counter: u64,
    /// The number of the last batch.
    last: u64,
    /// What became of the last batch.
    settled: Settled,
    /// Whether it was buried or has left. Its last number is kept.
    is_gone: bool,
}

impl Membership {
    fn new(member: Member) -> Self {
        Self {
            member,
            counter: 0,
            last: 0,
            settled: Settled::Never,
            is_gone: false,
        }
    }
}

impl Members {
    /// Whether it is a member that has not gone.
    pub(super) fn has(&self, member: Member) -> bool {
        self.0
            .iter()
            .any(|each| each.member == member && !each.is_gone)
    }

    fn find(&mut self, member: Member) -> Option<&mut Membership> {
        self.0.iter_mut().find(|each| each.member == member)
    }

    fn living(&mut self, member: Member) -> Result<&mut Membership, BackendError> {
        let found = self.find(member).filter(|found| !found.is_gone);
        found.ok_or(BackendError::NoMember)
    }

    pub(super) fn enter(&mut self, member: Member) -> Result<(), BackendError> {
        if self.find(member).is_none() {
            self.0.push(Membership::new(member));
        }
        self.living(member).map(|_| ())
    }

    /// What became of a batch if it is stored already; `None` if it is the next one.
    pub(super) fn check(
        &mut self,
        member: Member,
        number: u64,
    ) -> Result<Option<Vec<Outcome>>, BackendError> {
        let found = self.living(member)?;
        if number == found.last + 1 {
            return Ok(None);
        }
        match &found.settled {
            Settled::Stored(outcomes) if number == found.last => Ok(Some(outcomes.clone())),
            _ => Err(BackendError::OutOfOrder),
        }
    }

    pub(super) fn stored(&mut self, member: Member, number: u64, outcomes: &[Outcome]) {
        if let Some(found) = self.find(member) {
            found.last = number;
            found.settled = Settled::Stored(outcomes.to_vec());
        }
    }

    /// Notes that a batch failed half-way.
    pub(super) fn failed(&mut self, member: Member, number: u64) {
        if let Some(found) = self.find(member) {
            found.last = number;
            found.settled = Settled::Partly;
        }
    }

    /// What became of a batch. If it is not stored, its number is used up. A member that this log does not know is
    /// entered as one that is gone, so that its batch cannot come later.
    pub(super) fn settle(&mut self, member: Member, number: u64) -> Result<Settled, BackendError> {
        if self.find(member).is_none() {
            let mut unknown = Membership::new(member);
            unknown.is_gone = true;
            self.0.push(unknown);
        }
        let Some(found) = self.find(member) else {
            return Err(BackendError::NoMember);
        };
        if number > found.last {
            found.last = number;
            found.settled = Settled::Never;
        }
        if number < found.last {
            return Err(BackendError::OutOfOrder);
        }
        Ok(found.settled.clone())
    }

    pub(super) fn beat(&mut self, member: Member) -> Result<(), BackendError> {
        self.living(member)?.counter += 1;
        Ok(())
    }

    /// Declares a member dead, if it has this counter.
    pub(super) fn bury(&mut self, member: Member, counter: u64) -> bool {
        match self.living(member) {
            Ok(found) if found.counter == counter => {
                found.is_gone = true;
                true
            }
            _ => false,
        }
    }

    pub(super) fn leave(&mut self, member: Member) {
        if let Some(found) = self.find(member) {
            found.is_gone = true;
        }
    }

    pub(super) fn counters(&self) -> Vec<(Member, u64)> {
        let living = self.0.iter().filter(|each| !each.is_gone);
        living.map(|each| (each.member, each.counter)).collect()
    }

    pub(super) fn gone(&self) -> Vec<Member> {
        let gone = self.0.iter().filter(|each| each.is_gone);
        gone.map(|each| each.member).collect()
    }
}
