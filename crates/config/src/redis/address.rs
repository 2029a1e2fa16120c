//! The addresses of servers: `host`, `host:port`, `[IPv6 address]:port` and `unix:/path`.

use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;

use crate::error::Error;
use crate::lexer::Word;
use crate::list;
use crate::settings::RedisAddress;
use crate::shown::show;

/// The address that stands for the server of the existing hub's own storage (B-260).
const OF_STORAGE: &str = "caddy-storage-redis.alt";

const REMEDY: &str = "write <host>:<port>, for example cache.example:6379 or [::1]:6379";

/// Why something is not an address: its port.
const PORT: &str = "its port is not a number from 1 to 65535";

/// What an address names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Named {
    /// A server in a network.
    Address(RedisAddress),
    /// A socket in the file system.
    Unix(PathBuf),
}

/// The addresses of a list; those without a port have this one.
///
/// # Errors
///
/// One that is wrong, or occurs twice.
pub(super) fn all(name: &str, words: &[Word], port: u16) -> Result<Vec<Named>, Error> {
    // A path may hold any mark.
    if let [word] = words
        && socket(&word.text).is_some()
    {
        return Ok(vec![one(word, port)?]);
    }
    let mut all = Vec::new();
    for word in list::items(name, words).map_err(Error::hide_line)? {
        let named = one(&word, port)?;
        if all.contains(&named) {
            let problem = format!("the address {} occurs twice", show(&word.text));
            return Err(word.error(problem).remedy("remove one of them"));
        }
        all.push(named);
    }
    Ok(all)
}

fn one(word: &Word, port: u16) -> Result<Named, Error> {
    let text = word.text.as_str();
    if text == OF_STORAGE {
        return Err(word
            .error(format!(
                "{} stands for the storage of certificates of the existing hub, which this one does not have",
                show(text)
            ))
            .remedy("write the address of the server, for example cache.example:6379"));
    }
    let wrong = |why: &str| word.error(format!("{} is not an address: {why}", show(text)));
    if let Some(path) = socket(text) {
        let path = path.strip_prefix("//").unwrap_or(path);
        return match path.starts_with('/') {
            true => Ok(Named::Unix(PathBuf::from(path))),
            false => Err(wrong("the path of a socket must be absolute")
                .remedy("write for example unix:/run/redis/redis.sock")),
        };
    }
    if text.contains("://") {
        return Err(wrong("it is a URL").remedy("write `url` and the URL, or <host>:<port> here"));
    }
    let address = in_network(text, port);
    address.map(Named::Address).map_err(|why| match why {
        // What follows the colon may be a password.
        PORT => {
            let (host, port) = text.rsplit_once(':').unwrap_or_default();
            let port = match port.bytes().all(|b| b.is_ascii_digit()) && !port.is_empty() {
                true => show(port),
                false => "what follows the colon".to_owned(),
            };
            let problem = format!(
                "{port} is not a port from 1 to 65535, behind {}",
                show(host)
            );
            word.error(problem).remedy(REMEDY).hide_line()
        }
        why => wrong(why).remedy(REMEDY),
    })
}

/// What follows `unix:`, or `unix/` as the existing server writes it.
fn socket(text: &str) -> Option<&str> {
    text.strip_prefix("unix:").or(text.strip_prefix("unix/"))
}

/// Reads `host`, `host:port`, an IPv6 address, or one in brackets with or without a port.
fn in_network(text: &str, default: u16) -> Result<RedisAddress, &'static str> {
    let with = |host: &str, port| RedisAddress {
        host: host.to_owned(),
        port,
    };
    if text.parse::<Ipv6Addr>().is_ok() {
        return Ok(with(text, default));
    }
    let (host, after) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or("a bracket is not closed")?;
            if host.parse::<Ipv6Addr>().is_err() {
                return Err("the brackets do not hold an IPv6 address");
            }
            (host, after)
        }
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let port = match after {
        "" => default,
        after => {
            let port = after.strip_prefix(':').and_then(|port| port.parse().ok());
            let port = port.filter(|port| *port > 0);
            port.ok_or(PORT)?
        }
    };
    let is_name_byte = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    let is_ip = host.parse::<IpAddr>().is_ok();
    match is_ip || (!host.is_empty() && host.bytes().all(is_name_byte)) {
        true => Ok(with(host, port)),
        false if host.is_empty() => Err("it has no host"),
        false => Err("its host is neither a name nor an IP address"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        for (text, shown) in [
            ("cache", "cache:6379"),
            ("cache.example:1", "cache.example:1"),
            ("10.0.0.1:65535", "10.0.0.1:65535"),
            ("::1", "[::1]:6379"),
            ("[::1]", "[::1]:6379"),
            ("[2001:db8::1]:7000", "[2001:db8::1]:7000"),
        ] {
            let read = in_network(text, 6379).map(|address| address.to_string());
            assert_eq!(read.as_deref(), Ok(shown), "{text}");
        }
        for wrong in [
            "", ":6379", "a:", "a:0", "a:65536", "a:x", "a:1:2", "[::1", "[a]:1", "[::1]1", "a/b",
            "a b", "1:2:3",
        ] {
            assert!(in_network(wrong, 6379).is_err(), "{wrong}");
        }
    }
}
