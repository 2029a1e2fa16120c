//! Updates as lines of a batch (specification, "Publication", of an update's fields).

use talaria_protocol::{Base, Generation, Limits, Update};

/// The error for a line that is not an update names its kind or its place, never its content.
#[test]
fn a_bad_line_is_not_quoted() {
    let base = Base::new("https://hub.example/.well-known/mercure").unwrap();
    let read = |line: &[u8]| {
        Update::from_json(line, Generation::V1, &base, &Limits::default())
            .expect_err("refused")
            .to_string()
    };
    let secret = "secret".repeat(100_000);
    for (line, says) in [
        (format!("\"{secret}\""), "is a string, not a JSON object"),
        ("[1]".to_owned(), "is an array, not a JSON object"),
        (format!("{{\"topic\":\"{secret}"), "wrong at byte"),
        ("topic=a&data=secret".to_owned(), "wrong at byte"),
        (
            r#"{"topic":7}"#.to_owned(),
            "topic: is 7; write a string or an array of strings",
        ),
        (
            r#"{"topic":["a",null]}"#.to_owned(),
            "topic: is null; write",
        ),
        (
            r#"{"topic":"a","retry":-1}"#.to_owned(),
            "retry: is -1; write a whole number",
        ),
        (
            r#"{"topic":"a","retry":"7"}"#.to_owned(),
            r#"retry: is "7"; write a whole number"#,
        ),
        (
            r#"{"topic":"a","private":"yes"}"#.to_owned(),
            r#"private: is "yes"; write true or false"#,
        ),
        (
            format!("{{\"{secret}\":1}}"),
            "is not a member of an update",
        ),
    ] {
        let error = read(line.as_bytes());
        assert!(error.contains(says), "{error:.300}");
        assert!(error.len() < 400, "{} bytes", error.len());
    }
    let error = read(b"\x1f\x8b\x08\0\xff");
    assert!(
        error.contains("wrong at byte") && error.is_ascii(),
        "{error:?}"
    );
}

/// The content of a line beside an update is neither kept nor confused with it, however much there
/// is of it.
#[test]
fn a_line_of_many_small_values_is_refused_by_its_count_or_kind() {
    let base = Base::new("https://hub.example/.well-known/mercure").unwrap();
    let read =
        |line: &str| Update::from_json(line.as_bytes(), Generation::V1, &base, &Limits::default());
    let array = |element: &str, count: usize| format!("[{}]", vec![element; count].join(","));
    for (line, says) in [
        (
            format!("{{\"topic\":{}}}", array("0", 100_000)),
            "topic: 100000 topics are more than the 1000 of one update; publish several",
        ),
        (
            format!("{{\"topic\":{}}}", array("\"a\"", 1001)),
            "topic: 1001 topics are more than the 1000 of one update; publish several",
        ),
        (
            format!("{{\"topic\":[{}]}}", array("[]", 100_000)),
            "topic: is an array; write a string or an array of strings",
        ),
        (
            format!("{{\"data\":{}}}", array("{\"a\":0}", 1000)),
            "data: is an array; write a string",
        ),
        (
            "{\"id\":{\"a\":0,\"b\":[1]}}".to_owned(),
            "id: is an object; write a string",
        ),
    ] {
        assert_eq!(read(&line).expect_err("refused").to_string(), says);
    }
    let members: Vec<_> = (0..100_000)
        .map(|number| format!("\"{number}\":0"))
        .collect();
    let error = read(&format!("{{{}}}", members.join(","))).expect_err("refused");
    assert!(
        error.to_string().contains("\"0\" is not a member"),
        "{error}"
    );
    let absent: Vec<_> = (0..1000)
        .map(|number| format!("\"{number}\":null"))
        .collect();
    let topics = array("\"a\"", 1000);
    let line = format!(
        "{{{},\"topic\":\"b\",\"topic\":{topics}}}",
        absent.join(",")
    );
    assert_eq!(read(&line).expect("an update").topics.len(), 1000);
}
