//! What is wrong with a `transport redis` is refused at its place, with what to write, and without a password.

use super::{KEYS, try_load, with};

/// Options of a block; where the mistake is, and the message.
const OPTIONS: &[(&str, &str, &str)] = &[
    ("adress a", "line 2, column 1", "did you mean `address`?"),
    (
        "gob\naddress a",
        "line 2, column 1",
        "remove it; nothing else",
    ),
    (
        "address a\npath x",
        "line 3, column 1",
        "it is one of `bolt`; known here are: ",
    ),
    (
        "address a\nsync never",
        "line 3, column 1",
        "it is one of `bolt`; known here are: ",
    ),
    (
        "address a\nsize 5",
        "line 3, column 1",
        "write `max_length <n>`",
    ),
    (
        "address caddy-storage-redis.alt",
        "line 2, column 9",
        "write the address of the server",
    ),
    ("address", "line 2, column 1", "`address` needs an address"),
    (
        "address a:0",
        "line 2, column 9",
        "`0` is not a port from 1 to 65535, behind `a`",
    ),
    (
        "address a:70000",
        "line 2, column 9",
        "`70000` is not a port",
    ),
    (
        "address a:PW",
        "line 2, column 9",
        "what follows the colon is not a port",
    ),
    ("address u:PW@a", "line 2, column 9", "has user information"),
    ("address a/b", "line 2, column 9", "write <host>:<port>"),
    (
        "address redis://a",
        "line 2, column 9",
        "write `url` and the URL",
    ),
    (
        "address unix:r.sock",
        "line 2, column 9",
        "must be absolute",
    ),
    ("addresses a b a:6379", "line 2, column 15", "occurs twice"),
    (
        "addresses a unix:/r",
        "line 2, column 1",
        "a socket is not a node of a cluster",
    ),
    (
        "address a\naddresses b c",
        "line 3, column 1",
        "write them on one line",
    ),
    (
        "address a\nreplicas x",
        "line 3, column 10",
        "`x` is not a whole number",
    ),
    (
        "address a\nreplicas -1",
        "line 3, column 10",
        "write it in digits only",
    ),
    (
        "address a\nreplicas 1000",
        "line 3, column 10",
        "write a number from 0 to 100",
    ),
    (
        "address a\nmax_length 1e3",
        "line 3, column 12",
        "`1e3` is not a whole number",
    ),
    (
        "address a\ndatabase x",
        "line 3, column 10",
        "`x` is not a whole number",
    ),
    ("sentinel", "line 2, column 1", "needs a name and addresses"),
    (
        "sentinel main",
        "line 2, column 1",
        "needs addresses after the name",
    ),
    (
        "sentinel a:1 b:1",
        "line 2, column 10",
        "`a:1` is not the name of a primary",
    ),
    (
        "sentinel m a\naddress b",
        "line 2, column 1",
        "both `sentinel` and `address` (at MERCURE_EXTRA_DIRECTIVES, line 3",
    ),
    (
        "addresses a b\nsentinel m c",
        "line 3, column 1",
        "both `sentinel` and `addresses`",
    ),
    (
        "sentinel m unix:/r",
        "line 2, column 1",
        "a socket is not the address of a Sentinel",
    ),
    (
        "addresses a b\ndatabase 1",
        "line 3, column 1",
        "a cluster has no database 1",
    ),
    (
        "address a\nusername u",
        "line 3, column 1",
        "`username` stands without `password`",
    ),
    (
        "address a\nusername u PW",
        "line 3, column 12",
        "takes the name of a user and nothing more",
    ),
    (
        "address a\npassword",
        "line 3, column 1",
        "`password` needs a password",
    ),
    (
        "address a\npassword \"\"",
        "line 3, column 10",
        "`password` is empty",
    ),
    (
        "address a\npassword PW PW",
        "line 3, column 13",
        "quote what holds spaces",
    ),
    (
        "address a\npassword {env.NOT_SET}",
        "line 3, column 10",
        "the variable NOT_SET is not set",
    ),
    (
        "address a\npassword {file./nowhere}",
        "line 3, column 10",
        "the key file `/nowhere` cannot be read",
    ),
    (
        "address a\nsentinel_password PW",
        "line 3, column 1",
        "no `sentinel` is written",
    ),
    (
        "address a\nca /nowhere.pem\ntls",
        "line 3, column 4",
        "`/nowhere.pem` cannot be read: No such file",
    ),
    (
        "address a\nca /proc/self/status\ntls",
        "line 3, column 4",
        "holds no CERTIFICATE in PEM",
    ),
    (
        "address a\nclient_certificate /x",
        "line 3, column 1",
        "needs the files of a certificate and of its key",
    ),
    ("address a\ntls on", "line 3, column 5", "takes no argument"),
    ("address unix:/r\ntls", "line 3, column 1", "speaks no TLS"),
    (
        "address a\nlease 1s",
        "line 3, column 7",
        "write a duration from 3s to 600s, such as 15s",
    ),
    (
        "address a\nlease 15",
        "line 3, column 7",
        "a number has no unit",
    ),
    (
        "address a\npublish_timeout 1ms",
        "line 3, column 17",
        "write a duration from 100ms to 300s",
    ),
    (
        "address a\nring_bytes 1KiB",
        "line 3, column 12",
        "write a size of at least 64KiB",
    ),
    (
        "address a\nstream \"\"",
        "line 3, column 8",
        "cannot name a log",
    ),
    (
        "address a\nstream a}b",
        "line 3, column 8",
        "without braces",
    ),
    ("stream a", "line 1, column 11", "names no server"),
    ("url", "line 2, column 1", "needs one URL"),
    (
        "url redis://a redis://u:PW@b",
        "line 2, column 1",
        "needs one URL",
    ),
    (
        "url redis://a\nurl redis://b",
        "line 3, column 5",
        "addresses are written already",
    ),
    (
        "url redis://a\nca /proc/self/status",
        "line 3, column 4",
        "holds no CERTIFICATE",
    ),
    (
        "url redis://a\nsentinel m b",
        "line 3, column 1",
        "both `sentinel` and `addresses`",
    ),
];

/// URLs, and the message.
const URLS: &[(&str, &str)] = &[
    ("redis:PW", "this is not the URL of a Redis server"),
    ("redis://", "the URL names no host"),
    ("redis://:PW@", "the URL names no host"),
    ("redis://PW@h", "`username` stands without `password`"),
    ("redis://h:70000", "`70000` is not a port from 1 to 65535"),
    ("redis://u:PW", "what follows the colon is not a port"),
    ("redis://u:P/W@h", "an `@` stands behind a `/`"),
    ("redis://u:P?PW@h", "an `@` stands behind a `/` or a `?`"),
    ("redis://u:P#W@h", "the URL holds a `#`"),
    ("redis://:%FF@h", "not UTF-8"),
    ("redis://h/x", "the database `x` of the URL is not a number"),
    (
        "redis://h/1/2",
        "the database `1/2` of the URL is not a number",
    ),
    ("redis://a,b/1", "a cluster has no database 1"),
    (
        "redis://h?replicas=x",
        "it is the value of the parameter `replicas` in the URL",
    ),
    ("redis://h?lease=1s&replicas=x", "`lease`"),
    ("redis://h?stream=", "the parameter `stream` in the URL"),
    ("redis://h?tls=x", "`tls` is neither 1 nor 0"),
    ("rediss://h?tls=0", "the scheme says TLS"),
    ("redis://h?stram=x", "did you mean `stream`?"),
    ("redis://h?gob=1", "`gob` is not supported"),
    ("redis://h?address=x", "`address` is not a parameter"),
    ("redis://h?size=1", "write `max_length <n>`"),
    (
        "redis://h?ca=/nowhere.pem&tls=1",
        "`/nowhere.pem` cannot be read",
    ),
    ("redis://h?sentinel=", "is not the name of a primary"),
    ("redis+unix://h/r.sock", "must be absolute"),
    ("unix:r.sock", "must be absolute"),
    (
        "redis+unix:///r?sentinel=a",
        "a socket is not the address of a Sentinel",
    ),
    (
        "redis+sentinel://:PW@h/main",
        "unknown transport `redis+sentinel`",
    ),
    ("redis://h?password=PW&x=1", "unknown transport option `x`"),
];

fn refused(options: &str) -> String {
    let error = with(&format!("transport redis {{\n{options}\n}}")).unwrap_err();
    assert!(!error.contains("PW"), "{options}: {error}");
    assert!(
        error.starts_with("MERCURE_EXTRA_DIRECTIVES, line "),
        "{options}: {error}"
    );
    error
}

/// Each has the place of what is wrong, the problem, and the remedy.
#[test]
fn a_wrong_option_is_refused_at_its_place() {
    for (options, place, expected) in OPTIONS {
        let error = refused(options);
        assert!(error.contains(expected), "{options}: {error}");
        assert!(error.contains(&format!("{place}: ")), "{options}: {error}");
    }
}

/// A URL is refused without what may be a password in it, whatever is wrong.
#[test]
fn a_wrong_url_is_refused() {
    for (url, expected) in URLS {
        let variable = [KEYS, &[("MERCURE_TRANSPORT_URL", url)]].concat();
        let error = try_load(None, &variable).unwrap_err();
        assert!(error.contains(expected), "{url}: {error}");
        assert!(
            error.starts_with("MERCURE_TRANSPORT_URL: "),
            "{url}: {error}"
        );
        assert!(!error.contains("PW"), "{url}: {error}");
        if url.starts_with("redis+sentinel") {
            continue;
        }
        let error = refused(&format!("url \"{url}\""));
        assert!(error.contains(expected), "{url}: {error}");
    }
    let error = refused("url http://u:PW@h");
    assert!(
        error.contains("`http` is not the scheme of a Redis server"),
        "{error}"
    );
    assert!(error.contains("write redis://"), "{error}");
    for wrong in ["url cache:6379", "url PW"] {
        let error = refused(wrong);
        assert!(
            error.contains("this is not the URL of a Redis server"),
            "{error}"
        );
    }
}

/// No line of a file that may hold a password is shown beside another mistake on it.
#[test]
fn no_line_with_a_password_is_shown() {
    for lines in [
        "transport_url redis://h?password=PW more",
        "transport_url redis://u:PW@h?x=1",
        "transport redis {\n password PW {\n }\n }",
        "transport redis {\n address a \n password PW\n username {$X}\n }",
        "transport redis {\n url redis://h?password=PW surplus\n }",
        "transport redis {\n url redis://u:PW@h {\n }\n }",
        "transport redis {\n password=PW\n }",
        "transport redis {\n sentinel_password PW PW2\n }",
        "transport redis://u:PW@h",
        "transport redis redis://u:PW@h",
    ] {
        let file = format!(
            ":80 {{\n mercure {{\n anonymous\n publisher_jwt !a-secret-of-thirty-two-bytes-or-more!\n {lines}\n }}\n}}"
        );
        let error = try_load(Some(&file), &[]).unwrap_err();
        assert!(error.starts_with("Caddyfile:"), "{lines}: {error}");
        assert!(!error.contains("PW"), "{lines}: {error}");
    }
}
