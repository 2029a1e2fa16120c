//! Events among updates: their order for readers, and what the tools say about them.

use super::*;

/// Readers of everything, of topics and of events get updates and events in the order of the log, whatever
/// the limit of a page, also after a restart.
#[test]
fn pages_hold_updates_and_events_in_order() {
    let model = Model::new(1);
    let check = |transport: &Arc<dyn Transport>| {
        let frames = everything(transport);
        let found = places(&frames);
        let expected: Vec<u64> = (1..=transport.bounds().head.0).collect();
        assert_eq!(found, expected);
        let of_hub = frames.iter().filter(|frame| frame.by_hub);
        let of_hub: Vec<u64> = of_hub.map(|frame| frame.position.0).collect();
        assert_eq!(events(transport), of_hub);
        let topic = "/.well-known/mercure/subscriptions/2";
        let expected = frames.iter().filter(|frame| *frame.topics[0] == *topic);
        let expected: Vec<u64> = expected.map(|frame| frame.position.0).collect();
        assert!(!expected.is_empty());
        let found = all(transport, || Box::new(Topic(topic)));
        assert_eq!(places(&found), expected);
        for from in 0..transport.bounds().head.0 {
            for up_to in from + 1..=transport.bounds().head.0 {
                for limit in [1, 1 << 20] {
                    let page = read(transport, from, up_to, limit, Everything).expect("a page");
                    let end = page.looked_up_to.0;
                    assert!(end > from && end <= up_to, "{from} {up_to} {end}");
                    let expected: Vec<u64> = (from + 1..=end).collect();
                    assert_eq!(places(&page.frames), expected);
                    let page = read(transport, from, up_to, limit, Topic(topic)).expect("a page");
                    assert!(page.looked_up_to.0 > from);
                }
            }
        }
        for frame in &frames {
            let place = look_up(transport, &frame.event_id);
            assert_eq!(place, Lookup::Found(frame.position));
        }
    };
    let publish = |transport: &Arc<dyn Transport>| {
        let _recorder = start(transport);
        append(transport, None);
        visits(transport, 3);
        append(transport, None);
        append(transport, None);
        happen(transport, 9, true);
        append(transport, None);
        visits(transport, 1);
        check(transport);
    };
    for _ in 0..3 {
        let history = open(&model, options());
        check_newest(&history);
        publish(&history);
        model.crash(Crash::Kill);
    }
    check(&open(&model, options()));
    publish(&in_memory(MemoryOptions::default()));
}

/// A group consists of updates or of events: an event among updates, or with a chosen id, is an update.
#[test]
fn a_batch_of_both_kinds_is_of_updates() {
    let model = Model::new(1);
    let history = open(&model, options());
    let _recorder = start(&history);
    let mixed = vec![event(1, true), update(None, "x")];
    block_on(history.append_all(mixed)).expect("they are stored");
    let mut chosen = event(2, true);
    chosen.id = Some("chosen".to_owned());
    block_on(history.append(chosen)).expect("it is stored");
    assert_eq!(updates(&history), [1, 2, 3]);
    assert_eq!(events(&history), [0; 0]);
    assert_eq!(look_up(&history, "chosen"), Lookup::Found(Position(3)));
}

/// In a log with events `verify` finds no fault, `stat` counts only updates, and `export` has only updates.
/// Damage beside events is reported and repaired as usual.
#[test]
fn tools_know_the_place_of_events() {
    let model = Model::new(1);
    for _ in 0..2 {
        let history = open(&model, options());
        let _recorder = start(&history);
        for _ in 0..3 {
            append(&history, None);
            visits(&history, 2);
        }
    }
    let disk = model.mount();
    assert_eq!(verify(&*disk).expect("it is readable"), []);
    let stat = stat(&*disk).expect("it is readable");
    assert_eq!((stat.updates, stat.format, stat.faults), (6, 2, 0));
    let mut exported = Vec::new();
    let faults = export(&*disk, &mut |update| {
        exported.push(update.position.0);
        Ok(())
    });
    assert_eq!(faults.expect("it is readable"), []);
    let history = open(&model.copy(), options());
    let published = updates(&history);
    assert_eq!(exported, published);
    // The third update of the first segment, after a record of events.
    let mut names = model.names();
    names.retain(|name| name.ends_with(".segment"));
    let first = names[0].clone();
    let mut bytes = model.bytes(&first);
    let groups: Vec<usize> = (0..bytes.len() - 4)
        .filter(|at| bytes[*at..].starts_with(b"\xA7GRP"))
        .collect();
    for (damaged_at, lost) in [
        (groups[1] + 72 + 28 + 50, published[1]),
        (groups[1] + 72 + 4, published[1]),
        (groups[1] + 10, published[1]),
    ] {
        bytes[damaged_at] ^= 4;
        let damaged = model.copy();
        damaged.take(&first);
        damaged.put(&first, bytes.clone());
        bytes[damaged_at] ^= 4;
        let disk = damaged.mount();
        let faults = verify(&*disk).expect("it is readable");
        let told = faults.iter().filter_map(|fault| fault.lost);
        let told: Vec<_> = told.collect();
        assert_eq!(told.len(), 1, "{faults:?}");
        assert_eq!(told[0].1.0, lost, "{faults:?}");
        repair(&*disk, true).expect("a repair");
        assert_eq!(verify(&*disk).expect("it is readable"), []);
        let history = open(&damaged, options());
        let kept: Vec<u64> = published.iter().copied().filter(|at| *at > lost).collect();
        assert_eq!(updates(&history), kept, "cursors start behind the damage");
    }
}

/// A burst of visits does not keep a publisher's update from being stored, because groups of events are
/// bounded like others.
#[test]
fn updates_are_stored_between_events() {
    for transport in [
        open(&Model::new(1), options()),
        in_memory(MemoryOptions::default()),
    ] {
        let recorder = start(&transport);
        recorder.shut();
        let entered = recorder.entered();
        let publisher = Arc::clone(&transport);
        let first = std::thread::spawn(move || append(&publisher, None));
        recorder.wait_until_entered(entered + 1);
        let pending: Vec<_> = (0..200)
            .map(|number| {
                let is_event = number % 4 > 1;
                let next = if is_event {
                    event(number, true)
                } else {
                    update(None, "x")
                };
                (is_event, transport.append(next))
            })
            .collect();
        recorder.open();
        first.join().expect("a publisher");
        let mut before = Position(1);
        for (is_event, pending) in pending {
            let position = block_on(pending).expect("it is stored").position;
            assert_eq!(position, before.next(), "in order");
            before = position;
            let frames = recorder.frames();
            let frame = frames.iter().find(|frame| frame.position == position);
            assert_eq!(frame.map(|frame| frame.by_hub), Some(is_event));
        }
        for group in recorder.groups() {
            let events = group.iter().filter(|frame| frame.by_hub).count();
            assert!(
                events == 0 || events == group.len(),
                "a group of both kinds"
            );
        }
    }
}
