//! Header compression of HTTP/3 (RFC 9204), as far as a server reads it that has no dynamic table.

use bytes::Bytes;

use super::hpack::{Field, Fields, Input, Malformed, size, write_string};

/// The beginning of a block that refers to no dynamic table (section 4.5.1).
const PREFIX: [u8; 2] = [0, 0];

/// Reads the fields of a block, at most `most` of them besides lines of `Cookie`, which may be twice as many, and at
/// most `most_bytes` together as RFC 9114 counts them (section 4.2.2).
///
/// # Errors
///
/// It is not a block, or it refers to a table that there is not.
pub(super) fn read(block: &[u8], most: usize, most_bytes: usize) -> Result<Fields, Malformed> {
    let mut input = Input(block);
    // Without a table nothing is required of it, and the base does not count (section 4.5.1).
    if input.integer(8)? != 0 {
        return Err(Malformed);
    }
    input.integer(7)?;
    let mut fields = Vec::new();
    let (mut bytes, mut cookies, mut are_too_many) = (0, 0, false);
    while let Some(first) = input.0.first().copied() {
        let field = match first {
            0xc0.. => entry(input.integer(6)?)?,
            // With a name of the table of fields that every connection knows.
            0x50..=0x5f | 0x70..=0x7f => {
                let (name, _) = entry(input.integer(4)?)?;
                (name, input.string(7)?)
            }
            0x20..=0x3f => (input.string(3)?, input.string(7)?),
            // With a reference to the dynamic table.
            _ => return Err(Malformed),
        };
        if field.0.is_empty() {
            return Err(Malformed);
        }
        bytes += size(&field);
        cookies += usize::from(field.0 == "cookie");
        are_too_many |=
            bytes > most_bytes || cookies > 2 * most || fields.len() + 1 > most + cookies;
        if !are_too_many {
            fields.push(field);
        }
    }
    Ok(Fields {
        fields,
        are_too_many,
    })
}

fn entry(index: usize) -> Result<Field, Malformed> {
    let (name, value) = STATIC.get(index).ok_or(Malformed)?;
    Ok((
        Bytes::from_static(name.as_bytes()),
        Bytes::from_static(value.as_bytes()),
    ))
}

/// The fields as a block, without compression (section 4.5.6).
pub(super) fn write(fields: &[Field]) -> Vec<u8> {
    let mut block = PREFIX.to_vec();
    for (name, value) in fields {
        write_string(name, 0x20, 3, &mut block);
        write_string(value, 0, 7, &mut block);
    }
    block
}

/// The fields that every connection knows (appendix A).
#[rustfmt::skip]
const STATIC: [(&str, &str); 99] = [
    (":authority", ""), (":path", "/"), ("age", "0"), ("content-disposition", ""), ("content-length", "0"),
    ("cookie", ""), ("date", ""), ("etag", ""), ("if-modified-since", ""), ("if-none-match", ""),
    ("last-modified", ""), ("link", ""), ("location", ""), ("referer", ""), ("set-cookie", ""),
    (":method", "CONNECT"), (":method", "DELETE"), (":method", "GET"), (":method", "HEAD"), (":method", "OPTIONS"),
    (":method", "POST"), (":method", "PUT"), (":scheme", "http"), (":scheme", "https"), (":status", "103"),
    (":status", "200"), (":status", "304"), (":status", "404"), (":status", "503"), ("accept", "*/*"),
    ("accept", "application/dns-message"), ("accept-encoding", "gzip, deflate, br"), ("accept-ranges", "bytes"),
    ("access-control-allow-headers", "cache-control"), ("access-control-allow-headers", "content-type"),
    ("access-control-allow-origin", "*"), ("cache-control", "max-age=0"), ("cache-control", "max-age=2592000"),
    ("cache-control", "max-age=604800"), ("cache-control", "no-cache"), ("cache-control", "no-store"),
    ("cache-control", "public, max-age=31536000"), ("content-encoding", "br"), ("content-encoding", "gzip"),
    ("content-type", "application/dns-message"), ("content-type", "application/javascript"),
    ("content-type", "application/json"), ("content-type", "application/x-www-form-urlencoded"),
    ("content-type", "image/gif"), ("content-type", "image/jpeg"), ("content-type", "image/png"),
    ("content-type", "text/css"), ("content-type", "text/html; charset=utf-8"), ("content-type", "text/plain"),
    ("content-type", "text/plain;charset=utf-8"), ("range", "bytes=0-"),
    ("strict-transport-security", "max-age=31536000"),
    ("strict-transport-security", "max-age=31536000; includesubdomains"),
    ("strict-transport-security", "max-age=31536000; includesubdomains; preload"), ("vary", "accept-encoding"),
    ("vary", "origin"), ("x-content-type-options", "nosniff"), ("x-xss-protection", "1; mode=block"),
    (":status", "100"), (":status", "204"), (":status", "206"), (":status", "302"), (":status", "400"),
    (":status", "403"), (":status", "421"), (":status", "425"), (":status", "500"), ("accept-language", ""),
    ("access-control-allow-credentials", "FALSE"), ("access-control-allow-credentials", "TRUE"),
    ("access-control-allow-headers", "*"), ("access-control-allow-methods", "get"),
    ("access-control-allow-methods", "get, post, options"), ("access-control-allow-methods", "options"),
    ("access-control-expose-headers", "content-length"), ("access-control-request-headers", "content-type"),
    ("access-control-request-method", "get"), ("access-control-request-method", "post"), ("alt-svc", "clear"),
    ("authorization", ""), ("content-security-policy", "script-src 'none'; object-src 'none'; base-uri 'none'"),
    ("early-data", "1"), ("expect-ct", ""), ("forwarded", ""), ("if-range", ""), ("origin", ""),
    ("purpose", "prefetch"), ("server", ""), ("timing-allow-origin", "*"), ("upgrade-insecure-requests", "1"),
    ("user-agent", ""), ("x-forwarded-for", ""), ("x-frame-options", "deny"), ("x-frame-options", "sameorigin"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &'static str, value: &'static str) -> Field {
        (
            Bytes::from_static(name.as_bytes()),
            Bytes::from_static(value.as_bytes()),
        )
    }

    /// The example of a literal with the name of a known field (appendix B.1), and the other forms.
    #[test]
    fn blocks_are_read() {
        let path = b"\0\0\x51\x0b/index.html";
        let read = |block: &[u8]| self::read(block, 100, 1 << 20).expect("a block").fields;
        assert_eq!(read(path), [of(":path", "/index.html")]);
        assert_eq!(read(b"\0\0\xd1"), [of(":method", "GET")]);
        assert_eq!(read(b"\0\0\xff\x23"), [of("x-frame-options", "sameorigin")]);
        assert_eq!(read(b"\0\0\x27\x01abcdefgh\x01z"), [of("abcdefgh", "z")]);
        let encoded = b"\0\0\x50\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff";
        assert_eq!(read(encoded), [of(":authority", "www.example.com")]);
    }

    /// What is written can be read, whatever its length.
    #[test]
    fn what_is_written_is_read() {
        for length in [1, 6, 7, 8, 126, 127, 128, 16_510, 70_000] {
            let field = (
                Bytes::from(vec![b'x'; length]),
                Bytes::from(vec![0xff; length]),
            );
            let block = write(&[field.clone(), of("a", "")]);
            let fields = read(&block, 2, 1 << 20).expect("a block").fields;
            assert_eq!(fields, [field, of("a", "")]);
            for (most, bytes) in [(1, 1 << 20), (2, 2 * length + 32)] {
                assert!(read(&block, most, bytes).expect("a block").are_too_many);
            }
        }
    }

    #[test]
    fn what_refers_to_a_dynamic_table_is_refused() {
        let wrong: [&[u8]; 10] = [
            b"",
            b"\0",
            b"\x01\0\x80",
            b"\0\0\x80",
            b"\0\0\x10",
            b"\0\0\x40\0",
            b"\0\0\x00\0",
            b"\0\0\xff\x24",
            b"\0\0\x20\0",
            b"\0\0\x51\x05/",
        ];
        for block in wrong {
            assert_eq!(read(block, 100, 1 << 20), Err(Malformed), "{block:?}");
        }
    }

    proptest::proptest! {
        /// No bytes make the reader panic, and it never yields more than its bounds.
        #[test]
        fn any_bytes_are_read(block: Vec<u8>) {
            if let Ok(read) = read(&block, 10, 1000) {
                assert!(read.fields.iter().map(size).sum::<usize>() <= 1000);
            }
        }
    }
}
