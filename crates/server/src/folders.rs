//! Where the files of this machine's user lie.

use std::ffi::OsString;
use std::path::PathBuf;

/// `$XDG_DATA_HOME`, else `$HOME/.local/share`; an empty variable counts as none (B-070).
pub fn data_home<V: Into<OsString>>(variable: impl Fn(&str) -> Option<V>) -> Option<PathBuf> {
    let set = |name: &str| {
        let value: OsString = variable(name)?.into();
        (!value.is_empty()).then(|| PathBuf::from(value))
    };
    set("XDG_DATA_HOME").or_else(|| Some(set("HOME")?.join(".local/share")))
}

/// What to tell where there is none.
pub const NO_DATA_HOME: &str = "no data directory: set XDG_DATA_HOME or HOME";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_home_follows_the_variables() {
        let home = |xdg: Option<&'static str>, home: Option<&'static str>| {
            data_home(|name| if name == "HOME" { home } else { xdg })
        };
        assert_eq!(home(Some("/d"), Some("/h")), Some("/d".into()));
        assert_eq!(home(Some(""), Some("/h")), Some("/h/.local/share".into()));
        assert_eq!(home(None, Some("")), None);
    }
}
