//! Free ports in place of those of a page.

use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};

use regex::{Captures, Regex};

/// The port of `talaria dev`, and that of the admin listener.
const ALWAYS: [u16; 2] = [3000, 2019];

/// The ports of a page, and the one that stands for each.
#[derive(Debug)]
pub struct Ports {
    of_page: BTreeMap<u16, u16>,
    numbers: Regex,
}

impl Ports {
    /// Finds the ports of a page's commands and files.
    pub fn of<'text>(texts: impl Iterator<Item = &'text str>) -> Self {
        let written = Regex::new(r"(?::|--port[ =])([1-9][0-9]{3,4})\b").unwrap();
        let mut ports: Vec<u16> = ALWAYS.to_vec();
        for text in texts {
            let found = written.captures_iter(text);
            ports.extend(found.filter_map(|found| found[1].parse::<u16>().ok()));
        }
        ports.retain(|port| *port >= 1024);
        ports.sort_unstable();
        ports.dedup();
        // All are held until each is chosen, so that none is chosen twice.
        let held: Vec<TcpListener> = ports
            .iter()
            .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
            .collect();
        let free = held
            .iter()
            .map(|listener| listener.local_addr().unwrap().port());
        Self {
            of_page: ports.iter().copied().zip(free).collect(),
            numbers: Regex::new(r"\b[1-9][0-9]{3,4}\b").unwrap(),
        }
    }

    /// The port that stands for one of the page.
    pub fn free(&self, port: u16) -> u16 {
        self.of_page.get(&port).copied().unwrap_or(port)
    }

    /// A text of the page, with the ports that are free here.
    pub fn to_here(&self, text: &str) -> String {
        self.replace(text, |port| self.of_page.get(&port).copied())
    }

    /// What a program printed, with the ports of the page.
    pub fn to_page(&self, text: &str) -> String {
        let pairs = &self.of_page;
        self.replace(text, |port| {
            let of_page = pairs.iter().find(|(_, free)| **free == port);
            of_page.map(|(page, _)| *page)
        })
    }

    fn replace(&self, text: &str, other: impl Fn(u16) -> Option<u16>) -> String {
        let replaced = self.numbers.replace_all(text, |found: &Captures| {
            let port = found[0].parse().ok().and_then(&other);
            port.map_or_else(|| found[0].to_owned(), |port| port.to_string())
        });
        replaced.into_owned()
    }

    /// The ports of the page on which something listens.
    pub fn listening(&self) -> Vec<u16> {
        let listens = |port: &u16| {
            TcpStream::connect(("127.0.0.1", *port)).is_ok()
                || TcpStream::connect(("::1", *port)).is_ok()
        };
        self.of_page.values().copied().filter(listens).collect()
    }
}

/// A port is replaced wherever it is written, and back.
#[test]
fn ports_are_replaced_and_back() {
    let text = "listen(8000) http://localhost:8000 :3000 max 5000 --port 4000";
    let ports = Ports::of([text].into_iter());
    let here = ports.to_here(text);
    assert!(!here.contains("8000") && here.contains("5000"), "{here}");
    assert_eq!(here.matches(&ports.free(8000).to_string()).count(), 2);
    assert_eq!(ports.to_page(&here), text);
}
