//! Directives about the clients that are served, and what they may send.

use crate::draft::{Compatibility, Draft};
use crate::error::Error;
use crate::shown::show;
use crate::source::Environment;
use crate::tree::Line;
use crate::value;

/// The bound that `max_request_body_size 0` leaves, in bytes.
const UNBOUNDED_BODY: usize = 10 * 1024 * 1024;

/// `protocol_version_compatibility` (B-209, B-601).
pub(crate) fn compatibility(
    draft: &mut Draft,
    line: &Line,
    _: Environment<'_>,
) -> Result<(), Error> {
    let word = line.without_block()?.one("7 or 8")?;
    draft.compatibility = Some(match word.text.as_str() {
        "7" => Compatibility::Seven,
        "8" => Compatibility::Eight,
        other => {
            let problem = format!("{} is not a version whose clients are served", show(other));
            return Err(word
                .error(problem)
                .remedy("write 8 for clients of Mercure 0.x, or 7 for those before version 8"));
        }
    });
    Ok(())
}

/// `max_request_body_size`, of which zero leaves a bound (B-214).
pub(crate) fn max_request_body_size(
    draft: &mut Draft,
    line: &Line,
    _: Environment<'_>,
) -> Result<(), Error> {
    let size = value::size(line.without_block()?.one("a size")?)?;
    draft.hub.max_request_body_size = match size {
        0 => UNBOUNDED_BODY,
        _ => usize::try_from(size).unwrap_or(usize::MAX),
    };
    Ok(())
}
