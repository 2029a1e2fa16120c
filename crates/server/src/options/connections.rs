//! The directives that bound what connections may hold, one function each.

use crate::config::draft::Draft;
use crate::config::error::{ConfigError, show};
use crate::config::settings::LEAST_HEAD_BYTES;
use crate::config::tree::Line;
use crate::config::value;
use crate::options::Environment;

type Done = Result<(), ConfigError>;

fn number(line: &Line) -> Result<u64, ConfigError> {
    value::number(line.without_block()?.one("a number")?, 1)
}

/// A number of which one address cannot have all ([`talaria_hub::limits::Ledger`]).
fn shared_number(line: &Line) -> Result<u64, ConfigError> {
    value::number(line.without_block()?.one("a number")?, 10)
}

/// A number that HTTP/2 or a parser must be able to hold.
fn small_number(line: &Line) -> Result<u32, ConfigError> {
    let number = number(line)?;
    u32::try_from(number).map_err(|_| {
        line.name
            .error(format!("{number} is too large"))
            .remedy(format!("write at most {}", u32::MAX))
    })
}

pub fn max_connections(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    draft.connections.most = Some(shared_number(line)?);
    Ok(())
}

pub fn max_connections_per_address(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    draft.connections.most_of_address = Some(number(line)?);
    Ok(())
}

pub fn max_handshakes(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    draft.connections.handshakes = Some(shared_number(line)?);
    Ok(())
}

pub fn max_streams_per_connection(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    draft.connections.streams = small_number(line)?;
    Ok(())
}

pub fn max_header_fields(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    draft.connections.head.fields = usize::try_from(small_number(line)?).unwrap_or(usize::MAX);
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
    draft.connections.head_memory = value::size(line.without_block()?.one("a size")?)?;
    Ok(())
}

pub fn header_timeout(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    let word = line.without_block()?.one("a duration")?;
    let timeout = value::duration(word)?;
    if timeout.is_zero() {
        return Err(word
            .error("a head without a bound of time holds its connection for ever")
            .remedy("write a duration such as 10s"));
    }
    draft.connections.head.timeout = timeout;
    Ok(())
}

pub fn max_anonymous_body_size(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    draft.max_anonymous_body_size = Some(value::size(line.without_block()?.one("a size")?)?);
    Ok(())
}
