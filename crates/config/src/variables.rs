//! Which environment variables were set and not read, so that none is ignored silently.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::fmt;

use crate::older;
use crate::settings::Notice;
use crate::suggestion::suggest;
use crate::{environment, options};

/// Variables that look plausible and do nothing, and what to use instead (B-126).
const WITHOUT_EFFECT: &[(&str, &str)] = &[
    (
        "MERCURE_ALLOW_ANONYMOUS",
        "write `anonymous` in MERCURE_EXTRA_DIRECTIVES",
    ),
    (
        "MERCURE_PUBLISH_ALLOWED_ORIGINS",
        "write `publish_origins <origin>…` in MERCURE_EXTRA_DIRECTIVES",
    ),
    (
        "MERCURE_SUBSCRIBE_ALLOWED_ORIGINS",
        "write `cors_origins <origin>…` in MERCURE_EXTRA_DIRECTIVES",
    ),
    (
        "MERCURE_JWT_KEY",
        "set MERCURE_PUBLISHER_JWT_KEY and MERCURE_SUBSCRIBER_JWT_KEY",
    ),
    (
        "MERCURE_JWT_SECRET",
        "set MERCURE_PUBLISHER_JWT_KEY and MERCURE_SUBSCRIBER_JWT_KEY; this one belongs to the application",
    ),
    (
        "MERCURE_JWT_ALG",
        "set MERCURE_PUBLISHER_JWT_ALG and MERCURE_SUBSCRIBER_JWT_ALG",
    ),
    (
        "MERCURE_JWT_ISSUER",
        "set MERCURE_TRUSTED_ISSUERS; this one belongs to the application",
    ),
    (
        "MERCURE_JWT_TOKEN",
        "it belongs to the application; a hub verifies tokens and has none",
    ),
    (
        "MERCURE_URL",
        "it belongs to the application; the hub listens on SERVER_NAME",
    ),
    (
        "MERCURE_PUBLISH_URL",
        "it belongs to the application; the hub listens on SERVER_NAME",
    ),
    (
        "MERCURE_PUBLIC_URL",
        "it belongs to the application; the hub's own URL is `resource_identifier <url>` in MERCURE_EXTRA_DIRECTIVES",
    ),
    ("MERCURE_DEMO", "`talaria dev` runs a hub for development"),
];

/// A variable of the paid edition, which every chart sets.
const LICENSE: &str = "MERCURE_LICENSE";

/// The variables of a configuration, which remember those that were read.
pub struct Variables<'a> {
    all: &'a HashMap<String, String>,
    read: RefCell<HashSet<String>>,
}

/// What counts instead of the variables that were not read.
#[derive(Debug, Clone, Copy)]
pub enum Instead<'a> {
    /// A configuration file of this name.
    File(&'a str),
    /// Other variables, directives or flags.
    Environment,
    /// `talaria dev`, which nothing configures.
    Dev,
}

impl Instead<'_> {
    /// In a remedy, replaces the variable that holds directives by the place where they are written.
    fn place(self, remedy: &str) -> String {
        const VARIABLE: &str = "MERCURE_EXTRA_DIRECTIVES";
        match self {
            Self::File(file) => remedy
                .replace(
                    &format!("{VARIABLE} or the configuration file"),
                    &format!("the `mercure` block of {file}"),
                )
                .replace(VARIABLE, &format!("the `mercure` block of {file}"))
                .replace("on SERVER_NAME", "at the site's address"),
            Self::Environment | Self::Dev => remedy.to_owned(),
        }
    }
}

impl fmt::Debug for Variables<'_> {
    /// Only the names that were read: a value may be a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Variables")
            .field("read", &self.read)
            .finish_non_exhaustive()
    }
}

impl<'a> Variables<'a> {
    /// Wraps the variables; none is read yet.
    pub fn new(all: &'a HashMap<String, String>) -> Self {
        Self {
            all,
            read: RefCell::default(),
        }
    }

    /// The value of a variable, which counts as read from now on.
    pub fn read(&self, name: &str) -> Option<String> {
        self.read.borrow_mut().insert(name.to_owned());
        self.all.get(name).cloned()
    }

    /// The names of the variables that are set to something and were not read, in order.
    fn unread(&self) -> Vec<&'a str> {
        let read = self.read.borrow();
        let set = self.all.iter().filter(|(name, value)| {
            !value.trim().is_empty() && !read.contains(*name) && !is_link(name, value)
        });
        let mut names: Vec<&str> = set.map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names
    }

    /// The names of the variables that were read and are set to something, in order, without those that say where
    /// the user's folders lie.
    pub fn used(&self) -> Vec<String> {
        let read = self.read.borrow();
        let is_set = |name: &&String| {
            let value = self.all.get(*name);
            value.is_some_and(|value| !value.trim().is_empty())
        };
        let used = read.iter().filter(is_set);
        let mut used: Vec<String> = used.filter(|name| *name != "HOME").cloned().collect();
        used.sort_unstable();
        used
    }

    /// The names of the variables that another configuration would read, in order.
    pub fn known_and_unread(&self) -> Vec<String> {
        let unread = self.unread().into_iter().filter(|name| is_known(name));
        unread.map(str::to_owned).collect()
    }

    /// What is wrong with each variable whose name suggests that this hub reads it, and that it does not
    /// read in any configuration.
    pub fn misnamed(&self, instead: Instead<'_>) -> Vec<String> {
        let is_old = ["JWT_KEY", "PUBLISHER_JWT_KEY"]
            .iter()
            .any(|name| self.all.contains_key(*name));
        let unread = self.unread().into_iter();
        let said = unread.filter_map(|name| misnamed(name, is_old));
        said.map(|said| instead.place(&said)).collect()
    }

    /// The warnings about variables that were set and not read. Those that would be read in another
    /// configuration share one.
    pub fn notices(&self, instead: Instead<'_>) -> Vec<Notice> {
        let mut notices: Vec<Notice> = self
            .misnamed(instead)
            .into_iter()
            .map(Notice::warning)
            .collect();
        let unread = self.unread();
        if unread.contains(&LICENSE) {
            notices.push(Notice::info(format!(
                "{LICENSE} has no effect: every transport of this hub may be used without a license"
            )));
        }
        let known = unread.into_iter().filter(|name| is_known(name));
        match instead {
            Instead::Environment => {
                let one = |name| format!("{name} is set and not read: {}", options::precedence(name));
                notices.extend(known.map(|name| Notice::warning(one(name))));
            }
            Instead::File(file) => notices.extend(together(
                known,
                &format!(
                    "because {file} alone counts; a variable acts where the file names it, as {{$NAME}} or, in a key, {{env.NAME}}"
                ),
            )),
            Instead::Dev => notices.extend(together(
                known,
                "because nothing configures `talaria dev`; run `talaria run` with them",
            )),
        }
        notices
    }
}

fn together<'a>(names: impl Iterator<Item = &'a str>, why: &str) -> Option<Notice> {
    let names: Vec<&str> = names.collect();
    (!names.is_empty())
        .then(|| Notice::warning(format!("set and not read: {}, {why}", names.join(", "))))
}

fn is_known(name: &str) -> bool {
    options::reads(name)
        || name == environment::GLOBAL_OPTIONS
        || name == environment::SITE_DIRECTIVES
        || name == environment::EXTRA_CONFIG
}

/// What to say about a variable that is not read by any configuration.
fn misnamed(name: &str, is_old: bool) -> Option<String> {
    if is_known(name) || name == LICENSE {
        return None;
    }
    if let Some((_, remedy)) = WITHOUT_EFFECT.iter().find(|(known, _)| *known == name) {
        return Some(format!("{name} has no effect: {remedy}"));
    }
    let upper = name.to_ascii_uppercase();
    if upper.starts_with("MERCUR") {
        let remedy = of_file(&upper)
            .or_else(|| nearest(&upper).map(|near| format!("did you mean {near}?")))
            .or_else(|| of_directive(&upper))
            .or_else(|| older::successor(&upper).map(str::to_owned))
            .unwrap_or_else(|| "no variable of this hub has this name".to_owned());
        return Some(format!("{name} is set and not read: {remedy}"));
    }
    let remedy = older::variable(name, is_old)?;
    Some(format!(
        "{name} is a variable of older versions and is not read: {remedy}"
    ))
}

/// The remedy for a variable that holds a path, as other programs read a value from a file.
fn of_file(name: &str) -> Option<String> {
    let variable = name.strip_suffix("_FILE").or(name.strip_suffix("_PATH"))?;
    is_known(variable).then(|| {
        format!(
            "no variable holds a path; set {variable} to the value itself, or write {{file./path}} as a key in a configuration file"
        )
    })
}

/// The remedy for a variable that has the name of a directive.
fn of_directive(name: &str) -> Option<String> {
    let name = name.strip_prefix("MERCURE_")?.to_ascii_lowercase();
    let directive = options::usage(&name)?;
    Some(format!(
        "write `{directive}` in MERCURE_EXTRA_DIRECTIVES or the configuration file"
    ))
}

/// The variable that a name means: one that is near, or that has all its parts.
fn nearest(name: &str) -> Option<&'static str> {
    let known = || options::variables().filter(|known| known.starts_with("MERCURE_"));
    let parts = || name.split('_');
    let has_parts = |known: &&str| parts().all(|part| known.split('_').any(|other| other == part));
    // `MERCURE_KEY` could be either role's.
    let is_telling = parts().count() > 2;
    suggest(name, known()).or_else(|| known().find(has_parts).filter(|_| is_telling))
}

/// Whether a variable is one that Kubernetes and Docker make for a service named `mercure`.
fn is_link(name: &str, value: &str) -> bool {
    name.contains("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.contains("_PORT_")
        || value.starts_with("tcp://")
        || value.starts_with("udp://")
        || name.starts_with("MERCURE_ENV_")
        || name == "MERCURE_NAME" && value.starts_with('/')
        // Some images set it.
        || name == "MERCURE_VERSION"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn misnamed_of(set: &[(&str, &str)]) -> Vec<String> {
        let all = set
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Variables::new(&all).misnamed(Instead::Environment)
    }

    /// A misspelt name is answered with the one that was meant.
    #[test]
    fn misspelt_variables_have_a_suggestion() {
        for (name, expected) in [
            ("MERCURE_PUBLISHER_KEY", "MERCURE_PUBLISHER_JWT_KEY?"),
            ("MERCURE_SUBSCRIBER_KEY", "MERCURE_SUBSCRIBER_JWT_KEY?"),
            ("MERCURE_PUBLISHER_JWT_KEYS", "MERCURE_PUBLISHER_JWT_KEY?"),
            ("MERCURE_PUBLISHER_JWT_ALGO", "MERCURE_PUBLISHER_JWT_ALG?"),
            ("MERCURE_EXTRA_DIRECTIVE", "MERCURE_EXTRA_DIRECTIVES?"),
            ("MERCURE_TRUSTED_ISSUER", "MERCURE_TRUSTED_ISSUERS?"),
            ("MERCURY_PUBLISHER_JWT_KEY", "MERCURE_PUBLISHER_JWT_KEY?"),
            ("mercure_publisher_jwt_key", "MERCURE_PUBLISHER_JWT_KEY?"),
            (
                "MERCURE_PUBLISHER_JWT_ALGORITHM",
                "MERCURE_PUBLISHER_JWT_ALG",
            ),
            ("MERCURE_USE_FORWARDED_HEADERS", "trusted_proxies"),
            ("MERCURE_ANONYMOUS", "write `anonymous [on|off]` in"),
            ("MERCURE_CORS_ORIGINS", "MERCURE_CORS_ALLOWED_ORIGINS?"),
            (
                "MERCURE_PUBLISH_ORIGINS",
                "write `publish_origins <origin>…` in",
            ),
            ("MERCURE_HEARTBEAT", "write `heartbeat <duration>` in"),
            ("MERCURE_PUBLISHER_JWT_KEY_FILE", "{file./path} as a key"),
            ("MERCURE_XYZZY", "no variable of this hub"),
            ("MERCURE_JWT_SECRET", "belongs to the application"),
            ("PUBLISHER_JWT_KEY", "MERCURE_PUBLISHER_JWT_KEY"),
            ("CORS_ALLOWED_ORIGINS", "cors_origins"),
        ] {
            let said = misnamed_of(&[(name, "x")]);
            assert_eq!(said.len(), 1, "{name}: {said:?}");
            assert!(
                said[0].contains(name) && said[0].contains(expected),
                "{said:?}"
            );
        }
    }

    /// Variables of other programs are not mistakes.
    #[test]
    fn foreign_variables_are_left_alone() {
        assert_eq!(
            misnamed_of(&[
                ("MERCURE_PORT", "tcp://10.0.0.1:80"),
                ("MERCURE_PORT_80_TCP_ADDR", "10.0.0.1"),
                ("MERCURE_SERVICE_HOST", "10.0.0.1"),
                ("MERCURE_NAME", "/php/mercure"),
                ("MERCURE_ENV_PATH", "/usr/bin"),
                ("MERCURE_ENV_MERCURE_PUBLISHER_JWT_KEY", "x"),
                ("MERCURE_VERSION", "v0.24.0"),
                ("MERCURE_PORT_80_TCP_PROTO", "tcp"),
                ("MERCURE_LICENSE", ""),
                ("DEBUG", "1"),
                ("ADDR", ":80"),
                ("HOME", "/root"),
            ]),
            Vec::<String>::new()
        );
        let old = misnamed_of(&[("JWT_KEY", "x"), ("ADDR", ":80"), ("DEMO", "1")]);
        assert_eq!(old.len(), 3, "an environment of the old server: {old:?}");
    }
}
