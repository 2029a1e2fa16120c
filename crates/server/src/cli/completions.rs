//! `talaria completions`: what a shell needs to complete the command line, from the table behind `--help`.

use std::process::ExitCode;

use clap::Command;
use clap_complete::Shell;

use super::output;

/// What `talaria completions --help` adds.
pub(super) const HELP: &str = "\
Packages install them. For a program that was copied alone:
  bash  talaria completions bash > ~/.local/share/bash-completion/completions/talaria
  zsh   talaria completions zsh > ~/.zfunc/_talaria
        (with `fpath+=~/.zfunc` before `compinit` in ~/.zshrc)
  fish  talaria completions fish > ~/.config/fish/completions/talaria.fish";

/// The flags of `completions`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The shell.
    shell: Shell,
}

/// Prints them.
pub(super) fn completions(mut command: Command, args: &Args) -> ExitCode {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    output::print(&String::from_utf8_lossy(&script))
}
