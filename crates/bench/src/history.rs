//! `talaria bench history`: the history inside this process, without a hub: opening, look-ups, replays, resumes by
//! topic, and the durable publish rate beside a bare `write` and `fdatasync`.

pub(crate) mod args;
mod durable;
mod lookups;
mod retained;
mod scratch;
mod segments;
mod store;
mod stored;

use self::args::HistoryArgs;
use self::scratch::Scratch;
use crate::error::Problem;
use crate::print;

/// Runs the measurements that the options name; all of them if they name none.
///
/// # Errors
/// When the directory cannot be used, or the history fails.
pub(crate) fn main(args: &HistoryArgs) -> Result<(), Problem> {
    args.check()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Problem::Runtime)?;
    let scratch = Scratch::new(&args.path)?;
    print::line(format_args!(
        "in {}; times are of this machine, ratios of this run",
        scratch.path().display()
    ))?;
    runtime.block_on(async {
        if let Some(segments) = args.segments {
            return segments::measure(segments, args, &scratch).await;
        }
        if !args.durable {
            stored::measure(args, &scratch).await?;
            retained::measure(args, &scratch).await?;
        }
        if !args.stored {
            durable::measure(args, &scratch).await?;
        }
        Ok(())
    })
}
