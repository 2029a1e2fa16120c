//! The directives of a site, as routes (B-284, B-285).

mod actions;
mod conditions;
mod order;
mod sources;

use std::path::PathBuf;

use self::conditions::Named;
pub(crate) use self::order::Order;
use crate::error::Error;
use crate::lexer::Word;
use crate::settings::{Action, Condition, Notice, Rewrite, Route};
use crate::shown::show;
use crate::tree::Line;
use crate::unknown::refuse;

/// Directives of the existing server that are not supported yet.
pub(crate) const LATER: &[&str] = &[
    "abort",
    "basic_auth",
    "basicauth",
    "error",
    "forward_auth",
    "handle_errors",
    "invoke",
    "log_append",
    "map",
    "method",
    "metrics",
    "php",
    "php_fastcgi",
    "php_server",
    "push",
    "request_body",
    "templates",
    "tracing",
    "try_files",
    "vars",
    "vulcain",
];
const KNOWN: &[&str] = &[
    "bind",
    "encode",
    "file_server",
    "handle",
    "handle_path",
    "header",
    "log",
    "log_skip",
    "mercure",
    "redir",
    "request_header",
    "respond",
    "reverse_proxy",
    "rewrite",
    "root",
    "route",
    "tls",
    "uri",
];

/// What the directives of a site say.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    /// Its routes, in the order in which they are asked.
    pub routes: Vec<Route>,
    /// Its `mercure` line. [`Action::Hub`] names its hub by the place that [`read`] is given.
    pub mercure: Option<Line>,
    /// Its `tls` line.
    pub tls: Option<Line>,
    /// Its `bind` line.
    pub bind: Option<Line>,
    /// Whether it logs requests.
    pub access_log: bool,
    /// What to tell the operator.
    pub notices: Vec<Notice>,
    /// What is wrong.
    pub errors: Vec<Error>,
}

/// Reads the directives of a site. Its hub, if it has one, will have the place `hub` among those of the program.
pub(crate) fn read(body: Vec<Line>, order: &Order, hub: usize) -> Parts {
    let mut reader = Reader {
        order,
        hub,
        parts: Parts::default(),
    };
    reader.parts.routes = reader.site(body);
    reader.parts
}

/// What the directives of a block may refer to, from it and the blocks around it.
#[derive(Debug, Clone, Default)]
struct Scope {
    named: Named,
    root: Option<PathBuf>,
    /// How many blocks are around.
    depth: usize,
}

struct Reader<'o> {
    order: &'o Order,
    hub: usize,
    parts: Parts,
}

impl Reader<'_> {
    /// The directives at the top of a site, some of which stand only there.
    fn site(&mut self, body: Vec<Line>) -> Vec<Route> {
        let mut others = Vec::new();
        for line in body {
            let read = match line.name.text.as_str() {
                "tls" => keep(&mut self.parts.tls, line, "keep one of the two"),
                "bind" => keep(
                    &mut self.parts.bind,
                    line,
                    "write all addresses on one line",
                ),
                "log" => self.log(&line),
                _ => {
                    others.push(line);
                    Ok(())
                }
            };
            self.parts.errors.extend(read.err());
        }
        self.block(others, &Scope::default(), false)
    }

    /// The routes of a block. Unless it `keeps_order`, they are asked in the order of the directives, and those
    /// of one directive in that of [`turn`].
    fn block(&mut self, lines: Vec<Line>, around: &Scope, keeps_order: bool) -> Vec<Route> {
        let mut scope = around.clone();
        scope.depth += 1;
        let (matchers, others): (Vec<Line>, Vec<Line>) = lines
            .into_iter()
            .partition(|line| line.name.text.starts_with('@') && !line.name.quoted);
        for line in &matchers {
            self.parts
                .errors
                .extend(scope.named.add(line, scope.depth).err());
        }
        let (roots, others): (Vec<Line>, Vec<Line>) =
            others.into_iter().partition(|line| line.name.is("root"));
        for line in &roots {
            let read = self.split(line, &scope);
            match read.and_then(|(condition, args)| sources::root(line, &condition, args)) {
                Ok(root) => scope.root = Some(root),
                Err(error) => self.parts.errors.push(error),
            }
        }
        let mut ranked = Vec::new();
        for line in others {
            let name = match line.name.text.as_str() {
                "skip_log" => "log_skip".to_owned(),
                name => name.to_owned(),
            };
            match self.directive(line, &name, &scope) {
                Ok(route) => {
                    // The two exclude each other, so that their paths alone decide.
                    let kind = if name == "handle_path" {
                        "handle"
                    } else {
                        &name
                    };
                    ranked.push(((self.order.rank(kind), turn(&route.condition)), route));
                }
                Err(error) => self.parts.errors.push(error),
            }
        }
        if !keeps_order {
            ranked.sort_by_key(|(key, _)| *key);
        }
        ranked.into_iter().map(|(_, route)| route).collect()
    }

    fn directive(&mut self, line: Line, name: &str, scope: &Scope) -> Result<Route, Error> {
        if !KNOWN.contains(&name) || ["tls", "bind", "log"].contains(&name) {
            let error = unknown(&line.name);
            return Err(match holds_hub(&line) {
                true => error.remedy("move the `mercure` block out of it"),
                false => error,
            });
        }
        let (condition, args) = self.split(&line, scope)?;
        let action = match name {
            "mercure" => {
                if let Some(argument) = args.first() {
                    return Err(argument
                        .error(format!("`mercure` takes no {}", show(&argument.text)))
                        .remedy("write `mercure {`"));
                }
                keep(
                    &mut self.parts.mercure,
                    line,
                    "merge them into one, or give the second hub a site of its own",
                )?;
                Action::Hub(self.hub)
            }
            "respond" => actions::respond(&line, args)?,
            "redir" => actions::redirect(&line, args)?,
            "header" => Action::Header(actions::fields(&line, args)?),
            "request_header" => Action::RequestHeader(actions::fields(&line, args)?),
            "rewrite" => Action::Rewrite(actions::rewrite(&line, args)?),
            "uri" => Action::Rewrite(actions::uri(&line, args)?),
            "encode" => Action::Encode(actions::encode(&line, args)?),
            "file_server" => sources::files(&line, args, scope.root.as_deref())?,
            "reverse_proxy" => sources::proxy(&line, args)?,
            "log_skip" => {
                none(&line, args)?;
                Action::SkipLog
            }
            _ => return self.group(&line, name, condition, args, scope),
        };
        Ok(Route { condition, action })
    }

    /// The matcher of a directive, and its other arguments. One argument alone that must be there is not a matcher.
    fn split<'l>(&self, line: &'l Line, scope: &Scope) -> Result<(Condition, &'l [Word]), Error> {
        let takes_one = ["root", "rewrite"].contains(&line.name.text.as_str());
        match line.args.as_slice() {
            args @ [_] if takes_one => Ok((Condition::Any, args)),
            args => scope.named.split(args),
        }
    }

    /// `route`, `handle` and `handle_path`.
    fn group(
        &mut self,
        line: &Line,
        name: &str,
        condition: Condition,
        args: &[Word],
        scope: &Scope,
    ) -> Result<Route, Error> {
        if let Some(surplus) = args.first() {
            return Err(surplus
                .error(format!("{} is not a matcher", show(&surplus.text)))
                .remedy("write a path that begins with /, or a matcher that begins with @"));
        }
        let Some(lines) = line.block.clone() else {
            return Err(line.missing("a block"));
        };
        let mut routes = self.block(lines, scope, name == "route");
        if name == "handle_path" {
            let prefix = prefix_of(line)?;
            routes.insert(
                0,
                Route {
                    condition: Condition::Any,
                    action: Action::Rewrite(Rewrite::WithoutPrefix(prefix)),
                },
            );
        }
        Ok(Route {
            condition,
            action: Action::Group {
                routes,
                is_exclusive: name != "route",
            },
        })
    }

    /// `log`: requests are logged, in the form of the hub's log.
    fn log(&mut self, line: &Line) -> Result<(), Error> {
        let mut is_discarded = false;
        let mut has_form = false;
        for option in line.block.iter().flatten() {
            match (option.name.text.as_str(), option.args.first()) {
                ("output", Some(to)) if to.text == "discard" => is_discarded = true,
                ("output", Some(to)) if ["stderr", "stdout"].contains(&to.text.as_str()) => {}
                ("output", Some(to)) => {
                    return Err(to.error("a log in a file is not supported yet").remedy(
                        "write output stderr, and let the service manager or container keep it",
                    ));
                }
                ("format" | "level", _) => has_form = true,
                _ => {
                    return Err(refuse(
                        &option.name,
                        "option of `log`",
                        &["core", "hostnames", "no_hostname", "sampling"],
                        &["format", "level", "output"],
                    ));
                }
            }
        }
        if has_form {
            self.parts.notices.push(Notice::info(format!(
                "{}: requests are logged in the form and at the level of the hub's log, without tokens, whatever `log` says",
                line.name.place
            )));
        }
        self.parts.access_log |= !is_discarded;
        Ok(())
    }
}

/// Whether the hub stands in the block of a line.
fn holds_hub(line: &Line) -> bool {
    let mut lines = line.block.iter().flatten();
    lines.any(|line| line.name.is("mercure") || holds_hub(line))
}

/// Keeps a line that may stand once.
fn keep(kept: &mut Option<Line>, line: Line, remedy: &str) -> Result<(), Error> {
    if kept.is_some() {
        let problem = format!("`{}` occurs twice", line.name.text);
        return Err(line.name.error(problem).remedy(remedy));
    }
    *kept = Some(line);
    Ok(())
}

fn none(line: &Line, args: &[Word]) -> Result<(), Error> {
    line.without_block()?;
    match args.first() {
        None => Ok(()),
        Some(word) => Err(word
            .error(format!("{} is not a matcher", show(&word.text)))
            .remedy("write a path that begins with /, or a matcher that begins with @")),
    }
}

/// The prefix that `handle_path` takes off.
fn prefix_of(line: &Line) -> Result<String, Error> {
    let path = line.args.first().map(|word| word.text.as_str());
    match path {
        Some(path) if path.starts_with('/') => {
            Ok(path.trim_end_matches('*').trim_end_matches('/').to_owned())
        }
        _ => Err(line.missing("one path, for example /hub/*")),
    }
}

/// The turn of a route among those of its directive: first those for one path, the longest first, then those with
/// another condition, then those for all requests.
fn turn(condition: &Condition) -> (usize, usize) {
    let one_path = |condition: &Condition| match condition {
        Condition::Path(patterns) => match patterns.as_slice() {
            [pattern] => Some(pattern.length()),
            _ => None,
        },
        _ => None,
    };
    let length = match condition {
        Condition::All(conditions) => conditions.iter().find_map(one_path),
        condition => one_path(condition),
    };
    match (length, condition) {
        (Some(length), _) => (0, usize::MAX - length),
        (None, Condition::Any) => (2, 0),
        (None, _) => (1, 0),
    }
}

fn unknown(name: &Word) -> Error {
    match name.text.as_str() {
        "tls" | "bind" | "log" => name
            .error(format!("`{}` stands at the top of a site only", name.text))
            .remedy("move it out of the block"),
        "mercure" => name.error("`mercure` is misplaced"),
        _ => refuse(name, "site directive", LATER, KNOWN),
    }
}
