use super::*;

#[test]
fn the_path_names_the_hub() {
    for (path, expected) in [
        ("/mercure/revoke", Some(None)),
        ("/mercure/a/revoke", Some(Some("a"))),
        ("/mercure/a%2Fb/revoke", Some(Some("a%2Fb"))),
        ("/mercure/a/b/revoke", Some(Some("a/b"))),
        ("/mercure/revoke/", None),
        ("/mercure/health/ready", None),
        ("/revoke", None),
    ] {
        assert_eq!(hub_of(path), expected, "{path}");
    }
}

/// Each mistake has its sentence.
#[test]
fn what_is_wrong_is_named() {
    for (body, says) in [
        (json!({}), "name whom"),
        (json!({ "user": "ann" }), "`subscriber`, subject"),
        (json!({ "subject": 1 }), "`subject` is not a text"),
        (json!({ "subject": "" }), "1 to 1024 bytes"),
        (
            json!({ "subject": "a", "reason": "a".repeat(257) }),
            "1 to 256",
        ),
        (json!({ "subscriber": "a", "subject": "b" }), "stands alone"),
        (json!({ "subscriber": "a", "for": "1h" }), "ends one stream"),
        (
            json!({ "subject": "a", "for": "1h", "until": 1 }),
            "name one",
        ),
        (json!({ "subject": "a", "until": 1 }), "has passed"),
        (json!({ "subject": "a", "for": "400d" }), "366 days"),
        (json!({ "subject": "a", "for": "soon" }), "such as \"12h\""),
        (
            json!({ "subject": "a", "issued_before": "then" }),
            "or \"now\"",
        ),
    ] {
        let Value::Object(members) = body else {
            panic!("an object");
        };
        let Err(sentence) = read(&members) else {
            panic!("{members:?} is accepted");
        };
        let says = says.replace("`subscriber`, subject", "subscriber, subject");
        assert!(sentence.contains(&says), "{sentence}");
    }
}
