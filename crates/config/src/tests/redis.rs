//! `transport redis` and `valkey`: the directive, the URL, and what is never shown (B-260).

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use talaria_hub::UnknownCursor;

use super::{KEYS, texts, try_load, with};
use crate::adapt::{adapt, shown_variable};
use crate::settings::{RedisPlace, RedisSettings, RedisTlsSettings, TransportSettings};
use crate::{File, Level, Loaded, Sources};

/// A certificate and a key as far as loading looks at them.
struct Files(PathBuf);

impl Files {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("talaria-{name}-{}", std::process::id()));
        _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        for (name, label) in [
            ("ca.pem", "CERTIFICATE"),
            ("hub.pem", "CERTIFICATE"),
            ("hub.key", "PRIVATE KEY"),
            ("password", ""),
        ] {
            let text = match label {
                "" => "S3CR3T\n".to_owned(),
                label => format!("-----BEGIN {label}-----\nx\n-----END {label}-----\n"),
            };
            std::fs::write(folder.join(name), text).unwrap();
            std::process::Command::new("chmod")
                .arg("600")
                .arg(folder.join(name))
                .status()
                .unwrap();
        }
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.0);
    }
}

fn of(loaded: &Loaded) -> RedisSettings {
    match &loaded.settings.stores[0] {
        TransportSettings::Redis(redis) => (**redis).clone(),
        other => panic!("{other:?} is not Redis"),
    }
}

fn block(options: &str) -> RedisSettings {
    let loaded = with(&format!("transport redis {{\n{options}\n}}")).unwrap();
    assert_eq!(loaded.notices, [], "{options}");
    of(&loaded)
}

fn url(url: &str) -> RedisSettings {
    of(&try_load(None, &[KEYS, &[("MERCURE_TRANSPORT_URL", url)]].concat()).unwrap())
}

fn password(redis: &RedisSettings) -> Option<&str> {
    let password = redis.credentials.password.as_ref();
    password.map(|password| password.expose())
}

/// Each option of the block reaches its place; without them these defaults hold.
#[test]
fn every_option_takes_effect() {
    let redis = block("address cache");
    assert_eq!(redis.place.to_string(), "cache:6379");
    assert_eq!(
        (&*redis.stream, redis.max_length, redis.replicas),
        ("mercure", None, 0)
    );
    assert_eq!((redis.ring_bytes, redis.database), (32 << 20, 0));
    assert_eq!((redis.tls.as_ref(), redis.max_age), (None, None));
    assert_eq!(redis.publish_timeout, Duration::from_secs(10));
    assert_eq!(redis.lease, Duration::from_secs(15));
    let files = Files::new("options");
    let path = |name| files.path(name).display().to_string();
    let redis = block(&format!(
        "address [::1]:7000\nusername app\npassword \"p w\"\ntls\nstream news\nmax_length 1000\nreplicas 1\nmax_age 7d\n\
         ring_bytes 1MiB\npublish_timeout 2s\nlease 5s\ndatabase 3\nca {}\nclient_certificate {} {}",
        path("ca.pem"),
        path("hub.pem"),
        path("hub.key"),
    ));
    assert_eq!(redis.place.to_string(), "[::1]:7000");
    assert_eq!(redis.credentials.username.as_deref(), Some("app"));
    assert_eq!(password(&redis), Some("p w"));
    assert_eq!(
        (&*redis.stream, redis.max_length, redis.replicas),
        ("news", Some(1000), 1)
    );
    assert_eq!((redis.ring_bytes, redis.database), (1 << 20, 3));
    assert_eq!(redis.max_age, Some(Duration::from_secs(7 * 86_400)));
    assert_eq!(
        (redis.publish_timeout, redis.lease),
        (Duration::from_secs(2), Duration::from_secs(5))
    );
    let tls = RedisTlsSettings {
        ca: Some(files.path("ca.pem")),
        identity: Some((files.path("hub.pem"), files.path("hub.key"))),
    };
    assert_eq!(redis.tls, Some(tls));
    assert_eq!(
        block("address a\nmax_length 0\nmax_age 0s").max_length,
        None
    );
    let cursor = |options: &str| {
        let loaded = with(&format!("transport valkey {{\naddress a\n{options}\n}}")).unwrap();
        loaded.settings.hubs[0].options.unknown_cursor
    };
    assert_eq!(cursor(""), UnknownCursor::Live);
    assert_eq!(cursor("unknown_cursor replay"), UnknownCursor::Replay);
}

/// One address is a server, several are a cluster, and those of Sentinels stand behind a name.
#[test]
fn places_are_told_apart() {
    for (options, shown) in [
        ("address a:1", "a:1"),
        ("addresses a:1", "a:1"),
        ("addresses a:1 b, c:3", "the cluster of a:1, b:6379, c:3"),
        ("address unix:/run/r.sock", "/run/r.sock"),
        ("address unix//run/r.sock", "/run/r.sock"),
        ("address unix:///run/r.sock", "/run/r.sock"),
        (
            "sentinel my-primary a [::2]:9",
            "the primary my-primary of the Sentinels a:26379, [::2]:9",
        ),
        ("url redis://a", "a:6379"),
        ("url valkey://a:1/", "a:1"),
        ("url REDIS://a", "a:6379"),
        ("url redis://a,b:2", "the cluster of a:6379, b:2"),
        ("url redis://[::1]:7", "[::1]:7"),
        ("url redis+unix:///run/r%20.sock", "/run/r .sock"),
        ("url unix:/run/r.sock", "/run/r.sock"),
        (
            "url redis://a,b:9?sentinel=main",
            "the primary main of the Sentinels a:26379, b:9",
        ),
    ] {
        assert_eq!(block(options).place.to_string(), shown, "{options}");
    }
    let RedisPlace::Unix(_) = block("url unix:/run/r.sock?db=2").place else {
        panic!("it is a socket");
    };
}

/// A URL says what its scheme, its user, its path and its parameters stand for, in the variable too.
#[test]
fn a_url_is_read() {
    let redis = url(
        "rediss://us%40er:p%3A%40%2Fw@h:1/4?stream=s&max_len_approx=9&replicas=2&max_age=1h&lease=3s",
    );
    assert_eq!(redis.place.to_string(), "h:1");
    assert_eq!(redis.credentials.username.as_deref(), Some("us@er"));
    assert_eq!(password(&redis), Some("p:@/w"));
    assert_eq!(
        (redis.database, &*redis.stream, redis.max_length),
        (4, "s", Some(9))
    );
    assert_eq!((redis.replicas, redis.lease), (2, Duration::from_secs(3)));
    assert!(redis.tls.is_some());
    let redis = url("redis://:pw@h?tls=1&max_length=5&publish_timeout=1s&ring_bytes=1MiB");
    assert!(redis.tls.is_some() && redis.credentials.username.is_none());
    assert_eq!((password(&redis), redis.max_length), (Some("pw"), Some(5)));
    assert!(url("redis://h?tls=0").tls.is_none());
    assert!(url("valkeys://h").tls.is_some());
    assert_eq!(password(&url("redis://h?password=p%40w")), Some("p@w"));
    let redis = url("redis://a?sentinel=m&sentinel_username=u&sentinel_password=pw");
    assert_eq!(redis.sentinel_credentials.username.as_deref(), Some("u"));
    let directive = with("transport_url redis://h/1").unwrap();
    assert_eq!(of(&directive).database, 1);
    let variable = [KEYS, &[("MERCURE_TRANSPORT_URL", "redis://h")]].concat();
    let loaded = try_load(None, &variable).unwrap();
    assert!(texts(&loaded)[0].contains("MERCURE_TRANSPORT_URL is deprecated"));
}

/// What a URL says already has no effect beside it, and a warning names it (B-260).
#[test]
fn options_that_a_url_says_are_named() {
    let options =
        "address other\npassword S3CR3T\nurl redis://h?stream=a\ntls\nmax_length 4\nstream b";
    let loaded = with(&format!("transport redis {{\n{options}\n}}")).unwrap();
    let redis = of(&loaded);
    assert_eq!(
        (redis.place.to_string().as_str(), redis.max_length),
        ("h:6379", Some(4))
    );
    assert_eq!(
        (&*redis.stream, redis.tls.as_ref(), password(&redis)),
        ("b", None, None)
    );
    assert_eq!(loaded.notices.len(), 1, "{:?}", texts(&loaded));
    assert_eq!(loaded.notices[0].level, Level::Warning);
    let said = &loaded.notices[0].text;
    assert!(
        said.contains("`address`, `password`, `tls` beside it") && !said.contains("S3CR3T"),
        "{said}"
    );
}

/// A password may stand in a variable or in a file.
#[test]
fn a_password_may_stand_elsewhere() {
    let files = Files::new("password");
    let file = format!("{{file.{}}}", files.path("password").display());
    for options in [
        format!("address h\npassword {file}"),
        "address h\npassword {env.REDIS_PASSWORD}".to_owned(),
        "url redis://:{env.REDIS_PASSWORD}@h".to_owned(),
        "url {env.REDIS_URL}".to_owned(),
    ] {
        let directives = format!("transport redis {{\n{options}\n}}");
        let variables = [
            ("MERCURE_EXTRA_DIRECTIVES", directives.as_str()),
            ("REDIS_PASSWORD", "S3CR3T"),
            ("REDIS_URL", "redis://:S3CR3T@h"),
        ];
        let loaded = try_load(None, &[KEYS, &variables].concat()).unwrap();
        assert_eq!(password(&of(&loaded)), Some("S3CR3T"), "{options}");
        let shown = format!("{:?}", loaded.settings.stores);
        assert!(!shown.contains("S3CR3T"), "{shown}");
    }
}

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
    let redis = "transport redis {\n address h\n password S3CR3T\n }";
    let same = "transport valkey {\n url redis://:S3CR3T@h\n }";
    assert_eq!(hubs(redis, same).unwrap().settings.stores.len(), 1);
    let other = "transport redis {\n address h\n stream b\n }";
    assert_eq!(hubs(redis, other).unwrap().settings.stores.len(), 2);
    let two = |one: &str, other: &str| hubs(&format!("name a\n{one}"), &format!("name b\n{other}"));
    assert_eq!(two(redis, other).unwrap().settings.stores.len(), 2);
    let error = two(redis, redis).unwrap_err();
    assert!(
        error.contains("in the same place") && error.contains("`stream other`"),
        "{error}"
    );
}

/// The variable of the paid edition has no effect, and one line says so.
#[test]
fn a_license_has_no_effect() {
    for (value, count) in [("abc", 1), ("", 0)] {
        let loaded = try_load(None, &[KEYS, &[("MERCURE_LICENSE", value)]].concat()).unwrap();
        assert_eq!(loaded.notices.len(), count, "{:?}", texts(&loaded));
        for notice in &loaded.notices {
            assert_eq!(notice.level, Level::Info);
            assert!(notice.text.starts_with("MERCURE_LICENSE has no effect"));
            assert!(!notice.text.contains("abc"));
        }
    }
}

/// No form of the configuration that is shown has a password in it.
#[test]
fn passwords_are_never_shown() {
    let text = ":80 {\n mercure {\n transport redis {\n url {$REDIS_URL}\n }\n transport redis {\n url redis://u:S3CR3T@h?stream=a\n }\n \
                transport redis {\n address h\n username app\n password S3CR3T\n sentinel_password S3CR3T\n }\n \
                transport_url redis://h?password=S3CR3T@S3CR3T&stream=b\n transport_url unix:/r.sock?password=S3CR3T\n }\n}";
    let variables: HashMap<String, String> = [
        ("REDIS_URL", "redis://:S3CR3T@h"),
        ("MERCURE_TRANSPORT_URL", "redis://:S3CR3T@h"),
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
    assert!(adapted.to_text().unwrap().contains("url {$REDIS_URL}"));
    let redacted = adapted.redacted().to_text().unwrap();
    assert!(!redacted.contains("S3CR3T"), "{redacted}");
    for kept in ["username app", "stream=a", "stream=b", "password REDACTED"] {
        assert!(redacted.contains(kept), "{kept}: {redacted}");
    }
    // Nothing of the environment is in the tree, which so can be loaded again.
    let official = shown(None).to_text().unwrap();
    assert!(
        official.contains("transport_url {$MERCURE_TRANSPORT_URL}"),
        "{official}"
    );
    for (name, value) in [
        ("MERCURE_TRANSPORT_URL", "redis://:S3CR3T@h/1"),
        ("MERCURE_TRANSPORT_URL", "redis://h?password=S3CR3T@S3CR3T"),
        (
            "MERCURE_TRANSPORT_URL",
            "redis://u:S3CR3T@h?password=S3CR3T@S3CR3T",
        ),
        (
            "MERCURE_EXTRA_DIRECTIVES",
            "transport redis {\n address h\n password S3CR3T\n}",
        ),
        ("REDIS_PASSWORD", "S3CR3T"),
    ] {
        let shown = shown_variable(name, value);
        assert!(!shown.contains("S3CR3T"), "{name}: {shown}");
    }
}
