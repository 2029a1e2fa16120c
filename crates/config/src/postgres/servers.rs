//! The lists of hosts, addresses and ports of libpq.

use std::net::IpAddr;
use std::path::PathBuf;

use super::known::Written;
use crate::error::Error;
use crate::settings::{PostgresHost, PostgresServer};
use crate::shown::show;
use crate::source::Place;

/// The port of a server that names none.
const PORT: u16 = 5432;

/// The servers that the lists name: the nth of each belongs to the nth server, and one port is that of all.
///
/// # Errors
///
/// A list is wrong, or they have different lengths.
pub(super) fn all(
    hosts: Option<&Written>,
    addresses: Option<&Written>,
    ports: Option<&Written>,
) -> Result<Vec<PostgresServer>, Error> {
    let named = hosts
        .map(|(text, place)| each(text, place, host))
        .transpose()?;
    let located = addresses
        .map(|(text, place)| each(text, place, address))
        .transpose()?;
    let count = named
        .as_ref()
        .map(Vec::len)
        .or(located.as_ref().map(Vec::len));
    let count = count.unwrap_or(0);
    if let (Some(located), Some((_, place))) = (&located, addresses)
        && located.len() != count
    {
        let problem = format!(
            "`hostaddr` has {} addresses, and `host` {count} hosts",
            located.len()
        );
        return Err(
            Error::at(place, problem).remedy("write one address for each host, in the same order")
        );
    }
    let ports = match ports {
        Some((text, place)) => {
            let ports = each(text, place, port)?;
            if ports.len() != 1 && ports.len() != count {
                let problem = format!(
                    "`port` has {} ports, and there are {count} servers",
                    ports.len()
                );
                return Err(Error::at(place, problem)
                    .remedy("write one port for all, or one for each host"));
            }
            ports
        }
        None => vec![PORT],
    };
    let servers = (0..count).map(|at| {
        let address = located.as_ref().and_then(|all| all.get(at).copied());
        let host = named.as_ref().and_then(|all| all.get(at).cloned());
        let shown = || PostgresHost::Name(address.map(|ip| ip.to_string()).unwrap_or_default());
        PostgresServer {
            host: host.unwrap_or_else(shown),
            address,
            port: ports.get(at).or(ports.first()).copied().unwrap_or(PORT),
            password: None,
        }
    });
    let servers: Vec<PostgresServer> = servers.collect();
    let twice = servers
        .iter()
        .enumerate()
        .find(|(at, server)| servers.iter().take(*at).any(|other| other == *server));
    match (twice, hosts.or(addresses)) {
        (Some((_, server)), Some((_, place))) => Err(Error::at(
            place,
            format!("the server {server} occurs twice"),
        )
        .remedy("remove one of them")),
        _ => Ok(servers),
    }
}

fn each<T>(
    text: &str,
    place: &Place,
    read: fn(&str) -> Result<T, (String, &'static str)>,
) -> Result<Vec<T>, Error> {
    let read = text.split(',').map(|item| read(item.trim()));
    let read: Result<Vec<T>, _> = read.collect();
    read.map_err(|(problem, remedy)| Error::at(place, problem).remedy(remedy))
}

fn host(text: &str) -> Result<PostgresHost, (String, &'static str)> {
    if text.starts_with('/') {
        return Ok(PostgresHost::Folder(PathBuf::from(text)));
    }
    let is_name_byte = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    let is_ip = text.parse::<IpAddr>().is_ok();
    match is_ip || (!text.is_empty() && text.bytes().all(is_name_byte)) {
        true => Ok(PostgresHost::Name(text.to_owned())),
        false if text.is_empty() => Err((
            "a host is empty".to_owned(),
            "write its name, or the folder of its socket, such as host=/run/postgresql",
        )),
        false => Err((
            format!(
                "{} is not a host: neither a name nor an IP address nor an absolute path",
                show(text)
            ),
            "write for example db.example, 10.0.0.5 or /run/postgresql",
        )),
    }
}

fn address(text: &str) -> Result<IpAddr, (String, &'static str)> {
    text.parse().map_err(|_| {
        (
            format!("`hostaddr` has {}, which is not an IP address", show(text)),
            "write the address there, and the name as `host`",
        )
    })
}

fn port(text: &str) -> Result<u16, (String, &'static str)> {
    if text.is_empty() {
        return Ok(PORT);
    }
    let port = text.parse().ok().filter(|port| *port > 0);
    port.ok_or_else(|| {
        (
            format!("{} is not a port from 1 to 65535", show(text)),
            "write for example 5432",
        )
    })
}
