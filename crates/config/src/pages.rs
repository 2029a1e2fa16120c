//! The places of the user interface, which hold one sentence until there is one (B-090, B-092, B-655).

use talaria_protocol::HUB_PATH;

use crate::settings::{Action, Condition, PathPattern, Route, Simple, Template};
use crate::tree::Line;

/// The directives that ask for a page, and the folder below the hub's path where the existing hub has it.
const PAGES: [(&str, &str); 4] = [
    ("ui", "ui"),
    ("demo", "ui"),
    ("debugger", "debug"),
    ("playground", "debug"),
];

/// What stands there.
const SENTENCE: &str = "This hub has no user interface yet; publish and subscribe with curl, a browser's EventSource, or `talaria publish` and `talaria subscribe`.\n";

/// The path of the page that a directive asks for.
pub(crate) fn path(directive: &str) -> Option<String> {
    let (_, folder) = PAGES.iter().find(|(name, _)| *name == directive)?;
    Some(format!("{HUB_PATH}/{folder}/"))
}

/// Adds what the lines of a hub ask for before each route to that hub: the page, so that a redirect to it leads
/// somewhere, and for `playground` the redirect.
pub(crate) fn add(routes: &mut Vec<Route>, hub: &[Line]) {
    let mut asked = Vec::new();
    for line in hub {
        if let Some(path) = path(&line.name.text) {
            let is_start = line.name.is("playground");
            asked.push((path, is_start));
        }
    }
    let mut pages: Vec<Route> = Vec::new();
    for (path, is_start) in asked {
        let folder = path.trim_end_matches('/');
        let page = on(
            &[folder, &format!("{path}*")],
            Action::Simple(Simple::Respond {
                status: Some(200),
                body: Template::new(SENTENCE),
                closes: false,
            }),
        );
        let start = is_start.then(|| {
            on(
                &["/"],
                Action::Simple(Simple::Redirect {
                    status: 302,
                    to: Template::new(&path),
                }),
            )
        });
        for route in std::iter::once(page).chain(start) {
            if !pages.contains(&route) {
                pages.push(route);
            }
        }
    }
    if !pages.is_empty() {
        insert(routes, &pages);
    }
}

fn on(paths: &[&str], action: Action) -> Route {
    let patterns = paths.iter().map(|path| PathPattern::new(path));
    Route {
        condition: Condition::Path(patterns.collect()),
        action,
    }
}

/// Puts the pages before each hub, for the requests that the hub is asked for.
fn insert(routes: &mut Vec<Route>, pages: &[Route]) {
    let mut all = Vec::new();
    for mut route in std::mem::take(routes) {
        match &mut route.action {
            Action::Group { routes, .. } => insert(routes, pages),
            Action::Hub(_) => all.extend(pages.iter().map(|page| Route {
                condition: match &route.condition {
                    Condition::Any => page.condition.clone(),
                    condition => Condition::All(vec![condition.clone(), page.condition.clone()]),
                },
                action: page.action.clone(),
            })),
            _ => {}
        }
        all.push(route);
    }
    *routes = all;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lexer::tests::text;
    use crate::tree::parse;

    /// The routes of a site whose hub has these lines, for requests of one path.
    fn added(routes: Vec<Route>, hub: &str, asked: &str) -> Vec<Action> {
        let mut routes = routes;
        add(&mut routes, &parse(&text(hub)).unwrap().lines);
        let fits = |route: &&Route| match &route.condition {
            Condition::Path(patterns) => patterns.iter().any(|pattern| pattern.fits(asked)),
            _ => false,
        };
        routes
            .iter()
            .filter(fits)
            .map(|route| route.action.clone())
            .collect()
    }

    fn site() -> Vec<Route> {
        crate::settings::Routes::of_hub(0).0
    }

    /// Each directive has its page, at the place where the existing hub has it, before the hub is asked.
    #[test]
    fn pages_are_where_the_redirects_lead() {
        for (hub, page) in [
            ("demo", "/.well-known/mercure/ui/"),
            ("ui", "/.well-known/mercure/ui/index.html"),
            ("debugger", "/.well-known/mercure/debug"),
            ("playground", "/.well-known/mercure/debug/"),
        ] {
            let found = added(site(), hub, page);
            assert!(
                matches!(
                    found.as_slice(),
                    [Action::Simple(Simple::Respond {
                        status: Some(200),
                        ..
                    })]
                ),
                "{hub}: {found:?}"
            );
            let is_redirected = !added(site(), hub, "/").is_empty();
            assert_eq!(is_redirected, hub == "playground", "{hub}");
        }
        assert!(added(site(), "anonymous", "/.well-known/mercure/ui/").is_empty());
        assert!(added(site(), "demo\nui", "/.well-known/mercure").is_empty());
        let mut routes = site();
        add(
            &mut routes,
            &parse(&text("demo\nui\nplayground\ndebugger"))
                .unwrap()
                .lines,
        );
        assert_eq!(routes.len(), 4);
        assert_eq!(routes[3].action, Action::Hub(0));
    }

    /// A hub within a group keeps its page to itself.
    #[test]
    fn a_page_stands_beside_its_hub() {
        let mut routes = vec![Route {
            condition: Condition::Any,
            action: Action::Group {
                routes: site(),
                is_exclusive: false,
            },
        }];
        add(&mut routes, &parse(&text("demo")).unwrap().lines);
        let Action::Group { routes: inner, .. } = &routes[0].action else {
            panic!("{routes:?}");
        };
        assert_eq!((routes.len(), inner.len()), (1, 2));
    }
}
