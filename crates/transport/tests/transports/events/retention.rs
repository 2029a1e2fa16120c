//! Bounds on updates and on events do not affect each other.

use super::*;

/// Exactly `size` updates are kept, however many events come between, before and after them, also across
/// restarts and with a narrower bound.
#[test]
fn events_do_not_evict_updates_by_size() {
    let model = Model::new(1);
    let mut options = options();
    options.size = Some(5);
    options.events.count = 10;
    let mut published = Vec::new();
    for round in 0..6 {
        let history = open(&model, options.clone());
        let _recorder = start(&history);
        for _ in 0..3 {
            published.push(append(&history, None).position.0);
            visits(&history, round * 7);
            let newest = &published[published.len().saturating_sub(5)..];
            assert_eq!(updates(&history), newest, "round {round}");
        }
        visits(&history, 100);
        let newest = &published[published.len().saturating_sub(5)..];
        assert_eq!(updates(&history), newest, "round {round}");
        let crash = [Crash::Kill, Crash::PowerLoss][round as usize % 2];
        if round < 3 {
            model.crash(crash);
        }
    }
    for size in [4, 2, 1] {
        options.size = Some(size);
        let history = open(&model, options.clone());
        assert_eq!(
            updates(&history),
            published[published.len() - size as usize..]
        );
    }
}

/// Lost indexes are rebuilt with the positions of events.
#[test]
fn events_do_not_evict_updates_though_indexes_are_lost() {
    let model = Model::new(1);
    let mut published = Vec::new();
    for _ in 0..4 {
        let history = open(&model, options());
        let _recorder = start(&history);
        for _ in 0..3 {
            visits(&history, 20);
            published.push(append(&history, None).position.0);
        }
    }
    for name in model.names() {
        if name.ends_with(".index") || name.ends_with(".closed") {
            let mut bytes = model.bytes(&name);
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            model.take(&name);
            model.put(&name, bytes);
        }
    }
    let mut options = options();
    options.size = Some(7);
    let history = open(&model, options);
    assert_eq!(updates(&history), published[5..]);
}

/// Events do not count towards `max_bytes`, and take hardly any room in the segments.
#[test]
fn events_do_not_evict_updates_by_bytes() {
    const UPDATES: u64 = 20;
    const VISITS: u64 = 2_000;
    let model = Model::new(1);
    let mut options = options();
    options.max_bytes = Some(30_000);
    options.sync = SyncMode::Never;
    options.events.count = 50;
    let history = open(&model, options.clone());
    let _recorder = start(&history);
    let mut published = Vec::new();
    for _ in 0..UPDATES {
        let update = update(None, &"x".repeat(1_000));
        published.push(
            block_on(history.append(update))
                .expect("it is stored")
                .position
                .0,
        );
        visits(&history, VISITS / UPDATES);
    }
    let before = bytes_of(&model, ".segment");
    visits(&history, VISITS);
    assert_eq!(updates(&history), published);
    assert_eq!(bytes_of(&model, ".segment"), before);
    let events = 2 * VISITS as usize;
    let of_updates = UPDATES as usize * 1_400;
    assert!(
        before <= of_updates + 4 * events,
        "{before} bytes in segments"
    );
    // The bytes of 50 kept events.
    let journal = bytes_of(&model, "events");
    assert!(journal < 200_000, "{journal} bytes");
    drop(history);
    let history = open(&model, options);
    assert_eq!(updates(&history), published);
}

/// Events do not change the age of updates, and updates that are too old leave the disk although only
/// events came after them.
#[test]
fn events_do_not_change_what_age_deletes() {
    let folder = Folder::new();
    let time = Arc::new(AtomicU64::new(1_000_000));
    let clock = Arc::clone(&time);
    let mut options = HistoryOptions::new(Arc::new(move || clock.load(Ordering::SeqCst)));
    options.max_age = Some(Duration::from_secs(60));
    let directory = Directory::open(folder.path()).expect("a directory");
    let history = History::open(Arc::new(directory), options).expect("it opens");
    let history: Arc<dyn Transport> = Arc::new(history);
    let _recorder = start(&history);
    let old = append(&history, None).position.0;
    visits(&history, 5);
    time.fetch_add(20_000, Ordering::SeqCst);
    let young = append(&history, None).position.0;
    visits(&history, 5);
    assert_eq!(updates(&history), [old, young]);
    time.fetch_add(50_000, Ordering::SeqCst);
    happen(&history, 100, true);
    eventually("the old one goes", || {
        history.bounds().floor == Position(old)
    });
    visits(&history, 5);
    assert_eq!(updates(&history), [young]);
    time.fetch_add(50_000, Ordering::SeqCst);
    happen(&history, 101, true);
    eventually("the young one goes", || {
        history.bounds().floor == Position(young)
    });
    let text = "urn:uuid";
    eventually("what is over leaves the disk", || {
        let files = fs::read_dir(folder.path()).expect("a folder");
        let paths = files.map(|file| file.expect("a file").path());
        let segments = paths.filter(|path| path.extension().is_some_and(|kind| kind == "segment"));
        let mut contents = segments.map(|path| fs::read(path).unwrap_or_default());
        contents.all(|bytes| {
            !bytes
                .windows(text.len())
                .any(|part| part == text.as_bytes())
        })
    });
    // Events are not affected, and subscribers can resume from their ids.
    assert_eq!(events(&history).len(), 32);
    let last = happen(&history, 102, true);
    assert_eq!(
        look_up(&history, &last.event_id),
        Lookup::Found(last.position)
    );
}

/// In memory, events count neither towards the bytes of the ring nor towards `size`.
#[test]
fn events_do_not_evict_updates_in_memory() {
    for size in [None, Some(10)] {
        let mut options = MemoryOptions::default();
        options.size = size;
        options.max_bytes = 20_000;
        options.events.bytes = 1 << 20;
        options.events.count = 20;
        let memory = in_memory(options);
        let _recorder = start(&memory);
        let mut published = Vec::new();
        for _ in 0..30 {
            published.push(append(&memory, None).position.0);
            visits(&memory, 100);
            let kept = size.unwrap_or(1_000);
            let newest = &published[published.len().saturating_sub(kept as usize)..];
            assert_eq!(updates(&memory), newest, "{size:?}");
        }
        assert!(events(&memory).len() <= 20);
        let page = read(&memory, 0, memory.bounds().head.0, 1 << 20, Everything);
        assert_eq!(page.expect("a page").looked_up_to, memory.bounds().head);
    }
}

/// An update that is larger than the ring stays until the next update comes.
#[test]
fn events_do_not_evict_the_newest_update() {
    let mut small = options();
    small.max_bytes = Some(4 << 10);
    small.ring_bytes = 4 << 10;
    let mut memory = MemoryOptions::default();
    memory.max_bytes = 4 << 10;
    for transport in [open(&Model::new(1), small), in_memory(memory)] {
        let _recorder = start(&transport);
        append(&transport, None);
        let large = update(Some("large"), &"x".repeat(100_000));
        let large = block_on(transport.append(large)).expect("it is stored");
        visits(&transport, 20);
        assert_eq!(updates(&transport), [large.position.0]);
        assert_eq!(look_up(&transport, "large"), Lookup::Found(large.position));
    }
}

/// The ring of a history holds the newest updates, and events that are no longer kept leave it.
#[test]
fn events_do_not_flush_the_ring() {
    let mut options = options();
    options.events.count = 10;
    options.sync = SyncMode::Never;
    options.ring_bytes = 64 << 10;
    let history = open(&Model::new(1), options);
    let _recorder = start(&history);
    let published: Vec<_> = (0..20).map(|_| append(&history, None).position.0).collect();
    visits(&history, 3_000);
    let ring = history.ring();
    assert_eq!(ring.floor(), Position::ORIGIN);
    let page = ring.page(Position::ORIGIN, history.bounds().head, 10_000);
    let page = page.expect("nothing left the ring");
    assert_eq!(places(&page[..20]), published);
    assert!(page.len() <= 20 + 12, "{} frames", page.len());
}

/// Beyond the bounds, events of ended subscriptions are removed first, and the beginnings of open ones stay.
/// Subscribers that resume skip what is gone.
#[test]
fn events_of_ended_subscriptions_are_removed_first() {
    let mut kept = options();
    kept.events.count = 5;
    let mut memory = MemoryOptions::default();
    memory.events.count = 5;
    let model = Model::new(1);
    for transport in [open(&model, kept.clone()), in_memory(memory)] {
        let _recorder = start(&transport);
        let open = happen(&transport, 1_000, true);
        let gone = happen(&transport, 1_001, true);
        happen(&transport, 1_001, false);
        let between = append(&transport, None);
        visits(&transport, 20);
        let last = happen(&transport, 1_002, true);
        eventually("only what is kept is there", || {
            events(&transport).len() <= 5
        });
        let found = events(&transport);
        assert_eq!(found.first(), Some(&open.position.0));
        assert_eq!(found.last(), Some(&last.position.0));
        // Subscribers can still resume from its id.
        let place = look_up(&transport, &gone.event_id);
        assert_eq!(place, Lookup::Found(gone.position));
        let head = transport.bounds().head.0;
        let page = read(&transport, gone.position.0, head, 1 << 20, Everything).expect("a page");
        assert_eq!(page.frames[0].position, between.position);
        assert_eq!(page.looked_up_to.0, head);
    }
    let history = open(&model, kept);
    assert_eq!(events(&history)[0], 1);
}
