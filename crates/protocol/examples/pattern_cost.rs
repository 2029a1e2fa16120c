//! Prints what URL Patterns cost, beside the `urlpattern` crate's default engine, and URI Templates.
//!
//! ```text
//! cargo run --release -p talaria-protocol --example pattern_cost
//! ```

#![expect(clippy::expect_used, reason = "a measuring program")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use talaria_protocol::matcher::{UriTemplate, UrlPattern};
use talaria_protocol::{Base, TopicUrl};
use urlpattern::{UrlPatternInit, UrlPatternMatchInput};

#[expect(clippy::disallowed_methods, reason = "a measuring program")]
fn now() -> Instant {
    Instant::now()
}

/// The shortest of a few runs and the result of the last.
fn timed<T>(runs: u32, mut run: impl FnMut() -> T) -> (Duration, T) {
    let mut once = || {
        let start = now();
        let result = black_box(run());
        (start.elapsed(), result)
    };
    let best = (1..runs).map(|_| once().0).min().unwrap_or(Duration::MAX);
    let (last, result) = once();
    (best.min(last), result)
}

/// Time per call over many calls.
fn each(mut call: impl FnMut() -> bool) -> Duration {
    let mut calls = 1;
    loop {
        let start = now();
        for _ in 0..calls {
            black_box(call());
        }
        let elapsed = start.elapsed();
        if elapsed > Duration::from_millis(20) {
            return elapsed / calls;
        }
        calls *= 2;
    }
}

fn cases() -> Vec<(&'static str, String, String)> {
    let long = "a".repeat(4000);
    let item = "/.well-known/mercure/subscriptions/:match_type/https%3A%2F%2Fexample.com%2Fbooks%2F%3Aid{/:subscriber}?";
    [
        ("literal", "https://example.com/books/1".into(), "https://example.com/books/1"),
        ("name", "https://example.com/books/:id".into(), "https://example.com/books/42"),
        ("wildcard", "https://example.com/users/42/*".into(), "https://example.com/users/42/a/b"),
        ("relative", "/books/:id".into(), "/books/42"),
        ("optional group", item.into(), "/.well-known/mercure/subscriptions/urlpattern/https%3A%2F%2Fexample.com%2Fbooks%2F%3Aid/urn%3Auuid%3A1"),
        ("any host", "https://*.example.com/:a/:b".into(), "https://eu.example.com/books/42"),
        ("custom", r"https://example.com/books/(\d+)".into(), "https://example.com/books/42"),
        ("50 names", (0..50).map(|n| format!("/:n{n}")).collect(), "/a/b"),
        ("50 optional names", (0..50).map(|n| format!("/:n{n}?")).collect(), "/a/b"),
        ("50 custom groups", (0..50).map(|_| r"/(\d+)").collect(), "/1/2"),
        ("4,096 literal bytes", format!("/{}", "a".repeat(4095)), "/a/b"),
        ("4,096 bytes of names", (0..682).map(|n| format!("/:n{n:03}")).collect(), "/a/b"),
        ("4,096 bytes of *a", "*a".repeat(2048), &long),
        ("4,096 bytes of groups", "{a*}?".repeat(819), &long),
        ("4,096 bytes, groups", format!("/{}", r"(\d+)a".repeat(682)), "/a/b"),
        ("hostile: nested counts", r"/((?:\w{1,90}){1,20})".into(), "/a/b"),
        ("hostile: no class", "/((?:a{1,90}){1,90})".into(), "/a/b"),
        ("hostile: deep counts", "/((?:(?:(?:(?:a{50}){50}){50}){50}){50})".into(), "/a/b"),
        ("hostile: empty loops", "/((?:(?:(?:(?:){1000}){1000}){1000}){1000})".into(), "/a/b"),
        ("hostile: many classes", format!("/({})", r"\w".repeat(2040)), "/a/b"),
        ("hostile: \\p", format!("/({})", r"\p{L}".repeat(800)), "/a/b"),
        ("hostile: (?i)", format!("/((?i){})", r"[\W\D]".repeat(600)), "/a/b"),
        ("hostile: (?u)", format!("/((?u){})", r"\w".repeat(2000)), "/a/b"),
        ("hostile: nesting", format!("/({}a{})", "(?:".repeat(1000), ")".repeat(1000)), "/a/b"),
        ("hostile: alternatives", format!("/({}a)", "a|".repeat(2000)), "/a/b"),
        ("hostile: many groups", format!("/{}", r"((?:\w{1,90}){1,20})".repeat(200)), "/a/b"),
        ("hostile: protocol", r"((?:\w{1,90}){1,20})://a/".into(), "/a/b"),
        ("hostile: eight parts", r"((?:\w{1,40}){1,20})://((?:\w{1,40}){1,20}):((?:\w{1,40}){1,20})@((?:\w{1,40}){1,20}):((?:\w{1,40}){1,20})/((?:\w{1,40}){1,20})?((?:\w{1,40}){1,20})#((?:\w{1,40}){1,20})".into(), "/a/b"),
    ]
    .map(|(name, pattern, topic)| (name, pattern, topic.to_owned()))
    .into()
}

fn main() {
    let base = Base::new("https://example.com/.well-known/mercure").expect("a base");
    println!(
        "{:24} {:>10} {:>10} {:>8} {:>10} {:>10}",
        "pattern", "compile", "(crate)", "bytes", "match", "(crate)"
    );
    for (name, pattern, topic) in cases() {
        let (ours, compiled) = timed(5, || UrlPattern::parse(&pattern, &base));
        let (theirs, default) = timed(2, || {
            let base = Some(base.url().clone());
            UrlPatternInit::parse_constructor_string::<regex::Regex>(&pattern, base)
                .and_then(|init| <urlpattern::UrlPattern>::parse(init, Default::default()))
        });
        let topic = TopicUrl::parse(&topic, &base).expect("a URL");
        let (bytes, matching) = match &compiled {
            Ok(pattern) => (
                pattern.size_bytes().to_string(),
                format!("{:.0?}", each(|| pattern.matches(&topic))),
            ),
            Err(_) => ("refused".to_owned(), String::new()),
        };
        let default_matching = default.map_or("refused".to_owned(), |pattern| {
            let input = || UrlPatternMatchInput::Url(topic.url().clone());
            let time = each(|| pattern.test(input()).is_ok_and(|matched| matched));
            format!("{time:.0?}")
        });
        println!(
            "{name:24} {:>10} {:>10} {bytes:>8} {matching:>10} {default_matching:>10}",
            format!("{ours:.1?}"),
            format!("{theirs:.1?}"),
        );
    }
    println!(
        "\n{:38} {:>10} {:>8} {:>10}",
        "template", "compile", "bytes", "match"
    );
    for (template, topic) in [
        (
            "https://example.com/books/{id}",
            "https://example.com/books/42",
        ),
        (
            "https://example.com{/path*}{?page,size}",
            "https://example.com/a/b?page=1",
        ),
        ("{+anything}", "https://example.com/books/42"),
        ("{var:64}", "a-value-of-a-few-characters"),
    ] {
        let (time, compiled) = timed(5, || UriTemplate::parse(template));
        let compiled = compiled.expect("a template");
        println!(
            "{template:38} {:>10} {:>8} {:>10}",
            format!("{time:.1?}"),
            compiled.size_bytes(),
            format!("{:.0?}", each(|| compiled.matches(topic))),
        );
    }
    let hostile = format!("{{{}}}", vec!["a:300"; 580].join(","));
    let (time, refused) = timed(5, || UriTemplate::parse(&hostile).is_none());
    println!(
        "a hostile one of {} bytes, refused ({refused}): {time:.1?}",
        hostile.len()
    );
}
