//! `talaria`, a Mercure hub: the command line, the configuration, the listeners.

#![forbid(unsafe_code)]

mod bench;
mod cli;
mod clock;
mod config;
mod connection;
mod folders;
mod listen;
mod log;
mod options;
mod report;
mod run;
mod site;
mod socket;
mod tls;
mod transport;

/// Many small allocations of many threads, freed by others, are what this allocator is good at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::main()
}
