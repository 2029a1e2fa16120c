//! The directives of a site, as routes (B-284, B-285).

mod actions;
mod conditions;
mod expression;
mod fields;
mod files;
mod order;
mod proxy;
mod refused;
mod texts;
mod tracing;
mod users;

use std::path::PathBuf;

use self::conditions::Named;
pub(crate) use self::order::Order;
pub(crate) use self::refused::LATER;
pub(crate) use self::texts::Texts;
use crate::error::Error;
use crate::lexer::Word;
use crate::logging;
use crate::settings::{Action, Condition, Notice, Rewrite, Route, Simple};
use crate::shown::show;
use crate::source::Environment;
use crate::tree::Line;

/// Directives that stand at the top of a site only.
const AT_TOP: &[&str] = &["bind", "handle_errors", "log", "tls"];

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
    /// Its `log` lines.
    pub logs: Vec<logging::SiteLog>,
    /// What to tell the operator.
    pub notices: Vec<Notice>,
    /// What is wrong.
    pub errors: Vec<Error>,
}

/// Reads the directives of a site. Its hub, if it has one, will have the place `hub` among those of the program.
pub(crate) fn read(
    body: Vec<Line>,
    order: &Order,
    environment: Environment<'_>,
    hub: usize,
) -> Parts {
    let mut reader = Reader {
        order,
        hub,
        texts: Texts(environment),
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
    texts: Texts<'o>,
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
                "log" => {
                    let mut reader = logging::Reader {
                        environment: self.texts.0,
                        notices: &mut self.parts.notices,
                    };
                    reader.of_site(&line).map(|log| self.parts.logs.push(log))
                }
                _ => {
                    others.push(line);
                    Ok(())
                }
            };
            self.parts.errors.extend(read.err());
        }
        let (errors, others): (Vec<Line>, Vec<Line>) = others
            .into_iter()
            .partition(|line| line.name.text == "handle_errors");
        let mut scope = Scope::default();
        let mut routes = self.block(others, &mut scope, false);
        for line in errors {
            match self.handle_errors(&line, &scope) {
                Ok(route) => routes.push(route),
                Err(error) => self.parts.errors.push(error),
            }
        }
        // Those for some errors go before those for all.
        routes.sort_by_key(|route| match &route.action {
            Action::Errors { statuses, .. } => 1 + usize::from(statuses.is_empty()),
            _ => 0,
        });
        routes
    }

    /// The routes of a block within others; see [`Self::block`].
    fn inner(&mut self, lines: Vec<Line>, around: &Scope, keeps_order: bool) -> Vec<Route> {
        self.block(lines, &mut around.clone(), keeps_order)
    }

    /// The routes of a block. Unless it `keeps_order`, they are asked in the order of the directives, and those
    /// of one directive in that of [`turn`]. The scope is that of the blocks around, and becomes that of the block.
    fn block(&mut self, lines: Vec<Line>, scope: &mut Scope, keeps_order: bool) -> Vec<Route> {
        scope.depth += 1;
        let (matchers, others): (Vec<Line>, Vec<Line>) = lines
            .into_iter()
            .partition(|line| line.name.text.starts_with('@') && !line.name.quoted);
        for line in &matchers {
            let added = scope.named.add(line, scope.depth, self.texts);
            self.parts.errors.extend(added.err());
        }
        let (roots, others): (Vec<Line>, Vec<Line>) =
            others.into_iter().partition(|line| line.name.is("root"));
        for line in &roots {
            let read = split(line, scope);
            match read.and_then(|(condition, args)| files::root(line, &condition, args, self.texts))
            {
                Ok(root) => scope.root = Some(root),
                Err(error) => self.parts.errors.push(error),
            }
        }
        let mut ranked = Vec::new();
        for line in others {
            let name = match line.name.text.as_str() {
                "skip_log" => "log_skip".to_owned(),
                "basicauth" => "basic_auth".to_owned(),
                name => name.to_owned(),
            };
            match self.directive(line, &name, scope) {
                Ok(None) => {}
                Ok(Some(route)) => {
                    // The two exclude each other, so that their paths alone decide.
                    let kind = if name == "handle_path" {
                        "handle"
                    } else {
                        &name
                    };
                    let turn = match kind {
                        // The last one that sets a value counts, so the most specific one comes last.
                        "vars" => turn(&route.condition).map(|part| usize::MAX - part),
                        _ => turn(&route.condition),
                    };
                    ranked.push(((self.order.rank(kind), turn), route));
                }
                Err(error) => self.parts.errors.push(error),
            }
        }
        if !keeps_order {
            ranked.sort_by_key(|(key, _)| *key);
        }
        ranked.into_iter().map(|(_, route)| route).collect()
    }

    /// The route of a directive; `None` if it has no effect.
    fn directive(&mut self, line: Line, name: &str, scope: &Scope) -> Result<Option<Route>, Error> {
        if !refused::is_known(name) || AT_TOP.contains(&name) {
            return Err(refused::error(&line, AT_TOP));
        }
        let (condition, args) = split(&line, scope)?;
        let texts = self.texts;
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
                    "merge them into one, or give the second hub a separate site",
                )?;
                Action::Hub(self.hub)
            }
            "encode" => Action::Encode(actions::encode(&line, args)?),
            "file_server" => files::files(&line, args, scope.root.as_deref(), texts)?,
            "try_files" => files::try_files(&line, args, scope.root.as_deref(), texts)?,
            "reverse_proxy" => proxy::proxy(&line, args, texts, &mut self.parts.notices)?,
            "basic_auth" => Action::Users(users::users(&line, args, texts)?),
            "metrics" => Action::Metrics {
                may_be_open: actions::metrics(&line, args)?,
            },
            "tracing" => Action::Tracing(tracing::tracing(&line, args, texts)?),
            "handle" | "handle_path" | "route" => {
                return self.group(&line, name, condition, args, scope).map(Some);
            }
            _ => Action::Simple(simple(&line, name, args, texts)?),
        };
        Ok(Some(Route { condition, action }))
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
        let mut routes = self.inner(lines, scope, name == "route");
        if name == "handle_path" {
            let prefix = prefix_of(line)?;
            routes.insert(
                0,
                Route {
                    condition: Condition::Any,
                    action: Action::Simple(Simple::Rewrite(Rewrite::WithoutPrefix(prefix))),
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

    /// `handle_errors [<status>…] { … }`.
    fn handle_errors(&mut self, line: &Line, scope: &Scope) -> Result<Route, Error> {
        let statuses = actions::statuses(&line.args)?;
        let Some(lines) = line.block.clone() else {
            return Err(line.missing("a block"));
        };
        let action = Action::Errors {
            statuses,
            routes: self.inner(lines, scope, false),
        };
        Ok(Route {
            condition: Condition::Any,
            action,
        })
    }
}

/// The matcher of a directive, and its other arguments. One argument alone that must be there is not a matcher.
fn split<'l>(line: &'l Line, scope: &Scope) -> Result<(Condition, &'l [Word]), Error> {
    let takes_one = ["method", "root", "rewrite"].contains(&line.name.text.as_str());
    match line.args.as_slice() {
        // Each argument is a target, also one that begins as a matcher does.
        args if line.name.is("try_files") => Ok((Condition::Any, args)),
        args @ [_] if takes_one => Ok((Condition::Any, args)),
        args => scope.named.split(args),
    }
}

/// A directive that needs nothing but the request.
fn simple(line: &Line, name: &str, args: &[Word], texts: Texts<'_>) -> Result<Simple, Error> {
    Ok(match name {
        "respond" => actions::respond(line, args, texts)?,
        "redir" => actions::redirect(line, args, texts)?,
        "error" => actions::fail(line, args, texts)?,
        "header" => Simple::Header(fields::fields(line, args, texts)?),
        "request_header" => Simple::RequestHeader(fields::fields(line, args, texts)?),
        "rewrite" => Simple::Rewrite(actions::rewrite(line, args, texts)?),
        "uri" => Simple::Rewrite(actions::uri(line, args)?),
        "method" => actions::method(line, args)?,
        "vars" => actions::variables(line, args, texts)?,
        "request_body" => actions::body_limit(line, args)?,
        "log_append" => actions::append_log(line, args, texts)?,
        "log_name" => actions::name_log(line, args, texts)?,
        "abort" | "log_skip" => {
            line.without_block()?;
            actions::none(args)?;
            match name {
                "abort" => Simple::Abort,
                _ => Simple::SkipLog,
            }
        }
        _ => return Err(refused::error(line, AT_TOP)),
    })
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

/// The turn of a route among those of its directive: first those for one path, the longest first, of two of one length
/// the one without an asterisk at its end; then those with another condition, then those for all requests.
fn turn(condition: &Condition) -> [usize; 3] {
    let one_path = |condition: &Condition| match condition {
        Condition::Path(patterns) => match patterns.as_slice() {
            [pattern] => Some((pattern.length(), usize::from(pattern.is_open()))),
            _ => None,
        },
        _ => None,
    };
    let length = match condition {
        Condition::All(conditions) => conditions.iter().find_map(one_path),
        condition => one_path(condition),
    };
    match (length, condition) {
        (Some((length, is_open)), _) => [0, usize::MAX - length, is_open],
        (None, Condition::Any) => [2, 0, 0],
        (None, _) => [1, 0, 0],
    }
}
