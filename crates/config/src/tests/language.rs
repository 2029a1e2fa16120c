//! Matchers and directives that are more than a word each (B-284).

use super::{texts, try_load};
use crate::settings::{
    Action, Change, Comparison, Condition, PathPattern, RegexPattern, Route, Simple, StatusPattern,
    Template,
};

const HUB: &str = "mercure {\n anonymous\n publisher_jwt !a-secret-of-thirty-two-bytes-or-more!\n}";

fn routes(body: &str, variables: &[(&str, &str)]) -> Vec<Route> {
    let loaded = try_load(Some(&format!(":80 {{\n{body}\n{HUB}\n}}")), variables);
    loaded
        .unwrap_or_else(|error| panic!("{body}: {error}"))
        .settings
        .sites
        .remove(0)
        .routes
        .0
}

/// The condition of `respond @x 404`, which follows the hub.
fn condition(matcher: &str) -> Condition {
    let routes = routes(&format!("{matcher}\nrespond @x 404"), &[]);
    routes.into_iter().nth(1).unwrap().condition
}

fn regex(name: &str, text: &str) -> RegexPattern {
    RegexPattern::new(Some(name), text).unwrap()
}

/// Regular expressions have their own name, or that of their matcher.
#[test]
fn regular_expressions_are_read() {
    assert_eq!(
        condition("@x path_regexp ^/a/(.*)$"),
        Condition::PathRegex(regex("x", "^/a/(.*)$"))
    );
    assert_eq!(
        condition("@x {\n path_regexp part ^/a/(.*)$\n}"),
        Condition::PathRegex(regex("part", "^/a/(.*)$"))
    );
    assert_eq!(
        condition("@x header_regexp n Cookie a=(\\d+)"),
        Condition::FieldRegex {
            name: "cookie".to_owned(),
            pattern: regex("n", "a=(\\d+)"),
        }
    );
}

/// An expression is the conditions that it names.
#[test]
fn expressions_are_read() {
    let path = |path| Condition::Path(vec![PathPattern::new(path)]);
    let expression = |condition| Condition::AtLeastOne(vec![condition]);
    let accepts_html = Condition::TextRegex(
        Template::new("{header.Accept}"),
        regex("x", r"\btext/html\b"),
    );
    let expected = Condition::AtLeastOne(vec![
        Condition::All(vec![
            accepts_html,
            Condition::Not(Box::new(Condition::Path(vec![
                PathPattern::new("/docs*"),
                PathPattern::new("*.json*"),
            ]))),
        ]),
        Condition::Compared {
            left: Template::new("{path}"),
            how: Comparison::Equal,
            right: Template::new("/favicon.ico"),
        },
    ]);
    let long = "@x expression `(\n {header.Accept}.matches(\"\\\\btext/html\\\\b\")\n && !path('/docs*', '*.json*')\n)\n|| {path} == \"/favicon.ico\"`";
    assert_eq!(condition(long), expression(expected));
    let post = expression(Condition::Method(vec!["POST".to_owned()]));
    assert_eq!(condition("@x `method('POST')`"), post);
    assert_eq!(condition("@x {\n expression method('POST')\n}"), post);
    // Words of which some are quoted are one expression.
    let equal = expression(Condition::Compared {
        left: Template::new("{http.request.header.X-A}"),
        how: Comparison::Equal,
        right: Template::new("a b"),
    });
    assert_eq!(condition("@x expression {header.X-A} == \"a b\""), equal);
    assert_eq!(condition("@x `path('/a*')`"), expression(path("/a*")));
}

/// Variables of the environment are read with the file, and their text is not read again.
#[test]
fn the_environment_fills_texts() {
    let body = "header X-A {env.A}\nreverse_proxy /api/* {env.APP}:8080\nrespond \"{env.A}\"";
    let routes = routes(body, &[("A", "{host}"), ("APP", "backend")]);
    let Action::Simple(Simple::Header(changes)) = &routes[0].action else {
        panic!("{routes:?}");
    };
    assert_eq!(changes[0].change, Change::Set(Template::literal("{host}")));
    let Action::Proxy(proxy) = &routes[3].action else {
        panic!("{routes:?}");
    };
    assert_eq!(proxy.upstreams[0].host, "backend");
}

/// Errors have their own routes, and those for some statuses go first.
#[test]
fn errors_have_routes() {
    let body = "root * /srv\nhandle_errors {\n respond {err.status_code}\n}\nhandle_errors 404 5xx {\n rewrite * /{err.status_code}.html\n file_server\n}";
    let routes = routes(body, &[]);
    let Action::Errors {
        statuses,
        routes: first,
    } = &routes[1].action
    else {
        panic!("{routes:?}");
    };
    assert_eq!(
        statuses,
        &[StatusPattern::One(404), StatusPattern::Class(5)]
    );
    assert!(matches!(&first[1].action, Action::Files(files) if files.root.ends_with("srv")));
    assert!(matches!(&routes[2].action, Action::Errors { statuses, .. } if statuses.is_empty()));
}

/// Hashes are taken as bcrypt writes them, and in Base64 as older files have them; no message shows them.
#[test]
fn users_are_read() {
    const HASH: &str = "$2a$14$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234";
    const ENCODED: &str =
        "JDJhJDE0JGFiY2RlZmdoaWprbG1ub3BxcnN0dXVBQkNERUZHSElKS0xNTk9QUVJTVFVWV1hZWjAxMjM0";
    for directive in ["basic_auth", "basicauth"] {
        let body =
            format!("{directive} /x* bcrypt \"a realm\" {{\n ann {HASH}\n bob {ENCODED}\n}}");
        let routes = routes(&body, &[]);
        let Action::Users(users) = &routes[0].action else {
            panic!("{routes:?}");
        };
        assert_eq!(users.realm, "a realm");
        assert!(users.users.iter().all(|(_, hash)| hash.expose() == HASH));
        assert!(!format!("{users:?}").contains(HASH));
    }
    let body = format!(":80 {{\nbasic_auth {{\n ann {HASH}x\n}}\n{HUB}\n}}");
    let error = try_load(Some(&body), &[]).unwrap_err();
    assert!(!error.contains("abcdefgh"), "{error}");
}

/// What has no effect is accepted where clients notice no difference, and told.
#[test]
fn what_has_no_effect_is_told() {
    let body = "reverse_proxy /x a {
 transport http {
 read_timeout 1m
 }
}";
    let loaded = try_load(
        Some(&format!(
            ":80 {{
{body}
{HUB}
}}"
        )),
        &[],
    )
    .unwrap();
    let told = texts(&loaded);
    let is_told = |text: &&str| text.contains("whatever `transport` says");
    assert!(told.iter().any(is_told), "{told:?}");
}

/// Metrics are placed on a site, and ask for those of requests in the global options.
#[test]
fn metrics_are_placed() {
    let load = |options: &str, directive: &str| {
        try_load(
            Some(&format!(
                "{{\n{options}\n}}\n:80 {{\n{directive}\n{HUB}\n}}"
            )),
            &[],
        )
    };
    for (options, per_host) in [
        ("metrics", Some(false)),
        ("metrics {\n per_host\n}", Some(true)),
        ("servers {\n metrics\n}", Some(false)),
        ("debug", None),
    ] {
        let loaded = load(options, "metrics /metrics").unwrap();
        let asked = loaded.settings.program.request_metrics;
        assert_eq!(asked.map(|asked| asked.per_host), per_host, "{options}");
    }
    for (directive, open) in [
        ("metrics /m", true),
        ("metrics /m {\n disable_openmetrics\n}", false),
    ] {
        let loaded = load("debug", directive).unwrap();
        let mut routes = loaded.settings.sites[0].routes.0.iter();
        let is_it = |route: &Route| matches!(route.action, Action::Metrics { may_be_open } if may_be_open == open);
        assert!(routes.any(is_it), "{directive}");
    }
    for (options, directive, says) in [
        ("metrics x", "", "`metrics` takes no argument"),
        ("metrics {\n per_hosts\n}", "", "per_host"),
        ("debug", "metrics /m x", "x"),
        ("debug", "metrics /m {\n open\n}", "disable_openmetrics"),
    ] {
        let error = load(options, directive).unwrap_err();
        assert!(error.contains(says), "{error}");
    }
}

/// All that is wrong in a block is told at once.
#[test]
fn a_block_tells_all_its_errors() {
    for (body, expected) in [
        (
            "reverse_proxy a {\n lb_policy cookie\n health_uri /a\n to b:x\n}",
            ["`cookie`", "`health_uri`"],
        ),
        (
            "@x {\n paht /a\n protocol ftp\n}\nrespond @x 404",
            ["`paht`", "`ftp`"],
        ),
        ("header {\n a:b c\n X-A\n}", ["`a:b`", "`X-A`"]),
        (
            "root /srv\nfile_server {\n browse\n status 200\n}",
            ["`browse`", "`status`"],
        ),
        (
            "log {\n output syslog\n core x\n}",
            ["the output `syslog`", "`core`"],
        ),
    ] {
        let file = format!(":80 {{\n{body}\n{HUB}\n}}");
        let error = try_load(Some(&file), &[]).unwrap_err();
        for expected in expected {
            assert!(error.contains(expected), "{body:?} gave {error}");
        }
        assert!(!error.contains("no matcher is called"), "{error}");
    }
}
