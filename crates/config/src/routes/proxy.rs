//! The directive `reverse_proxy`.

use super::fields::{fields, parts};
use super::texts::Texts;
use crate::error::Error;
use crate::guide::Page;
use crate::lexer::Word;
use crate::settings::{
    Action, Change, Condition, FieldChange, Notice, ProxySettings, Route, Simple, UpstreamSettings,
};
use crate::shown::show;
use crate::tree::Line;
use crate::unknown::refuse;

/// The placeholder that stands for the server that is asked.
const UPSTREAM: [&str; 2] = [
    "{upstream_hostport}",
    "{http.reverse_proxy.upstream.hostport}",
];

/// `reverse_proxy [<matcher>] <upstream>… [{ to <upstream>… lb_policy <policy> header_up … header_down … }]`.
/// What has no effect is told to `notices`.
///
/// # Errors
/// There is no upstream, one is malformed, or an option is unknown.
pub(super) fn proxy<'l>(
    line: &'l Line,
    args: &'l [Word],
    texts: Texts<'_>,
    notices: &mut Vec<Notice>,
) -> Result<Action, Error> {
    let mut upstreams: Vec<&Word> = args.iter().collect();
    let (mut is_in_turn, mut up, mut down) = (false, Vec::new(), Vec::new());
    let mut naming_upstream = Vec::new();
    let mut apply = |option: &'l Line| -> Result<(), Error> {
        match (option.name.text.as_str(), option.args.as_slice()) {
            ("to", words) => {
                option.without_block()?;
                upstreams.extend(words);
            }
            ("lb_policy", _) => is_in_turn = policy(option)?,
            ("header_up", [field, value]) if UPSTREAM.contains(&value.text.as_str()) => {
                naming_upstream.push(parts(field)?.1.to_ascii_lowercase());
            }
            ("header_up", words) => up.extend(fields(option, words, texts)?),
            ("header_down", words) => down.extend(fields(option, words, texts)?),
            // Everything is passed on as it comes.
            ("flush_interval", _) => _ = option.without_block()?.one("a duration")?,
            ("transport", _) => transport(option, notices)?,
            _ => {
                return Err(refuse(
                    &option.name,
                    "option of `reverse_proxy`",
                    LATER,
                    &[
                        "flush_interval",
                        "header_down",
                        "header_up",
                        "lb_policy",
                        "to",
                        "transport",
                    ],
                ));
            }
        }
        Ok(())
    };
    let options = line.block.iter().flatten();
    Error::all(options.filter_map(|option| apply(option).err()).collect())?;
    if upstreams.is_empty() {
        return Err(line.missing("an upstream, for example app:8080"));
    }
    let upstreams = upstreams.into_iter().map(|word| upstream(word, texts));
    let proxy = Action::Proxy(ProxySettings {
        upstreams: upstreams.collect::<Result<_, _>>()?,
        is_in_turn,
        up,
        naming_upstream,
    });
    Ok(with_fields(proxy, down))
}

/// `transport http { … }`, whose times and versions have no effect here.
fn transport(line: &Line, notices: &mut Vec<Notice>) -> Result<(), Error> {
    const WITHOUT_EFFECT: &[&str] = &[
        "dial_timeout",
        "expect_continue_timeout",
        "keepalive",
        "keepalive_idle_conns",
        "read_buffer",
        "read_timeout",
        "response_header_timeout",
        "versions",
        "write_buffer",
        "write_timeout",
    ];
    let [kind] = line.args.as_slice() else {
        return Err(line.missing("`http`"));
    };
    if kind.text != "http" {
        let problem = format!("the transport {} is not supported", show(&kind.text));
        return Err(kind
            .error(problem)
            .remedy("let the application listen for HTTP, and name it as an upstream")
            .page(Page::SITES));
    }
    for option in line.block.iter().flatten() {
        if !WITHOUT_EFFECT.contains(&option.name.text.as_str()) {
            const LATER: &[&str] = &[
                "compression",
                "tls",
                "tls_insecure_skip_verify",
                "tls_server_name",
            ];
            return Err(refuse(
                &option.name,
                "option of `transport http`",
                LATER,
                WITHOUT_EFFECT,
            ));
        }
    }
    if line.block.iter().flatten().next().is_some() {
        notices.push(Notice::info(format!(
            "{}: upstreams are spoken to over HTTP/1.1, a connection may take 3 s and an answer any time, whatever `transport` says",
            line.name.place
        )));
    }
    Ok(())
}

/// Options of `reverse_proxy` that are not supported yet.
const LATER: &[&str] = &[
    "dynamic",
    "fail_duration",
    "handle_response",
    "health_interval",
    "health_status",
    "health_timeout",
    "health_uri",
    "lb_retries",
    "lb_try_duration",
    "lb_try_interval",
    "max_fails",
    "method",
    "request_buffers",
    "response_buffers",
    "rewrite",
    "stream_close_delay",
    "stream_timeout",
    "trusted_proxies",
    "unhealthy_status",
];

/// The proxy, behind the changes to the heads of its answers.
fn with_fields(proxy: Action, mut down: Vec<FieldChange>) -> Action {
    if down.is_empty() {
        return proxy;
    }
    // The server behind has set its fields already.
    for change in &mut down {
        if let Change::Set(value) = &change.change {
            change.change = Change::Override(value.clone());
        }
    }
    let actions = [Action::Simple(Simple::Header(down)), proxy];
    let route = |action| Route {
        condition: Condition::Any,
        action,
    };
    Action::Group {
        routes: actions.into_iter().map(route).collect(),
        is_exclusive: false,
    }
}

fn policy(option: &Line) -> Result<bool, Error> {
    let word = option.without_block()?.one("a policy")?;
    match word.text.as_str() {
        "random" => Ok(false),
        "round_robin" => Ok(true),
        other => {
            let problem = format!("the policy {} is not supported yet", show(other));
            Err(word.error(problem).remedy("write random or round_robin"))
        }
    }
}

fn upstream(word: &Word, texts: Texts<'_>) -> Result<UpstreamSettings, Error> {
    let text = texts.fixed(word, "an upstream")?;
    let wrong = || {
        word.error(format!("{} is not an upstream", show(&word.text)))
            .remedy("write host:port, http://host:port or https://host:port")
    };
    let (tls, rest) = match text.split_once("://") {
        Some(("http", rest)) => (false, rest),
        Some(("https", rest)) => (true, rest),
        Some(_) => return Err(wrong()),
        None => (false, text.as_str()),
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let is_after_brackets = |at: usize| rest.find(']').is_none_or(|end| at > end);
    let (host, port) = match rest.rfind(':').filter(|at| is_after_brackets(*at)) {
        Some(at) => {
            let port = rest.get(at + 1..).and_then(|port| port.parse().ok());
            (rest.get(..at).unwrap_or_default(), port.ok_or_else(wrong)?)
        }
        None => (rest, if tls { 443 } else { 80 }),
    };
    let is_host = |c: char| c.is_ascii_alphanumeric() || "-._[]:".contains(c);
    if !host.chars().all(is_host) || rest.is_empty() {
        return Err(wrong());
    }
    Ok(UpstreamSettings {
        tls,
        host: if host.is_empty() { "localhost" } else { host }.to_owned(),
        port,
    })
}
