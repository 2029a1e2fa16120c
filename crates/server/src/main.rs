//! The program `talaria`.
#![forbid(unsafe_code)]

mod bench;

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(name = "talaria")]
enum Cli {
    Bench(bench::args::BenchArgs),
}

fn main() -> ExitCode {
    match Cli::parse() {
        Cli::Bench(args) => bench::main(&args),
    }
}
