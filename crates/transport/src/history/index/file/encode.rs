//! Writes index files.

use std::io;

use hashbrown::HashMap;

use super::layout::{MAGIC, VERSION, VERSION_OF_EVENTS, bucket_of, buckets};
use crate::history::disk::Disk;
use crate::history::format::{put_u32, put_u64, seal};
use crate::history::index::memory::Index;
use crate::history::index::subject::{Facts, Subject};

impl Index {
    /// Writes the index of a finished segment to a file of this name.
    pub(in crate::history) fn write(
        &self,
        disk: &dyn Disk,
        name: &str,
        subject: Subject,
        facts: Facts,
    ) -> io::Result<()> {
        let new = format!("{name}.new");
        let file = disk.create(&new)?;
        file.write_at(&self.encode(subject, facts), 0)?;
        disk.rename(&new, name)
    }

    fn encode(&self, subject: Subject, facts: Facts) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&MAGIC);
        let has_events = self.holes.len() > 0;
        let version = if has_events {
            VERSION_OF_EVENTS
        } else {
            VERSION
        };
        put_u32(&mut out, version);
        for value in [
            subject.number,
            subject.first.0,
            subject.last.0,
            subject.length,
            facts.floor.0,
            facts.imported,
            facts.time,
        ] {
            put_u64(&mut out, value);
        }
        for table in [&self.topics, &self.chosen] {
            put_u32(&mut out, table.len() as u32);
            put_u32(&mut out, postings(table) as u32);
        }
        if has_events {
            put_u32(&mut out, self.holes.len() as u32);
            put_u64(&mut out, self.holes.count());
        }
        self.offsets.iter().for_each(|at| put_u32(&mut out, *at));
        for hole in self.holes.iter() {
            for value in [hole.first.0, hole.last.0, hole.before] {
                put_u64(&mut out, value);
            }
        }
        for table in [&self.topics, &self.chosen] {
            encode_table(table, &mut out);
        }
        seal(&mut out, 0);
        out
    }
}

/// The number of postings that a table stores; a single posting stands in its entry.
fn postings(table: &HashMap<u64, Vec<u32>>) -> usize {
    let lengths = table.values().map(Vec::len);
    lengths.filter(|length| *length > 1).sum()
}

fn encode_table(table: &HashMap<u64, Vec<u32>>, out: &mut Vec<u8>) {
    let mut entries: Vec<(u64, &[u32])> =
        table.iter().map(|(hash, list)| (*hash, &**list)).collect();
    entries.sort_unstable_by_key(|(hash, _)| *hash);
    let buckets = buckets(entries.len() as u32);
    let mut next = 0;
    for bucket in 0..=buckets {
        while next < entries.len() && bucket_of(entries[next].0, buckets) < bucket {
            next += 1;
        }
        put_u32(out, next as u32);
    }
    let mut start = 0;
    for (hash, list) in &entries {
        put_u64(out, *hash);
        match list {
            [only] => put_u32(out, *only),
            list => {
                put_u32(out, start);
                start += list.len() as u32;
            }
        }
        put_u32(out, list.len() as u32);
    }
    for (_, list) in entries.iter().filter(|(_, list)| list.len() > 1) {
        list.iter().for_each(|at| put_u32(out, *at));
    }
}
