//! `talaria man`: the manual pages, from the table behind `--help`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Command;
use clap_mangen::Man;
use talaria_config::Error;

use super::output;

/// What `talaria man --help` adds.
pub(super) const HELP: &str = "\
Packages install them. Examples:
  talaria man | man -l -
      Show the page of the program.
  talaria man --directory ~/.local/share/man/man1
      Write the page of the program and of each verb.";

/// The flags of `man`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The folder in which to write the page of the program and of each verb.
    #[arg(short = 'o', long, value_name = "PATH")]
    directory: Option<PathBuf>,
}

/// Prints the page of the program, or writes all pages.
pub(super) fn manual(command: Command, args: &Args) -> ExitCode {
    // The verb `help` has no page that the others could refer to.
    let command = command.disable_help_subcommand(true);
    let Some(directory) = &args.directory else {
        let mut page = Vec::new();
        return match Man::new(command).render(&mut page) {
            Ok(()) => output::print(&String::from_utf8_lossy(&page)),
            Err(error) => output::failure(output::not_written(error)),
        };
    };
    match write(command, directory) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => output::failure(
            Error::new(format!("{} cannot be written", directory.display()))
                .caused_by(error)
                .remedy("name a folder that you may write to"),
        ),
    }
}

fn write(command: Command, directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    clap_mangen::generate_to(command, directory)
}
