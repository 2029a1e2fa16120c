use super::*;

fn at(seconds: f64) -> UnixTime {
    UnixTime::from_seconds(seconds)
}

fn tokens(issuer: &str, subject: &str, id: &str) -> Tokens {
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Tokens {
        issuer: given(issuer),
        subject: given(subject),
        id: given(id),
    }
}

fn entry(tokens: Tokens) -> Revocation {
    Revocation {
        tokens,
        issued_before: None,
        since: at(0.0),
        until: at(100.0),
        reason: None,
    }
}

const TOKEN: Token<'static> = Token {
    issuer: "i",
    subject: Some("s"),
    id: Some("t"),
    issued_at: None,
};

/// An entry refuses the tokens that have all of its claims, and no other.
#[test]
fn an_entry_means_the_tokens_that_have_its_claims() {
    for (given, is_meant) in [
        (tokens("i", "", ""), true),
        (tokens("", "s", ""), true),
        (tokens("", "", "t"), true),
        (tokens("i", "s", "t"), true),
        (tokens("other", "s", ""), false),
        (tokens("", "s", "other"), false),
        (tokens("", "t", ""), false),
        (tokens("s", "", ""), false),
    ] {
        let denied = Denied::default();
        denied.enter(entry(given.clone()), at(0.0)).expect("room");
        let found = denied.find(&TOKEN, at(1.0));
        assert_eq!(found.is_some(), is_meant, "{given}");
        assert_eq!(denied.find(&TOKEN, at(100.0)), None, "it has ended");
    }
    let bare = Token {
        subject: None,
        id: None,
        ..TOKEN
    };
    let denied = Denied::default();
    denied
        .enter(entry(tokens("", "s", "")), at(0.0))
        .expect("room");
    assert_eq!(denied.find(&bare, at(1.0)), None);
}

#[test]
fn tokens_that_were_issued_later_may_be_exempt() {
    let denied = Denied::default();
    let before = Revocation {
        issued_before: Some(at(50.0)),
        ..entry(tokens("", "s", ""))
    };
    denied.enter(before, at(0.0)).expect("room");
    for (issued_at, is_denied) in [(None, true), (Some(49.9), true), (Some(50.0), false)] {
        let token = Token {
            issued_at: issued_at.map(at),
            ..TOKEN
        };
        assert_eq!(denied.find(&token, at(60.0)).is_some(), is_denied);
    }
}

#[test]
fn entries_are_replaced_listed_and_removed() {
    let denied = Denied::default();
    for until in [10.0, 20.0] {
        let entry = Revocation {
            until: at(until),
            ..entry(tokens("i", "s", ""))
        };
        denied.enter(entry, at(0.0)).expect("room");
    }
    denied
        .enter(entry(tokens("i", "", "t")), at(0.0))
        .expect("room");
    let list = denied.list(at(1.0));
    assert_eq!(list.len(), 2);
    assert!(denied.find(&TOKEN, at(15.0)).is_some());
    assert_eq!(denied.remove(&tokens("", "s", ""), at(1.0)).len(), 1);
    assert_eq!(denied.remove(&tokens("", "s", ""), at(1.0)).len(), 0);
    assert_eq!(denied.remove(&tokens("i", "", ""), at(1.0)).len(), 1);
    assert_eq!(denied.find(&TOKEN, at(1.0)), None);
}

/// What has ended is not counted any more, so that the list is empty again.
#[test]
fn what_has_ended_is_pruned() {
    let uses: [fn(&Denied); 3] = [
        |denied| drop(denied.list(at(100.0))),
        |denied| assert_eq!(denied.remove(&tokens("", "s", ""), at(100.0)), []),
        |denied| {
            let ended = entry(tokens("", "other", ""));
            denied.enter(ended, at(100.0)).expect("room");
            denied.list(at(100.0));
        },
    ];
    for used in uses {
        let denied = Denied::default();
        denied
            .enter(entry(tokens("", "s", "")), at(0.0))
            .expect("room");
        used(&denied);
        assert_eq!(denied.count.load(Ordering::Relaxed), 0);
    }
}

/// The list is bounded; what has ended makes room.
#[test]
fn a_full_list_refuses_entries_until_one_has_ended() {
    let denied = Denied::default();
    for number in 0..Denied::MOST {
        let entry = Revocation {
            until: at(if number == 7 { 5.0 } else { 100.0 }),
            ..entry(tokens("", "", &number.to_string()))
        };
        denied.enter(entry, at(0.0)).expect("room");
    }
    let one_more = || entry(tokens("", "one more", ""));
    let full = denied.enter(one_more(), at(1.0)).expect_err("no room");
    assert!(full.to_string().contains("10000 entries"), "{full}");
    let known = entry(tokens("", "", "3"));
    denied.enter(known, at(1.0)).expect("it is there already");
    denied.enter(one_more(), at(5.0)).expect("one has ended");
    assert_eq!(denied.list(at(6.0)).len(), Denied::MOST);
}
