//! `talaria bench`: measures a hub under load.

use std::process::ExitCode;

use talaria_bench::BenchArgs;

use super::output;

/// Runs the load generator; exits 0 if every update that was due arrived once and in order.
pub(super) fn bench(args: &BenchArgs) -> ExitCode {
    match talaria_bench::run(args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) if error.is_closed_output() => output::closed(),
        Err(error) => output::failure(error),
    }
}
