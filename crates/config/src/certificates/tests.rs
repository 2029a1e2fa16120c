use super::*;
use crate::lexer::tests::text;
use crate::settings::{AuthoritySettings, Binding, KeyKind, LETS_ENCRYPT, ZERO_SSL};
use crate::tree::parse;

fn addresses(source: &str) -> Vec<ListenAddress> {
    let words = crate::lexer::lex(&text(source)).unwrap();
    crate::address::addresses(&words, crate::address::Ports::default()).unwrap()
}

/// The certificates of addresses with these global options and lines of the site.
fn certify_all(names: &str, global: &str, site: &str) -> Result<Vec<Certified>, String> {
    let lines = |source: &str| parse(&text(source)).map(|document| document.lines);
    let mut issuance = Issuance::default();
    let certified = (|| {
        for line in lines(global)? {
            apply(&mut issuance, &line, &mut Vec::new())?;
        }
        let site = lines(site)?.first().map(tls).transpose()?;
        certify(&addresses(names), site.as_ref(), &issuance, true)
    })();
    certified.map_err(|error| error.to_string())
}

/// Each source with its names, in words.
fn told(names: &str, global: &str, site: &str) -> Vec<String> {
    let tell = |authority: &AuthoritySettings| {
        let host = authority.directory.host_str().unwrap().to_owned();
        match (&authority.email, &authority.binding) {
            (None, None) => host,
            (Some(email), None) => format!("{host} {email}"),
            (_, Some(Binding::ZeroSsl(None))) => format!("{host} by email"),
            (_, Some(Binding::ZeroSsl(Some(_)))) => format!("{host} by key"),
            (_, Some(Binding::Key { id, .. })) => format!("{host} as {id}"),
        }
    };
    let all = certify_all(names, global, site).unwrap();
    all.into_iter()
        .map(|certified| {
            let source = match &certified.source {
                CertificateSettings::Local => "local".to_owned(),
                CertificateSettings::Files { .. } => "files".to_owned(),
                CertificateSettings::Acme(acme) => {
                    let all: Vec<_> = acme.authorities.iter().map(tell).collect();
                    all.join(", then ")
                }
            };
            format!("{}: {source}", certified.names.join(" "))
        })
        .collect()
}

const LE: &str = "acme-v02.api.letsencrypt.org";

/// The name decides: internal names are of the local authority, all others of Let's Encrypt (B-061, B-064).
#[test]
fn the_name_decides() {
    for internal in [
        "localhost",
        "a.localhost",
        "hub",
        "hub.local",
        "a.internal",
        "a.home.arpa",
        "10.0.0.1",
        "https://[::1]:8443",
    ] {
        let told = told(internal, "", "");
        assert!(told.len() == 1 && told[0].ends_with(": local"), "{told:?}");
    }
    let public = format!("hub.example.com: {LE}");
    assert_eq!(told("hub.example.com", "", ""), [public.as_str()]);
    assert_eq!(
        told("localhost, hub.example.com", "", ""),
        ["localhost: local", public.as_str()]
    );
    assert!(told("hub.example:80 :3000", "", "").is_empty());
    let error = certify_all(":443", "", "").unwrap_err();
    assert!(error.contains("SERVER_NAME=hub.example.com"), "{error}");
    assert_eq!(told(":443", "", "tls a b"), [": files"]);
    assert_eq!(told("https://a.b", "", "tls a b"), ["a.b: files"]);
}

/// Global options, the lines of a site, and who is asked.
const ASKED: &[(&str, &str, &str)] = &[
    (
        "email a@b.test",
        "",
        "acme-v02.api.letsencrypt.org a@b.test, then acme.zerossl.com by email",
    ),
    (
        "",
        "tls a@b.test",
        "acme-v02.api.letsencrypt.org a@b.test, then acme.zerossl.com by email",
    ),
    (CA, "", "ca.test"),
    (
        "acme_ca https://ca.test/dir\nemail a@b.test",
        "",
        "ca.test a@b.test",
    ),
    (
        "acme_ca https://ca.test/dir\nacme_eab {\n key_id k\n mac_key c2VjcmV0\n}",
        "",
        "ca.test as k",
    ),
    (CA, "tls {\n ca https://other.test/\n}", "other.test"),
    (
        CA,
        "tls {\n issuer acme https://other.test/\n}",
        "other.test",
    ),
    (
        "acme_ca https://ca.test/dir\nacme_eab k c2VjcmV0",
        "tls {\n issuer acme {\n dir https://other.test/\n email a@b.test\n }\n}",
        "other.test a@b.test",
    ),
    ("local_certs", "", "local"),
    ("cert_issuer internal", "", "local"),
    ("", "tls internal", "local"),
    (
        "local_certs",
        "tls a@b.test",
        "acme-v02.api.letsencrypt.org a@b.test, then acme.zerossl.com by email",
    ),
    ("local_certs", "tls {\n key_type p384\n}", "local"),
    (
        "email a@b.test\ncert_issuer zerossl",
        "",
        "acme.zerossl.com by email",
    ),
    ("cert_issuer zerossl key", "", "acme.zerossl.com by key"),
    (
        "cert_issuer acme https://a.test/\ncert_issuer acme https://b.test/",
        "",
        "a.test, then b.test",
    ),
];

const CA: &str = "acme_ca https://ca.test/dir";

/// Global options and the directive say who is asked, in which order (B-064, B-293).
#[test]
fn who_is_asked() {
    for (global, site, expected) in ASKED {
        let told = told("hub.example.com", global, site);
        assert_eq!(
            told,
            [format!("hub.example.com: {expected}")],
            "{global} {site}"
        );
    }
    // An authority of one's own may certify an internal name, if the site asks for it.
    assert_eq!(told("hub.internal", CA, ""), ["hub.internal: local"]);
    assert_eq!(
        told(
            "localhost hub.internal",
            "",
            "tls {\n ca https://ca.test/\n}"
        ),
        ["localhost: local", "hub.internal: ca.test"]
    );
}

#[test]
fn what_cannot_be_done_is_refused_by_name() {
    for (global, site, expected) in [
        ("acme_dns cloudflare x", "", "DNS challenge"),
        ("on_demand_tls {\n ask http://a\n}", "", "on demand"),
        ("", "tls {\n dns cloudflare x\n}", "DNS challenge"),
        ("", "tls {\n on_demand\n}", "on demand"),
        ("acme_ca http://a.test/", "", "https://"),
        ("acme_ca a.test", "", "not the URL of an ACME directory"),
        ("email x", "", "not an email address"),
        ("email a@b.c,d@e.f", "", "not an email address"),
        ("cert_issuer zerossl", "", "needs an email address"),
        (
            "cert_issuer internal\ncert_issuer acme",
            "",
            "beside another",
        ),
        (
            "auto_https off",
            "",
            "hub.example.com is HTTPS, and `auto_https`",
        ),
        ("auto_https disable_certs", "", "switches certificates off"),
        ("auto_https never", "", "auto_https `never` is unknown"),
        ("key_type p521", "", "not a kind of key"),
        (
            "",
            "tls a b {\n ca https://a.test/\n}",
            "both files and an issuer",
        ),
        (
            "",
            "tls {\n protocols tls1.0\n}",
            "`protocols` has `tls1.0`",
        ),
        (
            "",
            "tls {\n protocols tls1.2 tls1.2\n}",
            "`protocols` has `tls1.2`",
        ),
        ("", "tls {\n client_auth {\n }\n}", "not supported yet"),
        ("", "tls a b c", "an email address, or the files"),
        ("acme_eab {\n key_id a\n}", "", "needs the identifier"),
    ] {
        let error = certify_all("hub.example.com", global, site).unwrap_err();
        assert!(error.contains(expected), "{global} {site}: {error}");
    }
    for site in ["tls internal", "tls a b", "tls a@b.test"] {
        assert!(
            certify_all("hub.example.com", "auto_https off", site).is_ok(),
            "{site}"
        );
    }
}

/// No error shows the key of an external account.
#[test]
fn keys_are_not_shown() {
    for (global, site) in [
        ("acme_eab id SE?CRET", ""),
        ("acme_eab id SECRET more", ""),
        ("acme_eab {\n mac_key SECRET\n}", ""),
        ("cert_issuer zerossl SECRET more", ""),
        ("", "tls {\n eab id SECRET more\n}"),
        ("", "tls {\n eab id SE?CRET\n}"),
    ] {
        let error = certify_all("hub.example.com", global, site).unwrap_err();
        assert!(!error.contains("CRET"), "{error}");
    }
    let all = certify_all("hub.example.com", "acme_eab id SECRET", "").unwrap();
    assert!(!format!("{all:?}").contains("SECRET"));
}

#[test]
fn keys_versions_and_challenges() {
    let one = |global: &str, site: &str| {
        let all = certify_all("hub.example.com", global, site).unwrap();
        let Certified {
            source: CertificateSettings::Acme(acme),
            only_tls13,
            ..
        } = all.into_iter().next().unwrap()
        else {
            panic!("no authority");
        };
        (acme, only_tls13)
    };
    assert_eq!(one("", "").0.key, KeyKind::P256);
    assert_eq!(one("key_type rsa4096", "").0.key, KeyKind::Rsa4096);
    assert_eq!(
        one("key_type p384", "tls {\n key_type ed25519\n}").0.key,
        KeyKind::Ed25519
    );
    assert!(!one("", "tls {\n protocols tls1.2 tls1.3\n}").1);
    assert!(one("", "tls {\n protocols tls1.3\n}").1);
    let (acme, _) = one("", "tls {\n issuer acme {\n disable_http_challenge\n }\n}");
    let [authority] = acme.authorities.as_slice() else {
        panic!("{acme:?}");
    };
    assert!(!authority.http_challenge && authority.alpn_challenge);
    assert!(acme.http);
    let none = "tls {\n issuer acme {\n disable_http_challenge\n disable_tlsalpn_challenge\n }\n}";
    let error = certify_all("hub.example.com", "", none).unwrap_err();
    assert!(error.contains("no challenge is left"), "{error}");
}

#[test]
fn the_known_directories_are_urls() {
    for known in [LETS_ENCRYPT, ZERO_SSL] {
        assert_eq!(url::Url::parse(known).unwrap().as_str(), known);
    }
}
