//! The world behind a lock, and waiting for what happens in it.

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::world::World;
use crate::sync::Mutex;

#[derive(Debug)]
pub(super) struct Guarded {
    world: Mutex<World>,
    changed: watch::Sender<u64>,
}

impl Guarded {
    pub(super) fn new(world: World) -> Self {
        Self {
            world: Mutex::new(world),
            changed: watch::Sender::new(0),
        }
    }

    /// Looks at the world as it is now.
    pub(super) fn with<T>(&self, look: impl FnOnce(&mut World, Instant) -> T) -> T {
        let now = Instant::now();
        let mut world = self.world.lock();
        let is_changed = world.proceed(now);
        let result = look(&mut world, now);
        drop(world);
        if is_changed {
            self.changed.send_modify(|count| *count += 1);
        }
        result
    }

    /// Changes the world, and wakes all who wait in it.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut World, Instant) -> T) -> T {
        let result = self.with(|world, now| {
            let result = change(world, now);
            world.proceed(now);
            result
        });
        self.changed.send_modify(|count| *count += 1);
        result
    }

    /// Looks at the world each time that something happens, until something is found; `None` after the deadline.
    pub(super) async fn wait<T>(
        &self,
        deadline: Instant,
        mut look: impl FnMut(&World, Instant) -> Option<T>,
    ) -> Option<T> {
        let mut changed = self.changed.subscribe();
        loop {
            changed.borrow_and_update();
            let (found, now, next) =
                self.with(|world, now| (look(world, now), now, world.next_event()));
            if found.is_some() || now >= deadline {
                return found;
            }
            let until = next.map_or(deadline, |next| next.min(deadline));
            tokio::select! {
                _ = changed.changed() => {}
                () = sleep_until(until) => {}
            }
        }
    }
}
