//! The log of a hub: its standard error, line by line.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// The collected log of one hub process; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Log(Arc<(Mutex<Inner>, Condvar)>);

#[derive(Debug, Default)]
struct Inner {
    lines: Vec<String>,
    ended: bool,
}

impl Log {
    /// Collects every line of `source` until it ends.
    #[must_use]
    pub fn collect(source: impl Read + Send + 'static) -> Self {
        let log = Self::default();
        let writer = log.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(source).split(b'\n').map_while(Result::ok) {
                let line = plain(&String::from_utf8_lossy(&line));
                writer.0.0.lock().unwrap().lines.push(line);
                writer.0.1.notify_all();
            }
            writer.0.0.lock().unwrap().ended = true;
            writer.0.1.notify_all();
        });
        log
    }

    /// The number of lines so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.0.lock().unwrap().lines.len()
    }

    /// Whether the log is still empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The lines from number `from` on.
    #[must_use]
    pub fn since(&self, from: usize) -> Vec<String> {
        self.0
            .0
            .lock()
            .unwrap()
            .lines
            .iter()
            .skip(from)
            .cloned()
            .collect()
    }

    /// Waits until a line at or after number `from` gives a value.
    ///
    /// # Errors
    ///
    /// The lines from `from` on, when none did within `limit` or the hub closed its log.
    pub fn find<T>(
        &self,
        from: usize,
        limit: Duration,
        pick: impl Fn(&str) -> Option<T>,
    ) -> Result<T, String> {
        let deadline = Instant::now() + limit;
        let mut inner = self.0.0.lock().unwrap();
        loop {
            if let Some(found) = inner.lines.iter().skip(from).find_map(|line| pick(line)) {
                return Ok(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if inner.ended || left.is_zero() {
                return Err(inner
                    .lines
                    .iter()
                    .skip(from)
                    .cloned()
                    .collect::<Vec<_>>()
                    .join("\n"));
            }
            inner = self.0.1.wait_timeout(inner, left).unwrap().0;
        }
    }
}

/// The line without terminal colours, which a logger may add whatever it writes to.
fn plain(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        text.push_str(before);
        rest = after.split_once('m').map_or("", |(_, tail)| tail);
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_without_their_colours() {
        let log =
            Log::collect(&b"\x1b[32mINFO\x1b[0m listening \x1b[3maddress\x1b[0m=1\nnext\n"[..]);
        let patience = Duration::from_secs(5);
        let line = log.find(0, patience, |line| {
            line.contains("address=1").then(|| line.to_owned())
        });
        assert_eq!(line.unwrap(), "INFO listening address=1");
        assert_eq!(
            log.find(1, patience, |line| line.contains("INFO").then_some(())),
            Err("next".into())
        );
    }
}
