//! The directives that bound what connections may hold, one function each.

use std::time::Duration;

use crate::config::draft::Draft;
use crate::config::error::{ConfigError, show};
use crate::config::settings::LEAST_HEAD_BYTES;
use crate::config::tree::Line;
use crate::config::value;
use crate::options::Environment;

type Done = Result<(), ConfigError>;

/// The most connections that a directive takes.
const MOST_CONNECTIONS: u64 = 100_000_000;

/// A number within bounds.
fn number(line: &Line, least: u64, most: u64) -> Result<u64, ConfigError> {
    let word = line.without_block()?.one("a number")?;
    let number = value::number(word, least)?;
    if number > most {
        return Err(word
            .error(format!("{number} is too large"))
            .remedy(format!("write a number from {least} to {most}")));
    }
    Ok(number)
}

/// A number of connections, or `None` for `off`. One address cannot have all of fewer than ten
/// ([`talaria_hub::limits::Ledger`]).
fn number_or_off(line: &Line, least: u64) -> Result<Option<u64>, ConfigError> {
    match is_off(line)? {
        true => Ok(None),
        false => number(line, least, MOST_CONNECTIONS).map(Some),
    }
}

fn is_off(line: &Line) -> Result<bool, ConfigError> {
    Ok(line.without_block()?.one("a number or `off`")?.text == "off")
}

/// A size of at least `least` bytes, or the largest there is for `off`.
fn size_or_off(line: &Line, least: u64) -> Result<u64, ConfigError> {
    let word = line.without_block()?.one("a size or `off`")?;
    if word.text == "off" {
        return Ok(u64::MAX);
    }
    let size = value::size(word)?;
    if size < least {
        return Err(word
            .error(format!("{} is less than {least} bytes", show(&word.text)))
            .remedy(format!(
                "write a size of at least {least} bytes, or `off` for no bound"
            )));
    }
    Ok(size)
}

pub fn max_connections(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    draft.connections.most = number_or_off(line, 10)?;
    Ok(())
}

pub fn max_connections_per_address(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    draft.connections.most_of_address = number_or_off(line, 1)?;
    Ok(())
}

pub fn max_handshakes(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    draft.connections.handshakes = Some(number_or_off(line, 10)?.unwrap_or(MOST_CONNECTIONS));
    Ok(())
}

pub fn max_streams_per_connection(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    /// What the hub holds of each stream adds up on a connection, which one client opens.
    const MOST: u64 = 100_000;
    let number = number(line, 1, MOST)?;
    draft.connections.streams = u32::try_from(number).unwrap_or(u32::MAX);
    Ok(())
}

pub fn max_header_fields(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    /// The parser reserves space for as many fields before it reads a head.
    const MOST: u64 = 1_000;
    let number = number(line, 1, MOST)?;
    draft.connections.head.fields = usize::try_from(number).unwrap_or(usize::MAX);
    Ok(())
}

pub fn max_header_size(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    const MOST: u64 = 16 << 20;
    let word = line.without_block()?.one("a size")?;
    let size = value::size(word)?;
    draft.connections.head.bytes = usize::try_from(size)
        .ok()
        .filter(|_| (LEAST_HEAD_BYTES..=MOST).contains(&size))
        .ok_or_else(|| {
            word.error(format!("{} is not a bound for heads", show(&word.text)))
                .remedy("write a size from 8KiB to 16MiB")
        })?;
    Ok(())
}

pub fn max_header_memory(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    /// Less would refuse heads that `max_header_size` allows by default.
    const LEAST: u64 = 1 << 20;
    draft.connections.head_memory = size_or_off(line, LEAST)?;
    Ok(())
}

pub fn header_timeout(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    let word = line.without_block()?.one("a duration")?;
    let timeout = value::duration(word)?;
    const LEAST: Duration = Duration::from_millis(100);
    const MOST: Duration = Duration::from_secs(3600);
    if !(LEAST..=MOST).contains(&timeout) {
        return Err(word
            .error(format!("{} is not a time for heads", show(&word.text)))
            .remedy("write a duration from 100ms to 1h, such as 10s"));
    }
    draft.connections.head.timeout = timeout;
    Ok(())
}

pub fn max_anonymous_body_size(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    draft.max_anonymous_body_size = Some(size_or_off(line, 1)?);
    Ok(())
}
