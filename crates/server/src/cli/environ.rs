//! `talaria environ`: the environment as the program sees it, without secrets (B-017).

use std::fmt::Write as _;
use std::process::ExitCode;

use talaria_config::adapt::shown_variable;
use talaria_config::folders::{config_home, data_home};

use super::output;
use crate::serve::autosave;

/// Prints it.
pub(super) fn environ() -> ExitCode {
    output::print(&text())
}

/// Where the program keeps its files, what it is, and the variables of the process, a line each.
pub(super) fn text() -> String {
    let variable = |name: &str| std::env::var_os(name);
    let below = |home: Option<std::path::PathBuf>| {
        home.map_or_else(String::new, |home| home.join("caddy").display().to_string())
    };
    let folder =
        std::env::current_dir().map_or_else(|_| String::new(), |path| path.display().to_string());
    let mut text = String::new();
    for (name, value) in [
        ("talaria.Version", env!("CARGO_PKG_VERSION").to_owned()),
        ("talaria.DataDirectory", below(data_home(variable))),
        (
            "talaria.ConfigurationDirectory",
            below(config_home(variable)),
        ),
        (
            "talaria.Autosave",
            autosave::path().map_or_else(String::new, |path| path.display().to_string()),
        ),
        ("talaria.System", std::env::consts::OS.to_owned()),
        ("talaria.Architecture", std::env::consts::ARCH.to_owned()),
        ("talaria.WorkingDirectory", folder),
    ] {
        // Writing to a string cannot fail.
        _ = writeln!(text, "{name}={value}");
    }
    text.push('\n');
    let mut variables: Vec<(String, String)> = std::env::vars_os()
        .map(|(name, value)| {
            let lossy = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
            (lossy(name), lossy(value))
        })
        .collect();
    variables.sort_unstable();
    for (name, value) in variables {
        _ = writeln!(text, "{name}={}", shown_variable(&name, &value));
    }
    text
}
