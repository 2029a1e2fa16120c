//! The program `talaria`.
#![forbid(unsafe_code)]

mod bench;
mod cli {
    pub mod client;
    pub mod publish;
    pub mod subscribe;
}

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(name = "talaria")]
enum Cli {
    Bench(Box<bench::args::BenchArgs>),
    Publish(cli::publish::PublishArgs),
    Subscribe(cli::subscribe::SubscribeArgs),
}

fn main() -> ExitCode {
    match Cli::parse() {
        Cli::Bench(args) => bench::main(&args),
        Cli::Publish(args) => cli::publish::run(&args),
        Cli::Subscribe(args) => cli::subscribe::run(&args),
    }
}
