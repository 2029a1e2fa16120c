//! The directives of a site, as routes (B-284, B-285).

use super::try_load;
use crate::settings::{
    Action, Condition, Loaded, PathPattern, Rewrite, Route, Simple, Template, UpstreamSettings,
};

const HUB: &str = "mercure {\n anonymous\n publisher_jwt !a-secret-of-thirty-two-bytes-or-more!\n}";

fn load(body: &str) -> Result<Loaded, String> {
    try_load(Some(&format!(":80 {{\n{body}\n{HUB}\n}}")), &[])
}

fn routes(body: &str) -> Vec<Route> {
    load(body).unwrap().settings.sites[0].routes.0.clone()
}

/// The name of an action, and the statuses of fixed answers.
fn names(routes: &[Route]) -> Vec<String> {
    let name = |route: &Route| match &route.action {
        Action::Hub(_) => "hub".to_owned(),
        Action::Files(files) => format!("files {}", files.root.display()),
        Action::TryFiles(_) => "try_files".to_owned(),
        Action::Users(_) => "users".to_owned(),
        Action::Encode(_) => "encode".to_owned(),
        Action::Metrics { .. } => "metrics".to_owned(),
        Action::Proxy(proxy) => {
            let upstreams = proxy.upstreams.iter();
            let one = |one: &UpstreamSettings| format!("{} {}:{}", one.tls, one.host, one.port);
            format!("proxy {}", upstreams.map(one).collect::<Vec<_>>().join(" "))
        }
        Action::Errors { routes, .. } => format!("errors [{}]", names(routes).join(", ")),
        Action::Simple(simple) => match simple {
            Simple::Respond { status, .. } => format!("respond {}", status.unwrap_or(200)),
            Simple::Redirect { status, .. } => format!("redir {status}"),
            Simple::Fail { status, .. } => format!("error {status}"),
            Simple::Abort => "abort".to_owned(),
            Simple::Header(_) => "header".to_owned(),
            Simple::RequestHeader(_) => "request_header".to_owned(),
            Simple::Rewrite(_) => "rewrite".to_owned(),
            Simple::Method(method) => format!("method {method}"),
            Simple::Variables(_) => "vars".to_owned(),
            Simple::BodyLimit(most) => format!("body {most}"),
            Simple::SkipLog => "skip".to_owned(),
            Simple::AppendLog { name, .. } => format!("append {name}"),
            Simple::NameLog(_) => "name".to_owned(),
        },
        Action::Tracing(_) => "tracing".to_owned(),
        Action::Group { routes, .. } => format!("[{}]", names(routes).join(", ")),
    };
    routes.iter().map(name).collect()
}

fn error(body: &str) -> String {
    load(body).err().unwrap_or_default()
}

/// Directives are asked in the server's order, and those of one kind in that of their paths; `route` keeps
/// the order of the file (B-285).
#[test]
fn directives_have_an_order() {
    let body =
        "respond 404\nrespond /a* 201\nrespond /a/b 202\nheader X y\nredir /x /y\nencode gzip";
    assert_eq!(
        names(&routes(body)),
        [
            "header",
            "redir 302",
            "encode",
            "hub",
            "respond 202",
            "respond 201",
            "respond 404"
        ]
    );
    // One path goes before other conditions, and those before none.
    let body = "@api method POST\nrespond 404\nrespond @api 403\nrespond /a 201\n@both {\n path /ab\n method GET\n}\nrespond @both 202";
    assert_eq!(
        names(&routes(body)),
        [
            "hub",
            "respond 202",
            "respond 201",
            "respond 403",
            "respond 404"
        ]
    );
    let body = "route {\n respond 404\n redir /x /y permanent\n}\nhandle /z {\n respond 201\n header X y\n}";
    assert_eq!(
        names(&routes(body)),
        ["hub", "[header, respond 201]", "[respond 404, redir 301]"]
    );
    let global =
        format!("{{\n order respond before mercure\n}}\n:80 {{\nrespond /a 201\n{HUB}\n}}");
    let loaded = try_load(Some(&global), &[]).unwrap();
    assert_eq!(
        names(&loaded.settings.sites[0].routes.0),
        ["respond 201", "hub"]
    );
}

/// A directive may be for some requests only (B-282).
#[test]
fn matchers_are_read() {
    let path = |text| Condition::Path(vec![PathPattern::new(text)]);
    let first = |body: &str| routes(body).into_iter().next().unwrap().condition;
    assert_eq!(first("redir /a /b"), path("/a"));
    assert_eq!(first("redir * /b"), Condition::Any);
    assert_eq!(first("@x path /a\nredir @x /b"), path("/a"));
    assert_eq!(first("@x {\n path /a\n}\nredir @x /b"), path("/a"));
    assert_eq!(
        first("@x {\n path /a\n method get\n not host A\n}\nredir @x /b"),
        Condition::All(vec![
            path("/a"),
            Condition::Method(vec!["GET".to_owned()]),
            Condition::Not(Box::new(Condition::Host(vec!["a".to_owned()]))),
        ])
    );
    let stripped = routes("handle_path /hub/* {\n respond 404\n}");
    let Action::Group { routes, .. } = &stripped[1].action else {
        panic!("{stripped:?}");
    };
    let prefix = Rewrite::WithoutPrefix("/hub".to_owned());
    assert_eq!(routes[0].action, Action::Simple(Simple::Rewrite(prefix)));
}

/// Files and other servers answer last (B-285).
#[test]
fn files_and_other_servers_are_read() {
    let body = "root * /srv\nfile_server\nreverse_proxy /api/* app:8080 https://[::1] :90\nhandle /x/* {\n root * /x\n file_server\n}";
    assert_eq!(
        names(&routes(body)),
        [
            "hub",
            "[files /x]",
            "proxy false app:8080 true [::1]:443 false localhost:90",
            "files /srv"
        ]
    );
    let body = "reverse_proxy app {\n header_up X-A {host}\n header_down -Server\n lb_policy round_robin\n flush_interval -1\n}";
    assert_eq!(
        names(&routes(body)),
        ["hub", "[header, proxy false app:80]"]
    );
    let Action::Group { routes, .. } = &routes(body)[1].action else {
        panic!("a group");
    };
    assert!(matches!(&routes[1].action, Action::Proxy(proxy) if proxy.up.len() == 1));
    // The file may hold keys.
    let files = self::routes("root /srv\nfile_server");
    let Action::Files(files) = &files[1].action else {
        panic!("files");
    };
    let hides = |name: &String| name.ends_with("/Caddyfile");
    assert!(files.hidden.iter().any(hides), "{:?}", files.hidden);
}

/// A site's body and what its error says.
const IGNORED_NOWHERE: &[(&str, &str)] = &[
    ("respond @x 404", "no matcher is called `@x`"),
    ("@x paht /a\nrespond @x 404", "did you mean `path`?"),
    ("@x file /a\nrespond @x 404", "`file` is not supported yet"),
    ("@x path_regexp (a\nrespond @x 404", "unclosed group"),
    (
        "@x header_regexp A\nrespond @x 404",
        "a field and a regular expression",
    ),
    (
        "@x path_regexp [a]{1000}{1000}\nrespond @x 404",
        "size limit",
    ),
    (
        "@x remote_ip nonsense\nrespond @x 404",
        "neither an address",
    ),
    ("@x vars a\nrespond @x 404", "at least one value"),
    ("@x header A {host}\nrespond @x 404", "write an expression"),
    ("@x query a={host}\nrespond @x 404", "write an expression"),
    ("@x `size(a)`\nrespond @x 404", "`a` is unexpected"),
    (
        "@x `file('/a')`\nrespond @x 404",
        "`file` is not supported yet",
    ),
    (
        "@x expression {unknown} == 'a'\nrespond @x 404",
        "{unknown} is not supported yet",
    ),
    ("@x `paht('/a')`\nrespond @x 404", "did you mean `path`?"),
    (
        "handle {\n handle_errors {\n }\n}",
        "at the top of a site only",
    ),
    ("handle_errors", "needs a block"),
    (
        "handle_errors 200 {\n}",
        "`200` is not the status of an error",
    ),
    ("error a 200", "`200` is not the status of an error"),
    ("error a 404 b", "nothing more"),
    ("basic_auth", "a block of users"),
    ("basic_auth argon2id {\n a b\n}", "bcrypt"),
    ("basic_auth {\n a secret\n}", "not a hash of a password"),
    (
        "basic_auth {\n a $2a$31$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234\n}",
        "the cost of this hash",
    ),
    ("request_body", "max_size"),
    ("request_body {\n max_size x\n}", "is not a size"),
    ("method", "needs a method"),
    ("method /a b c", "nothing more"),
    ("vars a", "needs a name and a value"),
    ("try_files {path} /index.html", "has no folder"),
    ("root * /srv\ntry_files", "needs a target"),
    ("root * /srv\ntry_files {path}*", "is a pattern"),
    (
        "root * /srv\ntry_files {path} =200",
        "not the status of an error",
    ),
    ("abort x", "`x` is not a matcher"),
    ("php_fastcgi php:9000", "this program runs no application"),
    ("templates", "this program runs no application"),
    ("vulcain", "which is harmless"),
    (
        "forward_auth auth:80 {\n uri /a\n}",
        "`forward_auth` is not supported yet",
    ),
    ("encode lzma", "`lzma` is not a coding"),
    (
        "encode {\n gzip\n minimum_length 9\n}",
        "`minimum_length` of `encode`",
    ),
    ("encode {\n gzip 6\n}", "takes no argument"),
    ("encoed gzip", "did you mean `encode`?"),
    ("reverse_proxy", "needs an upstream"),
    ("reverse_proxy unix//run/x.sock", "is not an upstream"),
    ("reverse_proxy a:99999", "is not an upstream"),
    ("reverse_proxy ftp://a", "is not an upstream"),
    (
        "reverse_proxy a {\n lb_policy cookie\n}",
        "`cookie` is not supported yet",
    ),
    (
        "reverse_proxy a {\n transport fastcgi\n}",
        "the transport `fastcgi` is not supported",
    ),
    (
        "reverse_proxy a {\n transport http {\n tls\n }\n}",
        "`tls` is not supported yet",
    ),
    ("file_server", "has no folder"),
    ("root * /srv\nfile_server browse", "folders are not listed"),
    ("root /x /srv\nfile_server", "some paths only"),
    ("root * /srv/{host}\nfile_server", "depends on the request"),
    ("root\nfile_server {\n root /x\n}", "needs one folder"),
    ("respond a b", "`b` is not a status code"),
    ("respond a 200 c", "nothing more"),
    ("respond a 99", "`99` is not a status code"),
    ("redir /a /b 200", "not a status of redirects"),
    ("header", "needs a field"),
    ("header a:b c", "not the name of a field"),
    ("header -A b", "no value"),
    ("header A", "has no value"),
    ("handle {\n tls internal\n}", "at the top of a site only"),
    ("handle x {\n}", "`x` is not a matcher"),
    ("handle", "needs a block"),
    ("handle_path {\n}", "one path"),
    ("log_skip x", "`x` is not a matcher"),
    ("log {\n output file\n}", "needs one path"),
    (
        "log {\n output syslog :9000\n}",
        "the output `syslog` of a log is not supported",
    ),
    (
        "log {\n output file /x {\n rol_size 1\n }\n}",
        "did you mean `roll_size`?",
    ),
    ("log {\n outptu stderr\n}", "did you mean `output`?"),
    ("tls internal\ntls internal", "`tls` occurs twice"),
    ("mercure", "`mercure` occurs twice"),
    ("route {\n mercure {\n }\n}", "occurs twice"),
    ("header Content-Length 3", "decides where"),
    (
        "reverse_proxy a {\n header_up Connection {upstream_hostport}\n}",
        "decides where",
    ),
    ("header X {upstream_hostport}", "not supported yet"),
    ("redir /a https://{labels.1}", "not supported yet"),
    ("respond {http.unknown}", "not supported yet"),
    ("header -X-* ", "not the name of a field"),
    ("@x not not path /a\nrespond @x 404", "`not` follows `not`"),
    ("@x path /a\n@x path /b\nrespond @x 404", "defined twice"),
    ("@x {\n}\nrespond @x 404", "needs a matcher"),
    ("@x path */a*b\nrespond @x 404", "with one *"),
    (
        "root * /srv\nfile_server {\n hide [a].env\n}",
        "`[a].env` is not supported yet",
    ),
];

/// What is wrong is refused at its place, and what would have another effect than there is refused too.
#[test]
fn nothing_is_ignored() {
    for (body, expected) in IGNORED_NOWHERE {
        let error = error(body);
        assert!(error.contains(expected), "{body:?} gave {error}");
        assert!(error.starts_with("Caddyfile:"), "{body:?} gave {error}");
    }
}

/// Each argument of `try_files` is a target, also one that is written as a matcher is.
#[test]
fn try_files_takes_no_matcher() {
    let routes = routes("root * /srv\ntry_files /x /index.html");
    let [route, _] = routes.as_slice() else {
        panic!("{routes:?}");
    };
    assert_eq!(route.condition, Condition::Any);
    let Action::TryFiles(settings) = &route.action else {
        panic!("{route:?}");
    };
    let targets: Vec<_> = settings.targets.iter().map(Template::fixed).collect();
    assert_eq!(targets, [Some("/x"), Some("/index.html")]);
}

/// The remedy for a block around the hub keeps the hub.
#[test]
fn the_hub_is_moved_out_of_a_block() {
    let file = format!(":80 {{\nphp_server {{\n{HUB}\n}}\n}}");
    let error = try_load(Some(&file), &[]).unwrap_err();
    assert!(error.contains("`php_server` is not supported"), "{error}");
    assert!(
        error.contains("move the `mercure` block out of it"),
        "{error}"
    );
    assert!(!error.contains("has no `mercure` block"), "{error}");
}

/// The environment has the hub, and the directives of its variable beside it (B-110).
#[test]
fn the_environment_adds_directives() {
    let variables = [
        super::KEYS,
        &[(
            "CADDY_SERVER_EXTRA_DIRECTIVES",
            "respond /x 204\nheader X y",
        )],
    ];
    let settings = try_load(None, &variables.concat()).unwrap().settings;
    assert_eq!(
        names(&settings.sites[0].routes.0),
        ["header", "hub", "respond 204"]
    );
    let snippets = [
        super::KEYS,
        &[
            ("CADDY_EXTRA_CONFIG", "(page) {\n respond {args[0]} 200\n}"),
            (
                "CADDY_SERVER_EXTRA_DIRECTIVES",
                "import page /x\nimport page /y",
            ),
        ],
    ];
    let settings = try_load(None, &snippets.concat()).unwrap().settings;
    assert_eq!(
        names(&settings.sites[0].routes.0),
        ["hub", "respond 200", "respond 200"]
    );
    let sites = [
        super::KEYS,
        &[("CADDY_EXTRA_CONFIG", ":81 {\n respond 200\n}")],
    ];
    let settings = try_load(None, &sites.concat()).unwrap().settings;
    assert_eq!(names(&settings.sites[1].routes.0), ["respond 200"]);
    assert_eq!(settings.sites[1].addresses[0].port, 81);
    let twice = [super::KEYS, &[("CADDY_SERVER_EXTRA_DIRECTIVES", "mercure")]];
    let error = try_load(None, &twice.concat()).unwrap_err();
    assert!(
        error.starts_with("CADDY_SERVER_EXTRA_DIRECTIVES, line 1"),
        "{error}"
    );
}
