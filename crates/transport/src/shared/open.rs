//! Entering a log, and finding places in it.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use talaria_protocol::Update;
use tokio::time::timeout;

use super::backend::{Backend, BackendError, Continue, Member};
use super::identity::Identity;
use super::members::note;
use super::node::{Node, Place};
use super::options::SharedOptions;
use super::passed::passed;
use crate::events::Event;
use crate::{Health, Lookup, Position, Ring, Unavailable};

/// The frames that enter the ring at a time.
const GROUP: usize = 64;

/// Enters the log, and reads its newest part.
pub(super) async fn open<B: Backend>(
    backend: Arc<B>,
    options: SharedOptions,
) -> Result<Node<B>, BackendError> {
    let seed = match options.seed {
        Some(seed) => seed,
        None => getrandom::u64().map_err(|error| BackendError::Away(error.to_string()))?,
    };
    let member = Member(u128::from(seed) << 64 | u128::from(seed.rotate_left(17) ^ 0x5DEE_CE66));
    let attached = backend.attach(member, Position::ORIGIN).await?;
    let bounds = attached.bounds;
    let read = async {
        // What is counted of the members holds from the beginning.
        let beat = backend.beat(member).await?;
        let newest = backend.newest(bounds.head, options.ring_bytes).await?;
        Ok((beat, newest, subscriptions(&*backend).await?))
    };
    let (beat, newest, begun) = match beating(&*backend, member, options.lease, read).await {
        Ok(read) => read,
        Err(error) => {
            // The caller tries again as another member.
            _ = backend.leave(member).await;
            return Err(error);
        }
    };
    let floor = newest.records.first();
    let floor = floor.map(|first| first.run_before.unwrap_or(Position(first.position.0 - 1)));
    let ring = Ring::new(options.ring_bytes, floor.unwrap_or(bounds.head));
    let place = Place::new(
        bounds.head,
        Identity::of(&attached).tag,
        bounds.floor,
        options.events,
    );
    let node = Node::new(
        backend,
        options,
        Arc::new(ring),
        place,
        (member, &attached),
        seed,
    );
    node.knows(&begun);
    node.begun.set(begun);
    note(&node, &beat);
    let warm = passed(&node.identity(), newest.records);
    for group in warm.chunks(GROUP) {
        let frames: Vec<_> = group
            .iter()
            .map(|passed| Arc::clone(&passed.frame))
            .collect();
        node.ring.extend(&frames);
    }
    {
        let mut place = node.place();
        for passed in warm {
            if passed.frame.by_hub {
                place
                    .events
                    .add(Event::new(Arc::clone(&passed.frame), passed.time));
            }
            place.head = place.head.max(passed.frame.position);
            place.newest = Some(passed.frame);
        }
        let gone = place.events.evict();
        drop(place);
        node.ring.forget(&gone);
    }
    Ok(node)
}

/// Does what may take long, and shows meanwhile that the member lives.
async fn beating<B: Backend, T>(
    backend: &B,
    member: Member,
    lease: Duration,
    work: impl Future<Output = T>,
) -> T {
    let mut work = pin!(work);
    loop {
        match timeout(lease / 3, work.as_mut()).await {
            Ok(done) => return done,
            // The work goes on: the beat may wait for a connection that the work makes. If the beat fails, the work
            // does too.
            Err(_) => tokio::select! {
                done = work.as_mut() => return done,
                _ = backend.beat(member) => {}
            },
        }
    }
}

/// The beginnings of all subscriptions that are stored.
pub(super) async fn subscriptions<B: Backend>(backend: &B) -> Result<Vec<Update>, BackendError> {
    let mut begun = Vec::new();
    let mut from = Continue::default();
    loop {
        let some = backend.subscriptions(None, &from).await?;
        begun.extend(some.begun.into_iter().map(|(_, update)| update));
        match some.next {
            Some(next) => from = next,
            None => return Ok(begun),
        }
    }
}

/// Finds an update by its id. An id of the log's own says where it is, also if this node has not come there yet.
pub(super) async fn look_up<B: Backend>(
    node: &Node<B>,
    event_id: &str,
) -> Result<Lookup, Unavailable> {
    let identity = node.identity();
    let made = identity.ids.decode(event_id);
    let made = made.filter(|(tag, _)| *tag == identity.tag);
    let floor = node.place().floor;
    if let Some((_, position)) = made
        && position > floor
    {
        return Ok(Lookup::Found(position));
    }
    if node.contact.health() != Health::Ready {
        return Err(Unavailable);
    }
    // The semaphore is never closed.
    let _permit = node.finds.acquire().await;
    // A publisher may have used an id that this log made; that later update may still be kept.
    match node.backend.find(event_id).await {
        Ok(Some(position)) => Ok(Lookup::Found(position)),
        Ok(None) if made.is_some() => Ok(Lookup::Deleted),
        Ok(None) => Ok(Lookup::Unknown),
        Err(error) => {
            tracing::debug!(%error, "an id cannot be looked up");
            node.beat_now.notify_one();
            Err(Unavailable)
        }
    }
}
