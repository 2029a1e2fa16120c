//! How long the look-up of an id takes.

use std::sync::Arc;

use talaria_transport::history::History;
use talaria_transport::{Lookup, Position, Transport};

use super::store::{CHOSEN, Reader, chosen};
use crate::clock::now_ns;
use crate::error::Problem;
use crate::histogram::Histogram;
use crate::print;

/// How many look-ups are timed.
const LOOK_UPS: u64 = 2_000;

/// Times the look-ups of ids at several places of a history that was filled with `filled` updates.
///
/// # Errors
/// When a look-up fails, or finds something else than it should.
pub(crate) async fn measure(history: &History, newest: &str, filled: u64) -> Result<(), Problem> {
    let head = history.bounds().head.0;
    // The next position, if a publisher chose the id of this one.
    let own = |position: u64| {
        if (position - 1).is_multiple_of(CHOSEN) {
            position + 1
        } else {
            position
        }
    };
    let oldest_chosen = chosen(0);
    let newest_chosen = chosen((filled - 1) / CHOSEN * CHOSEN);
    let known = [
        ("newest", newest.to_owned()),
        ("middle", id_at(history, own(head / 2)).await?),
        ("oldest", id_at(history, own(2)).await?),
        ("oldest chosen by a publisher", oldest_chosen),
        ("newest chosen by a publisher", newest_chosen),
    ];
    for (what, id) in known {
        let is_found = |lookup: &Lookup| matches!(lookup, Lookup::Found(_));
        time(history, what, |_| id.clone(), is_found).await?;
    }
    time_unknown(history).await
}

/// Times the look-ups of ids that the history has never seen.
///
/// # Errors
/// When a look-up fails, or finds something.
pub(crate) async fn time_unknown(history: &History) -> Result<(), Problem> {
    let id = |number| format!("urn:example:unknown:{number}");
    time(history, "unknown", id, |lookup| *lookup == Lookup::Unknown).await
}

/// Times the look-ups of some ids.
///
/// # Errors
/// When a look-up fails, or finds something else than it should.
pub(crate) async fn time(
    history: &History,
    what: &str,
    id: impl Fn(u64) -> String,
    expected: impl Fn(&Lookup) -> bool,
) -> Result<(), Problem> {
    let mut times = Histogram::default();
    for number in 0..LOOK_UPS {
        let id = id(number);
        let begun = now_ns();
        let lookup = history.position_of(&id).await;
        let lookup = lookup.map_err(Problem::history)?;
        times.record(now_ns() - begun);
        if !expected(&lookup) {
            return Err(Problem::Lookup {
                what: what.to_owned(),
                found: format!("{lookup:?}"),
            });
        }
    }
    print::line(format_args!(
        "look-up of {what}: p50 {:.4} ms, p99 {:.4} ms",
        times.quantile_ms(0.5).unwrap_or_default(),
        times.quantile_ms(0.99).unwrap_or_default()
    ))?;
    Ok(())
}

async fn id_at(history: &History, position: u64) -> Result<String, Problem> {
    let from = Position(position).back(1);
    let page = history
        .read(from, Position(position), 1, Arc::new(Reader::Everything))
        .await
        .map_err(Problem::history)?;
    let frame = page.frames.first().ok_or(Problem::Missing)?;
    Ok(frame.event_id.to_string())
}
