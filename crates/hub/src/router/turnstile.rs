//! A mutex with two kinds of callers: the urgent ones wait for one of the others at most.

use std::ops::{Deref, DerefMut};

use talaria_transport::sync::{Mutex, MutexGuard};

/// A mutex is not fair: while ten thousand streams leave, each of which takes it for a moment, a
/// publisher that has to be woken up finds it taken again and again. So the patient ones queue in
/// front of a place of which there is one, and the urgent come past that queue.
pub(super) struct Turnstile<T> {
    /// Held by the patient caller whose turn it is.
    patient: Mutex<()>,
    /// Held while waiting for the value; its holder gets the value next.
    next: Mutex<()>,
    value: Mutex<T>,
}

impl<T> Turnstile<T> {
    pub(super) fn new(value: T) -> Self {
        Self {
            patient: Mutex::new(()),
            next: Mutex::new(()),
            value: Mutex::new(value),
        }
    }

    /// Takes the lock after its holder, and before the patient ones that wait.
    pub(super) fn urgent(&self) -> MutexGuard<'_, T> {
        let _next = self.next.lock();
        self.value.lock()
    }

    /// Takes the lock when no urgent caller wants it.
    pub(super) fn patient(&self) -> Patient<'_, T> {
        let turn = self.patient.lock();
        let value = self.urgent();
        Patient { value, _turn: turn }
    }
}

/// The lock, and the turn, which is given up after it.
pub(super) struct Patient<'a, T> {
    value: MutexGuard<'a, T>,
    _turn: MutexGuard<'a, ()>,
}

impl<T> Deref for Patient<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Patient<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}
