//! The synchronization primitives of the code that loom explores.
//!
//! A lock stays usable after a panic of its holder: the data of ring, lanes and router are consistent
//! between statements, and a panic of one task must not end the others.

use std::sync::PoisonError;

#[cfg(talaria_loom)]
use loom::sync as imp;
#[cfg(talaria_loom)]
pub use loom::sync::atomic;
#[cfg(not(talaria_loom))]
use std::sync as imp;
#[cfg(not(talaria_loom))]
pub use std::sync::atomic;

pub use imp::{MutexGuard, RwLockReadGuard, RwLockWriteGuard};

/// A mutex that survives the panic of a holder.
#[derive(Debug, Default)]
pub struct Mutex<T>(imp::Mutex<T>);

impl<T> Mutex<T> {
    /// A new mutex.
    pub fn new(value: T) -> Self {
        Self(imp::Mutex::new(value))
    }

    /// Takes the lock.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A reader-writer lock that survives the panic of a holder.
#[derive(Debug, Default)]
pub struct RwLock<T>(imp::RwLock<T>);

impl<T> RwLock<T> {
    /// A new lock.
    pub fn new(value: T) -> Self {
        Self(imp::RwLock::new(value))
    }

    /// Takes a share of the lock.
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the lock.
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}
