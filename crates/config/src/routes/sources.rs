//! Directives that answer with what others have: files and other servers.

use std::path::{Path, PathBuf};

use super::actions::fields;
use crate::error::Error;
use crate::lexer::Word;
use crate::settings::{
    Action, Change, Condition, FieldChange, FileSettings, ProxySettings, Route, UpstreamSettings,
};
use crate::shown::show;
use crate::tree::Line;
use crate::unknown::refuse;

/// `root [*] <folder>`: the folder of `file_server` in this block and those within it.
///
/// # Errors
/// Not one folder, or one that depends on the request.
pub(super) fn root(line: &Line, condition: &Condition, args: &[Word]) -> Result<PathBuf, Error> {
    line.without_block()?;
    let [folder] = args else {
        return Err(line.missing("one folder"));
    };
    if *condition != Condition::Any {
        let problem = "a folder for some paths only is not supported yet";
        return Err(line
            .name
            .error(problem)
            .remedy("write it within `handle <path> { … }`"));
    }
    if folder.text.contains('{') {
        let problem = "a folder that depends on the request is not supported";
        return Err(folder.error(problem).remedy("name one folder"));
    }
    Ok(PathBuf::from(&folder.text))
}

/// `file_server [<matcher>] [{ root <folder> index <file>… hide <name>… }]`.
///
/// # Errors
/// A folder would be listed, no folder is named, or an option is unknown.
pub(super) fn files(line: &Line, args: &[Word], root: Option<&Path>) -> Result<Action, Error> {
    if let Some(word) = args.first() {
        let error = word.error(format!("`file_server` takes no {}", show(&word.text)));
        return Err(match word.text.as_str() {
            "browse" => error.remedy("remove it; folders are not listed"),
            _ => error.remedy("write the folder as `root * <folder>`"),
        });
    }
    let mut settings = FileSettings {
        root: root.unwrap_or(Path::new("")).to_owned(),
        index: vec!["index.html".to_owned(), "index.txt".to_owned()],
        hidden: Vec::new(),
    };
    for option in line.block.iter().flatten() {
        let words = || {
            let words = option.without_block()?.some("at least one name")?;
            Ok::<_, Error>(words.iter().map(|word| word.text.clone()))
        };
        match option.name.text.as_str() {
            "root" => settings.root = option.without_block()?.one("a folder")?.text.clone().into(),
            "index" => settings.index = words()?.collect(),
            "hide" => {
                let is_pattern = |word: &&Word| word.text.contains(['*', '?', '[']);
                if let Some(word) = option.args.iter().find(is_pattern) {
                    let problem = format!(
                        "{} is a pattern, which is not supported yet",
                        show(&word.text)
                    );
                    return Err(word
                        .error(problem)
                        .remedy("write the names of files and folders"));
                }
                settings.hidden.extend(words()?);
            }
            _ => {
                return Err(refuse(
                    &option.name,
                    "option of `file_server`",
                    &[
                        "browse",
                        "disable_canonical_uris",
                        "pass_thru",
                        "precompressed",
                        "status",
                    ],
                    &["hide", "index", "root"],
                ));
            }
        }
    }
    if settings.root.as_os_str().is_empty() {
        return Err(line
            .name
            .error("`file_server` has no folder")
            .remedy("write `root * <folder>` beside it"));
    }
    Ok(Action::Files(settings))
}

/// `reverse_proxy [<matcher>] <upstream>… [{ to <upstream>… lb_policy <policy> header_up … header_down … }]`.
///
/// # Errors
/// There is no upstream, one is malformed, or an option is unknown.
pub(super) fn proxy(line: &Line, args: &[Word]) -> Result<Action, Error> {
    let mut upstreams: Vec<&Word> = args.iter().collect();
    let (mut is_in_turn, mut up, mut down) = (false, Vec::new(), Vec::new());
    for option in line.block.iter().flatten() {
        match option.name.text.as_str() {
            "to" => upstreams.extend(option.without_block()?.some("at least one upstream")?),
            "lb_policy" => is_in_turn = policy(option)?,
            "header_up" => up.extend(fields(option, &option.args)?),
            "header_down" => down.extend(fields(option, &option.args)?),
            // Everything is passed on as it comes.
            "flush_interval" => _ = option.without_block()?.one("a duration")?,
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
                    ],
                ));
            }
        }
    }
    if upstreams.is_empty() {
        return Err(line.missing("an upstream, for example app:8080"));
    }
    let upstreams = upstreams
        .into_iter()
        .map(upstream)
        .collect::<Result<_, _>>()?;
    let proxy = Action::Proxy(ProxySettings {
        upstreams,
        is_in_turn,
        up,
    });
    Ok(with_fields(proxy, down))
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
    "transport",
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
    let actions = [Action::Header(down), proxy];
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

fn upstream(word: &Word) -> Result<UpstreamSettings, Error> {
    let wrong = || {
        word.error(format!("{} is not an upstream", show(&word.text)))
            .remedy("write host:port, http://host:port or https://host:port")
    };
    let (tls, rest) = match word.text.split_once("://") {
        Some(("http", rest)) => (false, rest),
        Some(("https", rest)) => (true, rest),
        Some(_) => return Err(wrong()),
        None => (false, word.text.as_str()),
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
