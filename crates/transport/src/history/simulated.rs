//! A log of many sealed segments, most of whose updates are holes, so that a large one can be measured on a
//! small disk.

use std::io;

use bytes::Bytes;

use super::disk::Disk;
use super::format::{SEGMENT_HEADER, SegmentHeader, encode_record};
use super::index::{Facts, Hashes, Index, Subject};
use super::manifest::Manifest;
use super::names;
use super::run::Run;
use super::segment::create_segment;
use crate::{Frame, Position, RunTag, Stamp};

/// The log: its indexes are real, and the first update of each segment is too.
#[derive(Debug, Clone, Copy)]
pub struct Simulated {
    /// The sealed segments.
    pub segments: u64,
    /// The bytes of each, without taking them on the disk.
    pub bytes: u64,
    /// The updates of each; each has a topic, and an id that its publisher chose.
    pub updates: u64,
    /// The bytes of the data of the first one.
    pub payload: usize,
}

impl Simulated {
    /// Writes the log; `topic` and `id` say those of the update at a position.
    ///
    /// # Errors
    /// The error of the file system.
    pub fn write(
        self,
        disk: &dyn Disk,
        topic: impl Fn(u64) -> String,
        id: impl Fn(u64) -> String,
    ) -> io::Result<()> {
        let key = [7; 16];
        let run = Run {
            tag: RunTag::from_u64(1),
            first: Position(1),
        };
        let header = |number: u64, first| SegmentHeader {
            number,
            first,
            run,
            floor: Position::ORIGIN,
            imported: 0,
            created: 1,
            key,
        };
        let hashes = Hashes::new(&key);
        for number in 1..=self.segments {
            let first = (number - 1) * self.updates + 1;
            let frames = (first..first + self.updates).map(|position| Frame {
                position: Position(position),
                event_id: id(position).into(),
                topics: [topic(position).into()].into(),
                private: false,
                by_hub: false,
                trace: None,
                bytes: Bytes::new(),
                stamp: Stamp::default(),
            });
            self.write_segment(disk, &header(number, Position(first)), frames, &hashes)?;
        }
        let last = header(
            self.segments + 1,
            Position(self.segments * self.updates + 1),
        );
        create_segment(disk, &last)?;
        let manifest = Manifest {
            key,
            runs: vec![run],
            gaps: Vec::new(),
        };
        manifest.write(disk)
    }

    fn write_segment(
        self,
        disk: &dyn Disk,
        header: &SegmentHeader,
        frames: impl Iterator<Item = Frame>,
        hashes: &Hashes,
    ) -> io::Result<()> {
        let file = disk.create(&names::segment(header.number, header.first))?;
        file.write_at(&header.encode(), 0)?;
        file.set_len(self.bytes)?;
        let mut index = Index::new(header.first);
        let apart = (self.bytes - SEGMENT_HEADER as u64) / self.updates.max(1);
        for (place, mut frame) in (0..).zip(frames) {
            let at = SEGMENT_HEADER as u64 + place * apart;
            if place == 0 {
                let data = "x".repeat(self.payload);
                let event = format!("id: {}\ndata: {data}\n\n", frame.event_id);
                frame.bytes = event.into();
                let mut record = Vec::new();
                encode_record(&frame, 1, true, &mut record);
                file.write_at(&record, at)?;
            }
            index.add_frame(&frame, true, at, hashes);
        }
        let subject = Subject {
            number: header.number,
            first: header.first,
            last: index.last(),
            length: self.bytes,
        };
        let name = names::index(header.number, header.first);
        index.write(disk, &name, subject, Facts::default())
    }
}
