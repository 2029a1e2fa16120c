//! A mutex with two kinds of callers. An urgent caller waits for at most one patient caller.

use std::ops::{Deref, DerefMut};

use talaria_transport::sync::{Mutex, MutexGuard};

/// A mutex that gives precedence to urgent callers.
///
/// A plain mutex is not fair: while ten thousand streams leave, each of which takes it for a moment, a
/// publisher that has to be woken up finds it taken again and again. So patient callers queue for a
/// separate mutex first, and only the first of that queue competes with the urgent callers.
pub(super) struct Turnstile<T> {
    /// Held by the patient caller whose turn it is.
    patient: Mutex<()>,
    /// Held while waiting for the value. Its holder gets the value next.
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

    /// Takes the lock after its holder, and before the patient callers that wait.
    pub(super) fn urgent(&self) -> MutexGuard<'_, T> {
        let _next = self.next.lock();
        self.value.lock()
    }

    /// Takes the lock after the urgent callers that wait.
    pub(super) fn patient(&self) -> Patient<'_, T> {
        let turn = self.patient.lock();
        let value = self.urgent();
        Patient { value, _turn: turn }
    }
}

/// The lock of a patient caller. Its turn ends after the lock is released.
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
