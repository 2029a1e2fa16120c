//! `talaria bench`: measures a hub under load.

use std::process::ExitCode;
use std::sync::Arc;

use talaria_bench::BenchArgs;

use super::output;
use crate::serve::progress::Progress;

/// Runs the load generator; exits 0 if every update that was due arrived once and in order.
pub(super) fn bench(args: &BenchArgs) -> ExitCode {
    let progress = Progress::of_time("measuring", !talaria_bench::is_helper(args));
    progress.show_later();
    let shown = Arc::clone(&progress);
    let outcome = talaria_bench::run(args, move |write| shown.pause(write));
    progress.end();
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) if error.is_closed_output() => output::closed(),
        Err(error) => output::failure(error),
    }
}
