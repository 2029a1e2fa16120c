//! What h2 reads of connections that are read before it.

use super::super::through;
use super::*;

/// What hyper reads of these bytes, if they come in pieces.
fn through(sent: &[u8], piece: usize) -> Vec<u8> {
    through::through(Http2::new(HeadSettings::default()), sent, piece)
}

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
}

/// Stream, flags and fields of each block that hyper reads, and the types of the other frames.
fn understood(read: &[u8]) -> Vec<String> {
    let mut decoder = Decoder::new();
    let mut left = &read[PREFACE_BYTES..];
    let mut found = Vec::new();
    while let Some(frame) = Frame::read(left) {
        if frame.kind != HEADERS {
            found.push(format!("frame {}", frame.kind));
            left = &left[FRAME_HEAD_BYTES + frame.length..];
            continue;
        }
        let block = Block::read(left, 99).ok().flatten().unwrap();
        let read = decoder.read(&block.fragment, 9_999, 1 << 20);
        let fields = read.unwrap().fields;
        let fields = fields
            .iter()
            .map(|(name, value)| format!(" {}={}", name.escape_ascii(), value.escape_ascii()));
        let fields: String = fields.collect();
        found.push(format!("{} {}{fields}", block.stream[3], block.flags));
        left = &left[block.received..];
    }
    found
}

/// Fields to which later blocks refer are understood, before and after the first block that is changed, and so are
/// other frames, padding and priority (RFC 7541, section 2.3).
#[test]
fn later_blocks_mean_what_they_meant() {
    let sent = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        frame(4, 0, 0, b""),
        // GET, http, and three that the table keeps.
        frame(1, 5, 1, b"\x82\x86\x44\x02/a\x41\x01h\x40\x01x\x01y"),
        frame(0, 0, 1, b"PRI * \x01"),
        // Three fields by reference: x, :authority, :path.
        frame(1, 4, 3, b"\x82\x86\xc0\xbf\xbe"),
        // A target to be encoded, which the table keeps as it was sent.
        frame(
            1,
            0x2d,
            5,
            b"\x02\0\0\0\0\x10\x82\x86\x44\x03/\"\xff\xbf\0\0",
        ),
        frame(8, 0, 0, b"\0\0\0\x01"),
        frame(1, 1, 7, b"\x82\x86"),
        frame(9, 0, 7, b"\xbe"),
        frame(9, 4, 7, b"\xc0"),
        // Trailers of nothing, and a target that is refused.
        frame(1, 5, 3, b""),
        frame(1, 5, 9, b"\x82\x86\x04\x03/#a"),
        frame(1, 5, 11, b"\x82\x86\xc1\xc0\xbf"),
    ]
    .concat();
    let refused = format!(
        "9 1 :method=GET :scheme=http :authority=refused :path={}",
        Fault::Fragment.target().as_bytes().escape_ascii()
    );
    let expected = [
        "frame 4",
        "1 1 :method=GET :scheme=http :path=/a :authority=h x=y",
        "frame 0",
        "3 0 :method=GET :scheme=http :path=/a :authority=h x=y",
        "5 1 :method=GET :scheme=http :path=/%22%FF x=y",
        "frame 8",
        "7 1 :method=GET :scheme=http :path=/%22%FF :authority=h",
        "3 1",
        &refused,
        "11 1 :method=GET :scheme=http :path=/a :authority=h x=y",
    ];
    for piece in [1, 2, 7, 20, sent.len()] {
        assert_eq!(
            understood(&through(&sent, piece)),
            expected,
            "pieces of {piece}"
        );
    }
}

/// References to one long entry of the table: each block of 300 bytes means a megabyte. Each is refused,
/// the table goes on, and a `HEAD` request stays one.
#[test]
fn references_do_not_make_blocks_longer() {
    let mut entry = b"\x82\x86\x84\x40\x01x\x7f\xa1\x1e".to_vec();
    entry.resize(entry.len() + 4000, b'a');
    let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    sent.extend(frame(1, 5, 1, b"\x82\x86\x04\x02/\""));
    write_block(&entry, END_STREAM, [0, 0, 0, 3], &mut sent);
    for stream in (5..255).step_by(2) {
        let block = [&b"\x02\x04HEAD\x86\x84"[..], &[0xbe; 240]].concat();
        sent.extend(frame(1, 5, stream, &block));
    }
    sent.extend(frame(1, 5, 255, b"\x82\x86\x84\xbe\xbe"));
    let read = through(&sent, sent.len());
    assert!(read.len() < 2 * sent.len(), "{}", read.len());
    let found = understood(&read);
    let refused = format!(
        "1 :method=HEAD :scheme=http :authority=refused :path={}",
        Fault::HeadTooLarge.target().as_bytes().escape_ascii()
    );
    assert_eq!(found.len(), 128);
    assert!(found[2..127].iter().all(|found| found.ends_with(&refused)));
    assert!(found[127].len() > 8000, "two references are ordinary");
}

/// Nothing is changed on a connection that needs no change.
#[test]
fn ordinary_connections_pass_as_they_are() {
    let sent = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        frame(1, 4, 1, b"\x83\x86\x44\x02/a\x41\x01h"),
        frame(0, 1, 1, b"topic=a"),
        frame(1, 0x0d, 3, b"\x01\x82\x86\x84\xbe\0"),
    ]
    .concat();
    for piece in [1, 9, sent.len()] {
        assert_eq!(through(&sent, piece), sent);
    }
}

/// What is not a block becomes something for which h2 ends the connection. The same goes for a block that h2 would
/// not read into its table, or would read into it without our knowledge.
#[test]
fn broken_connections_stay_broken() {
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    let changed = frame(1, 5, 1, b"\x82\x86\x04\x02/\"");
    let endless = [
        frame(1, 1, 3, b"\x82"),
        frame(9, 0, 3, b"").repeat(most_frames(HeadSettings::default().bytes)),
    ]
    .concat();
    for broken in [
        frame(1, 5, 3, b"\x80"),
        frame(1, 0xd, 3, b"\x09"),
        frame(1, 0x25, 3, b"\0\0"),
        frame(1, 0x25, 3, b"\x80\0\0\x03\0\x82\x86\x84\x40\x01x\x01y"),
        frame(5, 4, 3, b"\0\0\0\x02\x82\x86\x84\x40\x01x\x01y"),
        frame(1, 5, 3, b"\x82\x86\x84\x40\0\x01y"),
        [
            frame(1, 1, 3, b"\x82\x86\x84\x40\0\x01y"),
            frame(9, 4, 3, b"\x40\x01x\x01y"),
        ]
        .concat(),
        [frame(1, 1, 3, b"\x82"), frame(0, 0, 3, b"")].concat(),
        [frame(1, 1, 3, b"\x82"), frame(9, 4, 5, b"\x82")].concat(),
        endless,
    ] {
        let later = frame(1, 5, 7, b"\x82\x86\x04\x02/\"");
        let error = frame(HEADERS, END_HEADERS, 3, b"\x80");
        for before in [&b""[..], &changed] {
            let sent = [&preface[..], before, &broken, &later].concat();
            let read = through(&sent, sent.len());
            assert!(
                read.windows(error.len()).any(|window| window == error),
                "{read:?}"
            );
        }
    }
}
