//! The journal of events: crashes, failures and damage.

use super::*;

/// After crashes, the beginning of a subscription still comes before its end, and each of them once.
#[test]
fn events_survive_a_crash_in_order() {
    let model = Model::new(3);
    let mut acknowledged = Vec::new();
    for round in 0..6 {
        let history = open(&model, options());
        check_newest(&history);
        let _recorder = start(&history);
        assert_eq!(events(&history), acknowledged, "round {round}");
        for active in [true, false] {
            acknowledged.push(happen(&history, round, active).position.0);
            if round % 2 == 0 {
                append(&history, None);
            }
        }
        model.crash(Crash::PowerLoss);
    }
}

/// A journal that is lost, incomplete or damaged anywhere costs events and nothing else: the log opens, has
/// every update, and subscribers can resume from every id.
#[test]
fn a_lost_journal_costs_events_only() {
    let model = Model::new(1);
    let mut ids = Vec::new();
    let mut published = Vec::new();
    for _ in 0..2 {
        let history = open(&model, options());
        let _recorder = start(&history);
        for subscription in 0..4 {
            let appended = append(&history, None);
            published.push(appended.position.0);
            ids.push(appended.event_id);
            ids.push(happen(&history, subscription, true).event_id);
        }
    }
    let whole = model.bytes("events");
    let lost = model.copy();
    lost.take("events");
    let mut damaged = vec![(lost, true)];
    for at in (0..whole.len()).step_by(97) {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        for bytes in [whole[..at].to_vec(), flipped, vec![0; at]] {
            let copy = model.copy();
            copy.take("events");
            copy.put("events", bytes);
            damaged.push((copy, false));
        }
    }
    for (model, is_gone) in damaged {
        let history = open(&model, options());
        let _recorder = start(&history);
        assert_eq!(updates(&history), published);
        let found = events(&history);
        assert!(found.len() < 8 && (found.is_empty() || !is_gone));
        for id in &ids {
            let place = look_up(&history, id);
            assert!(
                matches!(place, Lookup::Found(_) | Lookup::Past { .. }),
                "{id}: {place:?}"
            );
        }
        check_newest(&history);
        happen(&history, 7, true);
        append(&history, None);
        model.crash(Crash::Kill);
        let history = open(&model, options());
        assert_eq!(updates(&history).len(), published.len() + 1);
        assert_eq!(events(&history).len(), found.len() + 1);
        assert_eq!(verify(&*model.mount()).expect("it is readable"), []);
    }
}

/// The journal of another log is ignored.
#[test]
fn a_foreign_journal_is_ignored() {
    let (one, other) = (Model::new(1), Model::new(2));
    for model in [&one, &other] {
        let history = open(model, options());
        let _recorder = start(&history);
        append(&history, None);
        visits(&history, 3);
    }
    let bytes = other.bytes("events");
    one.take("events");
    one.put("events", bytes);
    let history = open(&one, options());
    let _recorder = start(&history);
    assert_eq!(events(&history), [0; 0]);
    // Its events do not appear at positions that this log gives out later either.
    for _ in 0..10 {
        append(&history, None);
    }
    assert_eq!(events(&history), [0; 0]);
    assert_eq!(updates(&history), (1..=11).collect::<Vec<_>>());
}

/// A repair writes a damaged header with the run of its groups, although events that no segment mentions
/// stand between two runs.
#[test]
fn a_repaired_header_has_the_run_of_its_groups() {
    let model = Model::new(1);
    let mut published = Vec::new();
    for round in 0..3 {
        let history = open(&model, options());
        let _recorder = start(&history);
        published.push(append(&history, None).position.0);
        visits(&history, 2 + round);
        model.crash(Crash::Kill);
    }
    for name in model.names() {
        if name.ends_with(".segment") {
            let damaged = model.copy();
            let mut bytes = model.bytes(&name);
            bytes[40] ^= 1;
            damaged.take(&name);
            damaged.put(&name, bytes);
            repair(&*damaged.mount(), true).expect("a repair");
            let history = open(&damaged, options());
            assert_eq!(updates(&history), published, "{name}");
            assert_eq!(events(&history).len(), 18, "{name}");
        }
    }
}

/// A long journal is rewritten while updates and events continue, and loses neither.
#[test]
fn a_journal_is_shortened_while_events_go_on() {
    let model = Model::new(1);
    let mut options = options();
    options.events.bytes = 700_000;
    let mut longest = 0;
    let mut published = Vec::new();
    for _ in 0..3 {
        let history = open(&model, options.clone());
        let _recorder = start(&history);
        let kept = events(&history);
        for number in 0..30 {
            published.push(append(&history, None).position.0);
            visits(&history, 50);
            happen(&history, 1_000 + number, true);
            longest = longest.max(bytes_of(&model, "events"));
        }
        // What exceeds the bounds is removed after an acknowledgement, and before the next one.
        published.push(append(&history, None).position.0);
        let kept_now = events(&history);
        assert!(kept.len() < kept_now.len() + 30 && kept_now.len() > 400);
        assert_eq!(updates(&history), published);
        model.crash(Crash::PowerLoss);
        let again = open(&model, options.clone());
        assert_eq!(events(&again), kept_now);
        assert_eq!(updates(&again), published);
    }
    assert!(longest < 4_000_000, "{longest} bytes");
}

/// If writes or syncs fail, events and then updates are refused until they work again. What was refused
/// never appears, although its positions are given out again.
#[test]
fn refused_events_never_appear() {
    for failing in [Call::Write, Call::Sync] {
        for seed in 0..10 {
            let model = Model::new(seed);
            let clock = Arc::new(AtomicU64::new(0));
            let reading = Arc::clone(&clock);
            // Time passes with each reading, so that the next attempt is due at once.
            let time = move || reading.fetch_add(1_000, Ordering::Relaxed);
            let options = HistoryOptions::new(Arc::new(time));
            let history = open(&model, options.clone());
            let recorder = start(&history);
            append(&history, None);
            happen(&history, 1, true);
            model.set_failing(Some(failing));
            for _ in 0..2 {
                let outcome = block_on(history.append(event(666, true)));
                let is_answered =
                    matches!(outcome, Err(AppendError::Refused(_) | AppendError::Unknown));
                assert!(is_answered, "{outcome:?}");
            }
            block_on(history.append(update(None, "refused"))).expect_err("nothing is stored");
            assert!(matches!(history.health(), Health::Refusing(_)));
            assert_eq!(events(&history), [2]);
            model.set_failing(None);
            eventually("it works again", || history.health() == Health::Ready);
            assert_eq!(append(&history, None).position, Position(3));
            assert_eq!(happen(&history, 2, true).position, Position(4));
            model.crash(Crash::PowerLoss);
            drop((history, recorder));
            let history = open(&model, options);
            let _recorder = start(&history);
            assert_eq!(updates(&history), [1, 3], "{failing:?}, seed {seed}");
            assert_eq!(events(&history), [2, 4], "{failing:?}, seed {seed}");
            (0..5).for_each(|_| drop(append(&history, None)));
            assert_eq!(events(&history), [2, 4], "{failing:?}, seed {seed}");
        }
    }
}
