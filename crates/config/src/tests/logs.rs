//! The logs of sites and of the program, and where the certificates of a name come from.

use std::time::Duration;

use tracing_subscriber::filter::LevelFilter;

use super::{texts, try_load};
use crate::Loaded;
use crate::levels::Levels;
use crate::settings::{
    AddressMask, DurationNotation, FieldFilter, LevelNotation, LogFileSettings, LogForm,
    LogNetSettings, LogNetwork, LogOutput, LogSampling, LogSettings, LogStep, LogsSettings,
    ParameterChange, RollSettings, TimeNotation,
};

const HUB: &str = "mercure {\n anonymous\n publisher_jwt !a-secret-of-thirty-two-bytes-or-more!\n}";

fn load(body: &str) -> Result<Loaded, String> {
    try_load(Some(&format!(":80 {{\n{body}\n{HUB}\n}}")), &[])
}

/// The logs of the program, with these global options and these lines of the site.
fn logs(global: &str, body: &str) -> Result<LogsSettings, String> {
    let text = format!("{{\n{global}\n}}\n:80 {{\n{body}\n{HUB}\n}}");
    try_load(Some(&text), &[]).map(|loaded| loaded.settings.program.log)
}

/// The only log of a site.
fn of_site(body: &str) -> LogSettings {
    let mut logs = logs("", body).unwrap();
    assert_eq!(logs.others.len(), 1, "{logs:?}");
    logs.others.remove(0)
}

fn output(body: &str) -> LogOutput {
    of_site(&format!("log {{\n{body}\n}}")).output
}

/// `log` switches the access log on; with options the lines go to a separate log, and not to the default one (B-082).
#[test]
fn requests_are_logged_on_request() {
    let loggers = |body: &str| {
        let settings = load(body).unwrap().settings;
        let loggers = settings.sites[0].access_log.loggers.iter();
        loggers.map(|one| one.logger.clone()).collect::<Vec<_>>()
    };
    assert_eq!(loggers(""), [""; 0]);
    assert_eq!(loggers("log"), ["http.log.access"]);
    assert_eq!(loggers("log one"), ["http.log.access.one"]);
    assert_eq!(
        loggers("log {\n output discard\n}"),
        ["http.log.access.log0"]
    );
    assert_eq!(
        loggers("log {\n level INFO\n}\nlog two {\n output stdout\n}"),
        ["http.log.access.log0", "http.log.access.two"]
    );
    let discarded = logs("", "log {\n output discard\n}").unwrap();
    assert_eq!(discarded.default.exclude, ["http.log.access.log0"]);
    assert_eq!(discarded.others[0].include, ["http.log.access.log0"]);
    assert!(!discarded.default.takes("http.log.access.log0"));
    assert!(discarded.default.takes("http.handlers.mercure"));
    let hosts = load("log a {\n hostnames a.test *.b.test\n}\nlog b {\n no_hostname\n}").unwrap();
    let hosts = &hosts.settings.sites[0].access_log.loggers;
    assert_eq!(hosts[0].hosts, ["a.test", "*.b.test"]);
    assert!(hosts[1].is_named_only && hosts[1].hosts.is_empty());
    assert!(hosts[0].is_for("x.b.test") && !hosts[1].is_for("a.test"));
}

/// Lines go where `output` says, and files are rolled as it says.
#[test]
fn lines_go_where_the_configuration_says() {
    assert_eq!(output("output stderr"), LogOutput::Stderr);
    assert_eq!(output("output stdout"), LogOutput::Stdout);
    assert_eq!(output("output discard"), LogOutput::Discard);
    let file = |mode, roll| {
        LogOutput::File(LogFileSettings {
            path: "/a/b.log".into(),
            mode,
            roll,
        })
    };
    let roll = RollSettings {
        size: 1 << 20,
        keep: 3,
        keep_for: Duration::from_secs(2 * 24 * 3600),
        compress: false,
    };
    let rolled = "output file /a/b.log {\n mode 0640\n roll_size 1MiB\n roll_keep 3\n roll_keep_for 2d\n roll_uncompressed\n}";
    assert_eq!(output(rolled), file(0o640, Some(roll)));
    let usual = output("output file /a/b.log {\n roll_keep 0\n}");
    assert_eq!(usual, file(0o600, Some(RollSettings::default())));
    let never = output("output file /a/b.log {\n roll_disabled\n}");
    assert_eq!(never, file(0o600, None));
    let ignored = load("log {\n output file /a/b.log {\n roll_interval 1h\n }\n}").unwrap();
    let ignored = texts(&ignored);
    assert!(ignored.iter().any(|text| text.contains("roll_interval")));
    for (written, network, address) in [
        ("localhost:5140", LogNetwork::Tcp, "localhost:5140"),
        (":5140", LogNetwork::Tcp, "localhost:5140"),
        ("tcp/[::1]:5140", LogNetwork::Tcp, "[::1]:5140"),
        ("udp/192.0.2.1:514", LogNetwork::Udp, "192.0.2.1:514"),
        ("unix//run/log.sock", LogNetwork::Unix, "/run/log.sock"),
        ("unixgram//dev/log", LogNetwork::UnixDatagram, "/dev/log"),
    ] {
        let written = format!("output net {written} {{\n dial_timeout 2s\n soft_start\n}}");
        let expected = LogNetSettings {
            network,
            address: address.to_owned(),
            dial_timeout: Duration::from_secs(2),
        };
        assert_eq!(output(&written), LogOutput::Net(expected));
    }
}

/// Both forms of `format filter`, around another form, with every filter.
#[test]
fn the_log_leaves_out_what_it_is_told_to() {
    let body = "log {\n format filter {\n wrap console {\n level_format upper\n }\n fields {\n uri query {\n replace a X\n delete b\n hash c\n }\n request>headers>Cookie cookie {\n delete session\n }\n resp_headers delete\n request>headers>X-A replace Y\n user_id hash\n duration rename took\n }\n request>remote_ip ip_mask 16 32\n client_ip ip_mask {\n ipv4 24\n }\n request>uri regexp x y\n }\n}";
    let style = of_site(body).style;
    assert_eq!(style.form, Some(LogForm::Console));
    assert_eq!(style.notation.levels, Some(LevelNotation::Upper));
    let steps: Vec<(String, String)> = style
        .steps
        .iter()
        .map(|step| match step {
            LogStep::Filter { path, filter } => (path.join(">"), format!("{filter:?}")),
            LogStep::Append { .. } => panic!("{step:?}"),
        })
        .collect();
    let query = [
        ("a", ParameterChange::Replace("X".to_owned())),
        ("b", ParameterChange::Delete),
        ("c", ParameterChange::Hash),
    ];
    let query = query.map(|(name, change)| (name.to_owned(), change));
    let session = ("session".to_owned(), ParameterChange::Delete);
    for (index, (path, filter)) in [
        ("request>uri", FieldFilter::Query(query.to_vec())),
        ("request>headers>Cookie", FieldFilter::Cookie(vec![session])),
        ("resp_headers", FieldFilter::Delete),
        ("request>headers>X-A", FieldFilter::Replace("Y".to_owned())),
        ("user_id", FieldFilter::Hash),
        ("duration", FieldFilter::Rename("took".to_owned())),
        (
            "request>remote_ip",
            FieldFilter::IpMask(AddressMask { ipv4: 16, ipv6: 32 }),
        ),
        (
            "request>client_ip",
            FieldFilter::IpMask(AddressMask { ipv4: 24, ipv6: 0 }),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(steps[index], (path.to_owned(), format!("{filter:?}")));
    }
    assert_eq!(steps[8].0, "request>uri");
    assert!(steps[8].1.contains("Regexp"), "{steps:?}");
}

/// Names and notations of the fields, a field for each line, and samples.
#[test]
fn lines_look_as_the_configuration_says() {
    let log = of_site(
        "log {\n level ERROR\n sampling {\n interval 300ms\n first 50\n thereafter 0\n }\n format append {\n wrap json {\n message_key message\n level_key severity\n time_key time\n name_key \"\"\n caller_key where\n line_ending \\r\\n\n time_format unix_milli_float\n time_local\n duration_format ms\n level_format lower\n }\n fields {\n env production\n }\n region eu\n }\n}",
    );
    assert_eq!(log.level, Some(LevelFilter::ERROR));
    let sampling = LogSampling {
        interval: Duration::from_millis(300),
        first: 50,
        thereafter: 0,
    };
    assert_eq!(log.sampling, Some(sampling));
    let notation = &log.style.notation;
    let names = [
        &notation.message,
        &notation.level,
        &notation.time,
        &notation.logger,
    ];
    assert_eq!(names, ["message", "severity", "time", ""]);
    assert_eq!(notation.ending, "\r\n");
    assert_eq!(notation.times, Some(TimeNotation::Milliseconds));
    assert!(notation.local);
    assert_eq!(notation.durations, DurationNotation::Milliseconds);
    let added = log.style.steps.iter().map(|step| match step {
        LogStep::Append { name, value } => (name.as_str(), value.as_str()),
        LogStep::Filter { .. } => panic!("{step:?}"),
    });
    let added: Vec<_> = added.collect();
    assert_eq!(added, [("env", "production"), ("region", "eu")]);
}

/// `log` of the global options is the default log, others have names; `level` takes precedence over `debug`, and
/// variables over both.
#[test]
fn the_program_has_logs() {
    let of_global = |global: &str| logs(global, "").unwrap();
    let plain = of_global("log {\n level WARN\n format console\n}\ndebug");
    assert_eq!(plain.levels(), Levels::from(LevelFilter::WARN));
    assert_eq!(plain.default.style.form, Some(LogForm::Console));
    assert_eq!(
        of_global("debug").levels(),
        Levels::from(LevelFilter::DEBUG)
    );
    assert_eq!(of_global("").levels(), Levels::default());
    let several = of_global(
        "log default {\n output stdout\n exclude http.log\n}\nlog audit {\n output file /a/audit.log\n include http.log.access admin.api\n}",
    );
    assert_eq!(several.default.output, LogOutput::Stdout);
    assert!(!several.default.takes("http.log.access"));
    assert!(several.others[0].takes("admin.api") && !several.others[0].takes("tls"));
    let text = format!("{{\nlog {{\n level WARN\n}}\n}}\n:80 {{\n{HUB}\n}}");
    let variables = [("RUST_LOG", "error"), ("TALARIA_LOG_FORMAT", "json")];
    let loaded = try_load(Some(&text), &variables).unwrap();
    let logs = loaded.settings.program.log;
    let levels = Levels::parse("error", &mut Vec::new()).unwrap();
    assert_eq!(logs.levels(), levels);
    assert_eq!(logs.form, Some(LogForm::Json));
}

/// `log_append`, `log_name` and `log_credentials` are read.
#[test]
fn single_requests_are_logged_otherwise() {
    let body =
        "log\nlog_append /a* region {header.X-Region}\nlog_append <early yes\nlog_name one two";
    assert!(load(body).is_ok());
    let shown = logs("servers {\n log_credentials\n}", "log").unwrap();
    assert!(shown.shows_credentials);
}

/// What is wrong in the block of a `log`: its place, and what the error says.
const WRONG: &[(&str, [&str; 2])] = &[
    (
        "output syslog",
        [
            "Caddyfile:3:9:",
            "the output `syslog` of a log is not supported",
        ],
    ),
    ("output", ["Caddyfile:3:2:", "needs one of stderr"]),
    ("output stderr x", ["Caddyfile:3:16:", "takes no `x`"]),
    ("output file", ["Caddyfile:3:2:", "needs one path"]),
    (
        "output file {http.request.host}.log",
        ["Caddyfile:3:14:", "depends on the request"],
    ),
    (
        "output file /a {\n roll_size big\n}",
        ["Caddyfile:4:12:", "`big` is not a size"],
    ),
    (
        "output file /a {\n mode 0444\n}",
        ["Caddyfile:4:7:", "its owner may write"],
    ),
    (
        "output file /a {\n rol_size 1\n}",
        ["Caddyfile:4:2:", "did you mean `roll_size`"],
    ),
    (
        "output net localhost",
        ["Caddyfile:3:13:", "write <host>:<port>"],
    ),
    (
        "output net ftp/a:1",
        ["Caddyfile:3:13:", "`ftp` is not a network"],
    ),
    ("format", ["Caddyfile:3:2:", "needs one of json"]),
    (
        "format xml",
        ["Caddyfile:3:9:", "known are: append, console, filter, json"],
    ),
    (
        "format transform \"{ts}\"",
        ["Caddyfile:3:9:", "write `format console`"],
    ),
    (
        "format json {\n time_format epoch\n}",
        ["Caddyfile:4:14:", "`epoch` is not a format of times"],
    ),
    (
        "format json {\n tim_format wall\n}",
        ["Caddyfile:4:2:", "did you mean `time_format`"],
    ),
    (
        "format json {\n level_format loud\n}",
        ["Caddyfile:4:15:", "known are: lower, upper, color"],
    ),
    (
        "format filter {\n request>remote_ip ip_mask 33\n}",
        ["Caddyfile:4:28:", "0 to 32"],
    ),
    (
        "format filter {\n a regexp ( x\n}",
        ["Caddyfile:4:11:", "not a regular expression"],
    ),
    (
        "format filter {\n a shuffle\n}",
        ["Caddyfile:4:4:", "unknown filter `shuffle`"],
    ),
    (
        "format filter {\n a\n}",
        ["Caddyfile:4:2:", "needs a filter"],
    ),
    (
        "format filter {\n uri query {\n drop x\n}\n}",
        ["Caddyfile:5:2:", "known are: delete, hash, replace"],
    ),
    (
        "format filter {\n wrap xml\n}",
        ["Caddyfile:4:7:", "known are: append, console, filter, json"],
    ),
    (
        "level loud",
        ["Caddyfile:3:8:", "error, warn, info, debug, trace, off"],
    ),
    (
        "sampling {\n first few\n}",
        ["Caddyfile:4:8:", "not a whole number"],
    ),
    ("levl INFO", ["Caddyfile:3:2:", "did you mean `level`"]),
    ("no_hostname", ["Caddyfile:2:1:", "needs a name"]),
];

/// What is not known is refused, with its place and what may stand there.
#[test]
fn what_is_wrong_is_refused() {
    for (body, expected) in WRONG {
        let error = load(&format!("log {{\n {body}\n}}")).unwrap_err();
        for expected in expected {
            assert!(error.contains(expected), "{body}: {error}");
        }
    }
}

/// So is what is wrong about names, and in the global options.
#[test]
fn what_is_wrong_about_names_is_refused() {
    for (global, expected) in [
        (
            "log {\n level loud\n}",
            "Caddyfile:3:8: `loud` is not a level",
        ),
        ("log a b", "Caddyfile:2:7:"),
        ("log a/b", "has letters, digits"),
        ("log a\nlog a", "two logs are called a"),
        ("log\nlog default", "two logs are called default"),
        (
            "log {\n hostnames a\n}",
            "known are: format, level, output, sampling, exclude, include",
        ),
    ] {
        let error = logs(global, "").unwrap_err();
        assert!(error.contains(expected), "{global}: {error}");
    }
    let error = logs("log a", "log a {\n level INFO\n}").unwrap_err();
    assert!(error.contains("two logs are called a"), "{error}");
    let error = load("log_append a").unwrap_err();
    assert!(error.contains("needs a field and its value"), "{error}");
}

/// One name with certificates of two sources is told; of one source it is not.
#[test]
fn a_name_has_one_source_of_certificates() {
    let said = |second: &str| {
        let site = "https://a.test {\n tls /c.pem /k.pem\n respond one\n}";
        let other = format!("https://a.test:8443 {{\n tls {second}\n{HUB}\n}}");
        texts(&try_load(Some(&format!("{site}\n{other}")), &[]).unwrap()).join("\n")
    };
    let two = said("internal");
    assert!(two.contains("/c.pem and the local authority"), "{two}");
    let one = said("/c.pem /k.pem");
    assert!(!one.contains("two sources"), "{one}");
}
