//! Which hubs share a log on PostgreSQL, and what of it is never shown (B-261).

use std::collections::HashMap;

use super::try_load;
use crate::adapt::{adapt, shown_variable};
use crate::{File, Sources};

/// Two hubs share one log if all is the same; two names for one log are a mistake (B-254, B-1021).
#[test]
fn equal_settings_share_a_store() {
    let hubs = |one: &str, other: &str| {
        let site = |port: u8, text: &str| {
            format!(
                ":{port} {{\n mercure {{\n publisher_jwt !a-secret-of-thirty-two-bytes-or-more!\n anonymous\n {text}\n }}\n}}\n"
            )
        };
        try_load(Some(&(site(80, one) + &site(81, other))), &[])
    };
    let postgres = "transport postgres {\n url postgres://u:S3CR3T@h/d\n }";
    let same = "transport postgresql {\n url \"host=h user=u dbname=d password=S3CR3T\"\n }";
    assert_eq!(hubs(postgres, same).unwrap().settings.stores.len(), 1);
    let other = "transport postgres {\n url postgres://u:S3CR3T@h/d\n schema b\n }";
    assert_eq!(hubs(postgres, other).unwrap().settings.stores.len(), 2);
    let two = |one: &str, other: &str| hubs(&format!("name a\n{one}"), &format!("name b\n{other}"));
    let error = two(postgres, same).unwrap_err();
    assert!(
        error.contains("in the same place") && error.contains("`schema other`"),
        "{error}"
    );
}

/// No form of the configuration that is shown has a password in it.
#[test]
fn passwords_are_never_shown() {
    let text = ":80 {\n mercure {\n transport postgres {\n url {$DATABASE_URL}\n }\n \
                transport postgres {\n url postgres://u:S3CR3T@h/d?schema=a\n }\n \
                transport postgres {\n url \"host=h user=app password='S3CR3T and S3CR3T' dbname=d\"\n password S3CR3T\n }\n \
                transport postgres {\n url \"host=h password = S3CR3T\"\n }\n \
                transport_url postgres://h/d?password=S3CR3T&schema=b\n }\n}";
    let pairs = "host=h user=u password=S3CR3T";
    let variables: HashMap<String, String> = [
        ("DATABASE_URL", pairs),
        ("MERCURE_TRANSPORT_URL", "postgres://u:S3CR3T@h"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let shown = |file: Option<&str>| {
        let file = file.map(|text| File {
            name: "Caddyfile".to_owned(),
            text: text.to_owned(),
        });
        let sources = Sources {
            file,
            variables: &variables,
            address: None,
        };
        adapt(&sources).unwrap()
    };
    let adapted = shown(Some(text));
    assert!(adapted.to_text().unwrap().contains("url {$DATABASE_URL}"));
    let redacted = adapted.redacted().to_text().unwrap();
    assert!(!redacted.contains("S3CR3T"), "{redacted}");
    for kept in [
        "host=h user=app",
        "schema=a",
        "schema=b",
        "password REDACTED",
    ] {
        assert!(redacted.contains(kept), "{kept}: {redacted}");
    }
    assert!(
        shown(None)
            .to_text()
            .unwrap()
            .contains("transport_url {$MERCURE_TRANSPORT_URL}")
    );
    for (name, value) in [
        ("DATABASE_URL", pairs),
        ("DATABASE_URL", "host=h password = S3CR3T"),
        ("MERCURE_TRANSPORT_URL", "postgres://u:S3CR3T@h/d"),
        ("PGPASSWORD", "S3CR3T"),
        (
            "MERCURE_EXTRA_DIRECTIVES",
            "transport postgres {\n url \"host=h password='S3CR3T S3CR3T'\"\n password S3CR3T\n}",
        ),
        (
            "MERCURE_EXTRA_DIRECTIVES",
            "transport postgres {\n url \"host=h password = S3CR3T\"\n}",
        ),
    ] {
        let shown = shown_variable(name, value);
        assert!(!shown.contains("S3CR3T"), "{name}: {shown}");
    }
}
