//! Marks that are part of a value, and those that are not; passwords that no message shows.

use super::{KEYS, cors_origins, file, texts, try_load, with};
use crate::Level;

/// An issuer is any text that tokens may have as `iss` (RFC 7519, section 2, StringOrURI).
#[test]
fn an_issuer_may_hold_any_mark() {
    for name in [
        "Acme, Inc",
        "O'Reilly",
        "a|b",
        "CN=hub;O=x",
        "https://a.example/realms/(x)",
        "https://login.microsoftonline.com/{tenantid}/v2.0",
        "<hub>",
        "a\\b",
    ] {
        let block =
            format!("anonymous\n issuer \"{name}\" {{\n publisher {{\n jwt \"SECRET\"\n }}\n }}");
        let issuers = file(&block, &[]).unwrap().settings.hubs[0]
            .options
            .issuers
            .clone();
        assert!(issuers.get(name).is_some(), "{name}");
        let named = format!("\"{name}\"");
        let variables = [KEYS, &[("MERCURE_TRUSTED_ISSUERS", &named)]].concat();
        let issuers = try_load(None, &variables).unwrap().settings.hubs[0]
            .options
            .issuers
            .clone();
        assert!(issuers.get(name).is_some(), "{name}");
    }
    let url = "https://a.example/realms/(x)/{y}";
    let loaded = with(&format!(
        "resource_identifier {url}\naccepted_audiences {url} {url}z"
    ));
    let settings = loaded.unwrap().settings;
    assert_eq!(
        settings.hubs[0].options.resource_identifier.as_deref(),
        Some(url)
    );
    assert_eq!(
        settings.hubs[0].options.accepted_audiences,
        [url.to_owned(), format!("{url}z")]
    );
}

/// A quoted name is the name (B-280).
#[test]
fn a_quoted_name_is_the_name() {
    for written in ["\"anonymous\"", "`anonymous`", "\"anonymous\" on"] {
        assert!(
            with(written).unwrap().settings.hubs[0].options.anonymous,
            "{written}"
        );
    }
    let quoted = "`:80` {\n \"bind\" 127.0.0.1\n `mercure` {\n \"anonymous\"\n }\n}";
    let loaded = try_load(Some(quoted), &KEYS[1..]).unwrap();
    assert!(loaded.settings.hubs[0].options.anonymous);
    assert_eq!(loaded.settings.sites[0].addresses[0].bind.len(), 1);
}

/// A remedy shows a valid value; if the intended one is unknown, there is no remedy.
#[test]
fn no_remedy_is_nonsense() {
    const ORIGINS: &str = "MERCURE_CORS_ALLOWED_ORIGINS";
    for (name, value) in [
        ("SERVER_NAME", "${X}"),
        ("SERVER_NAME", "$(hostname)"),
        ("SERVER_NAME", "{$X}"),
        ("SERVER_NAME", "http://${HOST}:80"),
        (ORIGINS, "${ORIGINS}"),
        (ORIGINS, "false"),
        (ORIGINS, "true"),
        (ORIGINS, "= https://a.example"),
        (ORIGINS, r"^https?://(localhost|127\.0\.0\.1)(:[0-9]+)?$"),
    ] {
        let error = try_load(None, &[KEYS, &[(name, value)]].concat()).unwrap_err();
        let remedy = error.lines().find(|line| line.starts_with("  write "));
        let is_sound = remedy.is_none_or(|line| line.contains("the value itself"));
        assert!(is_sound, "{name}={value}: {error}");
    }
    for (written, right) in [
        (
            "publisher_jwks_url https://x/keys RS256,[RS256]",
            "write publisher_jwks_url https://x/keys RS256",
        ),
        (
            "cors_origins https://.example.com",
            "write https://*.example.com",
        ),
        ("trusted_proxies 10.0.0", "neither an address nor a range"),
    ] {
        let error = with(written).unwrap_err();
        assert!(error.contains(right), "{written}: {error}");
    }
    assert!(with("cors_origins https://a..example.com").is_err());
}

/// No error shows a password, nor what stands in the place of one.
#[test]
fn errors_show_no_password() {
    for (name, value) in [
        ("MERCURE_EXTRA_DIRECTIVES", "cors_origins https://u:PW@h"),
        ("MERCURE_EXTRA_DIRECTIVES", "cors_origins 'https://u:PW@h'"),
        (
            "MERCURE_EXTRA_DIRECTIVES",
            "publish_origins https://a https://u:PW#x@h/",
        ),
        ("MERCURE_EXTRA_DIRECTIVES", "public_urls ftp://u:PW@h"),
        (
            "MERCURE_EXTRA_DIRECTIVES",
            "accepted_audiences https://u:PW@h",
        ),
        (
            "MERCURE_EXTRA_DIRECTIVES",
            "resource_identifier https://u:PW@h",
        ),
        ("MERCURE_EXTRA_DIRECTIVES", "transport_url redis://PW@h"),
        (
            "MERCURE_EXTRA_DIRECTIVES",
            "transport_url redis://u:PW@h?x=1",
        ),
        ("MERCURE_EXTRA_DIRECTIVES", "heartbeat https://u:PW@h"),
        ("MERCURE_EXTRA_DIRECTIVES", "heartbeat https://u:PW@h 5"),
        ("MERCURE_CORS_ALLOWED_ORIGINS", "https://u:PW@h"),
        ("MERCURE_CORS_ALLOWED_ORIGINS", "[https://u:PW@h]"),
        ("MERCURE_TRANSPORT_URL", "redis://PW@h"),
        ("MERCURE_TRANSPORT_URL", "nats://h?token=PW"),
        ("MERCURE_CORS_ALLOWED_ORIGINS", "*,https://u:PW,PW@h"),
        ("SERVER_NAME", "http://u:PW@h"),
        ("SERVER_NAME", "http://u:PW,PW@h"),
        ("SERVER_NAME", "'http://u:PW@h'"),
        ("RUST_LOG", "redis://u:PW@h"),
    ] {
        let error = try_load(None, &[KEYS, &[(name, value)]].concat()).unwrap_err();
        assert!(!error.contains("PW"), "{name}={value}: {error}");
    }
}

/// What is taken as it stands and is probably not meant has one warning.
#[test]
fn mistakes_that_are_valid_are_named() {
    for (name, value, expected) in [
        ("SERVER_NAME", "3000", "write :3000 for the port"),
        ("SERVER_NAME", "80", "write :80 for the port"),
        ("MERCURE_TRUSTED_ISSUERS", "*", "is not a wildcard"),
        (
            "MERCURE_EXTRA_DIRECTIVES",
            "transport bolt {\n path /x.db,\n}",
            "part of the file's name",
        ),
    ] {
        let own: Vec<_> = KEYS
            .iter()
            .filter(|(own, _)| *own != name)
            .copied()
            .collect();
        let loaded = try_load(None, &[&own[..], &[(name, value)]].concat()).unwrap();
        assert_eq!(loaded.notices.len(), 1, "{:?}", texts(&loaded));
        assert!(texts(&loaded)[0].contains(expected), "{:?}", texts(&loaded));
    }
    let url = [KEYS, &[("MERCURE_TRANSPORT_URL", "bolt:///x.db,")]].concat();
    let loaded = try_load(None, &url).unwrap();
    let said = texts(&loaded).join("\n");
    assert!(said.contains("part of the file's name"), "{said}");
}

/// Brackets of IPv6 and the word of the global option are understood.
#[test]
fn proxies_in_the_forms_of_others() {
    for written in [
        "trusted_proxies [::1] [fe80::]/10",
        "trusted_proxies ::1, fe80::/10",
        "trusted_proxies static ::1 fe80::/10",
    ] {
        let proxies = with(written).unwrap().settings.program.proxies;
        assert_eq!(proxies.to_string(), "::1/128 fe80::/10", "{written}");
    }
    assert!(with("trusted_proxies static private_ranges").is_ok());
    assert!(with("trusted_proxies static").is_err());
    assert!(with("trusted_proxies [::1]:80").is_err());
}

/// The last of several lines counts, and a notice says so (B-124).
#[test]
fn a_repeated_directive_is_named() {
    let loaded = with("cors_origins https://a.example\ncors_origins https://b.example").unwrap();
    assert!(!cors_origins(&loaded.settings).allows("https://a.example"));
    assert_eq!(loaded.notices.len(), 1, "{:?}", texts(&loaded));
    assert_eq!(loaded.notices[0].level, Level::Info);
    assert!(
        loaded.notices[0]
            .text
            .contains("line 2, column 1: `cors_origins` is written more than once")
    );
}

/// With a file a remedy names what is then read.
#[test]
fn remedies_beside_a_file_name_the_file() {
    let block = "publisher_jwt \"SECRET\"\n anonymous";
    for (name, expected) in [
        ("MERCURE_PUBLIC_URL", "in the `mercure` block of Caddyfile"),
        ("MERCURE_HEARTBEAT", "in the `mercure` block of Caddyfile"),
        ("MERCURE_URL", "the hub listens at the site's address"),
    ] {
        let loaded = file(block, &[(name, "https://a.example")]).unwrap();
        let said = texts(&loaded).join("\n");
        assert!(
            said.contains(expected) && !said.contains("MERCURE_EXTRA_DIRECTIVES"),
            "{name}: {said}"
        );
    }
}
