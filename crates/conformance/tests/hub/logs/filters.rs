//! What lines leave out, and how they look (`format`).

use serde_json::{Value, json};
use talaria_conformance::hub::Home;
use talaria_conformance::token::Token;

use super::{lines, started};

/// The line of one request, in a log with these options.
async fn logged(options: &str) -> Value {
    let home = Home::new();
    let site = format!(
        "log {{\n output file a.log\n {options}\n }}\n header X-Answer yes\n respond /a 204"
    );
    let hub = started(&home, "servers {\n log_credentials\n}", &site);
    let token = Token::older(json!({ "publish": ["*"] })).claim("sub", json!("alice"));
    let publisher = hub.client().bearer(&hub.sign_as_publisher(&token));
    let client = publisher
        .header("x-one", "first")
        .header("cookie", "a=1; b=2; c=3");
    let target = "/a?keep=1&hide=2&token=hello";
    assert_eq!(
        client
            .header("user-agent", "tests/1")
            .get(target)
            .await
            .status,
        204
    );
    lines(&home.path().join("a.log"), 1).remove(0)
}

/// Each filter, in both forms of the block, around JSON.
#[tokio::test]
async fn each_filter_does_what_it_says() {
    let filters = "request>remote_ip ip_mask 8 32
        request>client_ip ip_mask {
            ipv4 16
        }
        request>headers>User-Agent delete
        request>headers>X-One replace other
        request>headers>Cookie cookie {
            replace a X
            delete b
            hash c
        }
        uri query {
            replace hide REDACTED
            hash token
        }
        request>method regexp G(.)T P${1}T
        request>host multi_regexp {
            regexp 127 one
            regexp [.] -
        }
        resp_headers>X-Answer hash
        duration rename took
        status delete
        request>headers>Authorization delete";
    for block in [
        filters.to_owned(),
        format!("fields {{\n{filters}\n}}\nwrap json"),
    ] {
        let line = logged(&format!("format filter {{\n{block}\n}}")).await;
        let request = &line["request"];
        assert_eq!(
            (&request["remote_ip"], &request["client_ip"]),
            (&json!("127.0.0.0"), &json!("127.0.0.0"))
        );
        assert_eq!(request["headers"]["User-Agent"], Value::Null);
        assert_eq!(request["headers"]["X-One"], "other");
        // The beginning of the SHA-256 of `3`, and of `hello`.
        assert_eq!(request["headers"]["Cookie"], json!(["a=X; c=4e074085"]));
        assert_eq!(request["uri"], "/a?keep=1&hide=REDACTED&token=2cf24dba");
        assert_eq!(
            (&request["method"], &request["host"]),
            (&json!("PET"), &json!("one-0-0-1"))
        );
        assert_eq!(
            line["resp_headers"]["X-Answer"][0].as_str().map(str::len),
            Some(8),
            "{line}"
        );
        assert!(
            line["took"].is_f64() && line["duration"].is_null(),
            "{line}"
        );
        assert_eq!(
            (&line["status"], &request["headers"]["Authorization"]),
            (&Value::Null, &Value::Null)
        );
        assert_eq!(line["msg"], "handled request");
    }
}

/// Names and notations of fields.
#[tokio::test]
async fn lines_look_as_the_configuration_says() {
    let line = logged(
        "format append {
            region eu
            wrap json {
                message_key message
                level_key severity
                time_key time
                name_key \"\"
                time_format \"2006-01-02T15:04:05.000Z07:00\"
                duration_format string
                level_format upper
            }
        }",
    )
    .await;
    assert_eq!(
        (&line["severity"], &line["message"]),
        (&json!("INFO"), &json!("handled request"))
    );
    assert_eq!(
        (&line["region"], &line["logger"]),
        (&json!("eu"), &Value::Null)
    );
    let time = line["time"].as_str().expect("a time");
    assert!(
        time.len() == 24 && time.ends_with('Z') && time.as_bytes()[10] == b'T',
        "{time}"
    );
    let duration = line["duration"].as_str().expect("a text");
    assert!(duration.ends_with('s'), "{duration}");
    for (format, is_right) in [
        (
            "unix_milli_float",
            (|time: &Value| time.as_f64().is_some_and(|time| time > 1.7e12)) as fn(&Value) -> bool,
        ),
        ("unix_nano", |time| {
            time.as_i64()
                .is_some_and(|time| time > 1_700_000_000_000_000_000)
        }),
        ("common_log", |time| {
            time.as_str()
                .is_some_and(|time| time.contains('/') && time.ends_with("+0000"))
        }),
        ("wall_milli", |time| {
            time.as_str().is_some_and(|time| time.len() == 23)
        }),
    ] {
        let line = logged(&format!("format json {{\n time_format {format}\n}}")).await;
        assert!(is_right(&line["ts"]), "{format}: {line}");
    }
}

/// The text for people has one line for each request, with every field.
#[tokio::test]
async fn the_console_form_is_one_line() {
    let home = Home::new();
    let site = "log {\n output file a.log\n format console\n }\n respond /a 204";
    let hub = started(&home, "", site);
    hub.client()
        .header("x-two", "two words")
        .get("/a?b=c")
        .await;
    hub.stop().await;
    let text = std::fs::read_to_string(home.path().join("a.log")).expect("a log");
    assert_eq!(text.lines().count(), 1, "{text}");
    for part in [
        "  INFO handled request logger=http.log.access.log0",
        " request.uri=/a?b=c ",
        " request.headers.X-Two=\"two words\"",
        " status=204",
        " duration=0.",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}
