//! A shared log on the simulated server keeps the promises of every transport.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use talaria_protocol::Update;
use talaria_transport::shared::simulated::{Simulated, SimulatedNode, SimulatedOptions};
use talaria_transport::shared::{Shared, SharedOptions};
use talaria_transport::{
    Admit, AppendError, Appended, Bounds, Health, Lookup, Page, Pending, Position, ReadError, Ring,
    Route, Transport, Unavailable,
};
use tokio::runtime::Runtime;

use crate::suite::{self, Kept, append, block_on, eventually, place, start, update};

/// A node whose tasks run beside the test, which blocks its thread. Its appends end once it knows what retention has
/// deleted, which it otherwise learns by its next beat.
struct Beside {
    world: Simulated,
    node: Option<Arc<Shared<SimulatedNode>>>,
    runtime: Option<Runtime>,
}

fn open(kept: Kept) -> Arc<dyn Transport> {
    static WORLDS: AtomicU64 = AtomicU64::new(0);
    let mut simulated = SimulatedOptions::default();
    simulated.seed = WORLDS.fetch_add(1, Ordering::Relaxed);
    simulated.max_length = kept.size;
    // A node must have read an update before retention deletes it, also while a law holds its route up.
    simulated.max_bytes = Some(8 * kept.max_bytes as u64);
    simulated.latency = Duration::ZERO;
    let mut options = SharedOptions::default();
    options.ring_bytes = kept.max_bytes;
    options.lease = Duration::from_millis(30);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .expect("a runtime");
    let world = Simulated::new(simulated);
    let node = runtime.block_on(Shared::open(Arc::new(world.node("a")), options));
    Arc::new(Beside {
        world,
        node: Some(Arc::new(node.expect("a log"))),
        runtime: Some(runtime),
    })
}

// Not among them: `an_append_of_several_is_one_group`, since the tail shows a batch in parts that fit into the ring,
// and `dropping_commits_what_waits`, since a server that is away would hold up the end of the hub.
crate::suite!(open:
    a_hub_id_is_resumed_from,
    a_foreign_id_is_unknown,
    a_repeated_id_stands_for_the_earliest_kept,
    a_copy_of_a_hub_id_is_found_once_the_original_is_deleted,
    size_is_where_a_cursor_may_start,
    an_evicted_id_is_deleted,
    pages_are_bounded_and_meet,
    pages_end_where_they_are_told,
    a_reader_of_several_topics_gets_them_all,
    a_page_judges_a_bounded_number_of_updates,
    a_page_ends_where_judging_has_cost_enough,
    the_newest_update_is_kept_whatever_its_size,
    an_append_completes_without_its_publisher,
    concurrent_appends_have_one_order,
    an_acknowledged_update_was_routed,
    a_group_keeps_its_order,
    a_group_is_at_most_a_quarter_of_the_ring,
);

/// Updates that are appended together are stored together, one after the other, although they are shown in parts.
#[test]
fn an_append_of_several_is_one_batch() {
    let transport = open(Kept {
        max_bytes: 16 << 10,
        ..Kept::default()
    });
    let recorder = start(&transport);
    let other = Arc::clone(&transport);
    let other = std::thread::spawn(move || (0..50).for_each(|_| drop(append(&other, None))));
    for _ in 0..10 {
        let together = vec![update(None, &"x".repeat(1_000)); 30];
        let together = block_on(transport.append_all(together)).expect("they are stored");
        let places: Vec<u64> = together.iter().map(|one| place(one.position)).collect();
        assert!(
            places.windows(2).all(|pair| pair[0] + 1 == pair[1]),
            "{places:?}"
        );
    }
    other.join().expect("the other publisher ends");
    recorder.wait_until_routed(350);
}

impl Beside {
    fn node(&self) -> &Arc<Shared<SimulatedNode>> {
        self.node.as_ref().expect("it is there until it is dropped")
    }

    fn known<T: Send + 'static>(
        &self,
        append: Pending<'static, Result<T, AppendError>>,
    ) -> Pending<'static, Result<T, AppendError>> {
        let (world, node) = (self.world.clone(), Arc::downgrade(self.node()));
        Box::pin(async move {
            let appended = append.await;
            eventually("the node knows the floor", || {
                let Some(node) = node.upgrade() else {
                    return true;
                };
                let floor = world.held().map(|held| held.bounds.floor);
                floor.is_none_or(|floor| node.bounds().floor >= floor)
            });
            appended
        })
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        drop(self.node.take());
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.node.fmt(f)
    }
}

impl Transport for Beside {
    fn ring(&self) -> &Arc<Ring> {
        self.node().ring()
    }

    fn start(&self, route: Arc<dyn Route>) {
        self.node().start(route);
    }

    fn append(&self, update: Update) -> Pending<'static, Result<Appended, AppendError>> {
        self.known(self.node().append(update))
    }

    fn append_all(
        &self,
        updates: Vec<Update>,
    ) -> Pending<'static, Result<Vec<Appended>, AppendError>> {
        self.known(self.node().append_all(updates))
    }

    fn read(
        &self,
        from: Position,
        up_to: Position,
        limit: usize,
        filter: Arc<dyn Admit>,
    ) -> Pending<'_, Result<Page, ReadError>> {
        self.node().read(from, up_to, limit, filter)
    }

    fn position_of<'a>(&'a self, event_id: &'a str) -> Pending<'a, Result<Lookup, Unavailable>> {
        self.node().position_of(event_id)
    }

    fn bounds(&self) -> Bounds {
        self.node().bounds()
    }

    fn newest_id(&self) -> Option<String> {
        self.node().newest_id()
    }

    fn health(&self) -> Health {
        self.node().health()
    }
}
