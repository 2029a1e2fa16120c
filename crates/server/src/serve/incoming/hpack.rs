//! Header compression of HTTP/2 (RFC 7541), as far as a server reads it.

mod huffman;

use std::collections::VecDeque;

use bytes::Bytes;

/// Name and value.
pub(super) type Field = (Bytes, Bytes);

/// Not a header block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// The content of a block.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fields {
    /// All of its fields, or the first ones if there are too many.
    pub fields: Vec<Field>,
    /// Whether there are more fields than allowed, or they are much longer than the block.
    pub are_too_many: bool,
}

/// The most bytes of the dynamic table: the default, which hyper does not change (section 4.2).
const TABLE_BYTES: usize = 4096;
/// The bytes that each field counts besides its own (section 4.1).
const FIELD_BYTES: usize = 32;

/// Reads the header blocks of one connection, each once and in order.
#[derive(Debug)]
pub(super) struct Decoder {
    /// The newest first.
    table: VecDeque<Field>,
    bytes: usize,
    most: usize,
}

impl Decoder {
    /// A decoder for the beginning of a connection.
    pub(super) fn new() -> Self {
        Self {
            table: VecDeque::new(),
            bytes: 0,
            most: TABLE_BYTES,
        }
    }

    /// The fields of a block, at most `most` of them besides the lines into which HTTP/2 splits `Cookie` (RFC 9113,
    /// section 8.2.3), which may be twice as many, and at most `most_bytes` together as section 4.1 counts
    /// them. They may be twice as long as the block, because the shortest symbols of Huffman's code have
    /// five bits, and longer by twice the table: ordinary clients refer to each entry once, and to some
    /// of the static table.
    ///
    /// # Errors
    ///
    /// It is not a block, and the connection cannot go on.
    pub(super) fn read(
        &mut self,
        block: &[u8],
        most: usize,
        most_bytes: usize,
    ) -> Result<Fields, Malformed> {
        let mut input = Input(block);
        let mut fields = Vec::new();
        let (mut bytes, mut length, mut cookies) = (0, 0, 0);
        let most_length = 2 * block.len() + 2 * TABLE_BYTES;
        let mut are_too_many = false;
        while let Some(first) = input.0.first().copied() {
            let field = match first {
                0x80.. => self.field(input.integer(7)?)?,
                0x40.. => {
                    let field = self.literal(&mut input, 6)?;
                    self.insert(field.clone());
                    field
                }
                0x20.. => {
                    self.resize(input.integer(5)?)?;
                    continue;
                }
                _ => self.literal(&mut input, 4)?,
            };
            bytes += size(&field);
            length += field.0.len() + field.1.len();
            cookies += usize::from(field.0 == "cookie");
            are_too_many |= bytes > most_bytes
                || length > most_length
                || cookies > 2 * most
                || fields.len() + 1 > most + cookies;
            if !are_too_many {
                fields.push(field);
            }
        }
        Ok(Fields {
            fields,
            are_too_many,
        })
    }

    fn literal(&self, input: &mut Input<'_>, prefix: u8) -> Result<Field, Malformed> {
        let name = match input.integer(prefix)? {
            // h2 would wait for the rest of an empty name, until it ends the connection.
            0 => Some(input.string(7)?)
                .filter(|name| !name.is_empty())
                .ok_or(Malformed)?,
            index => self.field(index)?.0,
        };
        Ok((name, input.string(7)?))
    }

    fn field(&self, index: usize) -> Result<Field, Malformed> {
        let index = index.checked_sub(1).ok_or(Malformed)?;
        if let Some((name, value)) = STATIC.get(index) {
            return Ok((
                Bytes::from_static(name.as_bytes()),
                Bytes::from_static(value.as_bytes()),
            ));
        }
        self.table
            .get(index - STATIC.len())
            .cloned()
            .ok_or(Malformed)
    }

    fn insert(&mut self, field: Field) {
        self.bytes += size(&field);
        self.table.push_front(field);
        self.evict();
    }

    fn resize(&mut self, most: usize) -> Result<(), Malformed> {
        if most > TABLE_BYTES {
            return Err(Malformed);
        }
        self.most = most;
        self.evict();
        Ok(())
    }

    fn evict(&mut self) {
        while self.bytes > self.most {
            let Some(oldest) = self.table.pop_back() else {
                return;
            };
            self.bytes -= size(&oldest);
        }
    }
}

/// How many bytes a field counts.
pub(super) fn size((name, value): &Field) -> usize {
    name.len() + value.len() + FIELD_BYTES
}

/// What is left of a block.
pub(super) struct Input<'a>(pub(super) &'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> Result<u8, Malformed> {
        let (first, rest) = self.0.split_first().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*first)
    }

    /// An integer whose first byte has this many bits for it (section 5.1).
    pub(super) fn integer(&mut self, prefix: u8) -> Result<usize, Malformed> {
        let most = (1_usize << prefix) - 1;
        let mut value = usize::from(self.byte()?) & most;
        if value < most {
            return Ok(value);
        }
        // Longer than any string that is accepted.
        for shift in [0, 7, 14, 21] {
            let byte = self.byte()?;
            value += usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed)
    }

    /// Reads a string whose first byte has this many bits for its length (section 5.2).
    pub(super) fn string(&mut self, prefix: u8) -> Result<Bytes, Malformed> {
        let flag = 1 << prefix;
        let is_encoded = self.0.first().is_some_and(|byte| byte & flag != 0);
        let length = self.integer(prefix)?;
        let (string, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        if is_encoded {
            return huffman::decode(string).map(Bytes::from).ok_or(Malformed);
        }
        Ok(Bytes::copy_from_slice(string))
    }
}

/// Appends a field that no table keeps, without compression (section 6.2.2).
pub(super) fn write((name, value): &Field, into: &mut Vec<u8>) {
    into.push(0);
    for string in [name, value] {
        write_string(string, 0, 7, into);
    }
}

/// Appends a string without compression. Its first byte has `bits` for the length, beside these `flags`.
pub(super) fn write_string(string: &[u8], flags: u8, bits: u8, into: &mut Vec<u8>) {
    write_length(string.len(), flags, bits, into);
    into.extend_from_slice(string);
}

fn write_length(length: usize, flags: u8, bits: u8, into: &mut Vec<u8>) {
    let most = (1_usize << bits) - 1;
    let mut rest = match length.checked_sub(most) {
        None => return into.push(flags | low(length)),
        Some(rest) => rest,
    };
    into.push(flags | low(most));
    while rest >= 0x80 {
        into.push(low(rest) | 0x80);
        rest >>= 7;
    }
    into.push(low(rest));
}

fn low(number: usize) -> u8 {
    u8::try_from(number & 0x7f).unwrap_or_default()
}

/// The fields that every connection knows (appendix A).
#[rustfmt::skip]
const STATIC: [(&str, &str); 61] = [
    (":authority", ""), (":method", "GET"), (":method", "POST"), (":path", "/"), (":path", "/index.html"),
    (":scheme", "http"), (":scheme", "https"), (":status", "200"), (":status", "204"), (":status", "206"),
    (":status", "304"), (":status", "400"), (":status", "404"), (":status", "500"), ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"), ("accept-language", ""), ("accept-ranges", ""), ("accept", ""),
    ("access-control-allow-origin", ""), ("age", ""), ("allow", ""), ("authorization", ""), ("cache-control", ""),
    ("content-disposition", ""), ("content-encoding", ""), ("content-language", ""), ("content-length", ""),
    ("content-location", ""), ("content-range", ""), ("content-type", ""), ("cookie", ""), ("date", ""), ("etag", ""),
    ("expect", ""), ("expires", ""), ("from", ""), ("host", ""), ("if-match", ""), ("if-modified-since", ""),
    ("if-none-match", ""), ("if-range", ""), ("if-unmodified-since", ""), ("last-modified", ""), ("link", ""),
    ("location", ""), ("max-forwards", ""), ("proxy-authenticate", ""), ("proxy-authorization", ""), ("range", ""),
    ("referer", ""), ("refresh", ""), ("retry-after", ""), ("server", ""), ("set-cookie", ""),
    ("strict-transport-security", ""), ("transfer-encoding", ""), ("user-agent", ""), ("vary", ""), ("via", ""),
    ("www-authenticate", ""),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(fields: Vec<Field>) -> Vec<String> {
        let text = |(name, value): Field| {
            let (name, value) = (
                String::from_utf8_lossy(&name),
                String::from_utf8_lossy(&value),
            );
            format!("{name}: {value}")
        };
        fields.into_iter().map(text).collect()
    }

    /// Three requests of one connection (RFC 7541, appendix C.4).
    #[test]
    fn the_examples_of_the_standard() {
        let blocks: [(&[u8], &[&str]); 3] = [
            (
                b"\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff",
                &[":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"],
            ),
            (
                b"\x82\x86\x84\xbe\x58\x86\xa8\xeb\x10\x64\x9c\xbf",
                &[":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com", "cache-control: no-cache"],
            ),
            (
                b"\x82\x87\x85\xbf\x40\x88\x25\xa8\x49\xe9\x5b\xa9\x7d\x7f\x89\x25\xa8\x49\xe9\x5b\xb8\xe8\xb4\xbf",
                &[":method: GET", ":scheme: https", ":path: /index.html", ":authority: www.example.com", "custom-key: custom-value"],
            ),
        ];
        let mut decoder = Decoder::new();
        for (block, expected) in blocks {
            let read = decoder.read(block, 100, 1 << 20).expect("a block");
            assert_eq!(texts(read.fields), expected);
            assert!(!read.are_too_many);
        }
        assert_eq!(decoder.bytes, 164);
    }

    /// What is written can be read, whatever its length, and does not change the table.
    #[test]
    fn what_is_written_is_read() {
        for length in [0, 1, 126, 127, 128, 254, 255, 256, 16_510, 16_511, 70_000] {
            let field = (Bytes::from_static(b"x"), Bytes::from(vec![0xff; length]));
            let mut block = Vec::new();
            write(&field, &mut block);
            let mut decoder = Decoder::new();
            let read = decoder.read(&block, 1, 1 << 20).expect("a block");
            assert_eq!(read.fields, vec![field]);
            for (most, most_bytes) in [(0, 1 << 20), (1, length + 32)] {
                let read = decoder.read(&block, most, most_bytes).expect("a block");
                assert!(read.are_too_many && read.fields.is_empty(), "{length}");
            }
            assert!(decoder.table.is_empty());
        }
    }

    /// The oldest fields leave a full table; a field that is larger than the table empties it (section 4.4).
    #[test]
    fn the_table_is_bounded() {
        let mut decoder = Decoder::new();
        for number in 0..1000 {
            let block = format!("\x40\x01a\x04{number:04}");
            decoder.read(block.as_bytes(), 1, 1 << 20).expect("a block");
            assert!(decoder.bytes <= TABLE_BYTES);
        }
        assert_eq!(decoder.table.len(), TABLE_BYTES / 37);
        let mut large = b"\x40\x01a".to_vec();
        write_length(5000, 0, 7, &mut large);
        large.extend([b'x'; 5000]);
        assert!(decoder.read(&large, 1, 1 << 20).is_ok());
        assert_eq!((decoder.table.len(), decoder.bytes), (0, 0));
        let none = decoder.read(b"\x20", 1, 1).expect("a table of no bytes");
        assert_eq!(none.fields, vec![]);
    }

    #[test]
    fn malformed_blocks_are_refused() {
        let wrong: [&[u8]; 8] = [
            b"\x80",
            b"\xbe",
            b"\x00\x01a",
            b"\x00\0\x01a",
            b"\x40\x80\x01a",
            b"\x00\x05a",
            b"\x3f\xff\xff\xff\xff\xff\x7f",
            b"\x3f\xe2\x1f",
        ];
        for block in wrong {
            assert_eq!(
                Decoder::new().read(block, 100, 1 << 20),
                Err(Malformed),
                "{block:?}"
            );
        }
    }
}
