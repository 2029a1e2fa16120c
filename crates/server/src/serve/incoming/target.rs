//! Which bytes a request target may hold.
//!
//! The existing hub accepts every byte above 0x20 but DEL. `http::Uri` refuses `<`, `>` and `` ` `` in a
//! path, `"`, `<` and `>` in a query, and bytes that are not UTF-8 in both; it cuts at `#`. What is
//! percent-encoded here means the same to everything that reads it.

use super::fault::Fault;

/// The most bytes of a request's target once it is percent-encoded: the bound of `http::Uri`.
pub(super) const TARGET_BYTES: usize = u16::MAX as usize - 1;

/// What reading a target found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Read {
    /// Its length in bytes.
    pub length: usize,
    /// Its length once percent-encoded, if that changes it.
    pub encoded: Option<usize>,
}

/// Reads a target up to the first byte that cannot be in one.
///
/// # Errors
///
/// The target holds a raw `#` or DEL.
pub(super) fn read(bytes: &[u8]) -> Result<Read, Fault> {
    let mut length = bytes.len();
    let mut encoded = 0;
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'#' => return Err(Fault::Fragment),
            0x7f => return Err(Fault::Target),
            0..=0x20 => {
                length = at;
                break;
            }
            byte => encoded += usize::from(must_be_encoded(*byte)),
        }
    }
    Ok(Read {
        length,
        encoded: (encoded > 0).then_some(length + 2 * encoded),
    })
}

fn must_be_encoded(byte: u8) -> bool {
    matches!(byte, b'"' | b'<' | b'>' | b'`' | 0x80..)
}

/// Appends a target, percent-encoded where it must be.
pub(super) fn encode(target: &[u8], into: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in target {
        if must_be_encoded(*byte) {
            let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
            into.extend_from_slice(&[b'%', DIGITS[high], DIGITS[low]]);
        } else {
            into.push(*byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `http` accepts every encoded target, and what it accepts unchanged is not encoded.
    #[test]
    fn http_takes_what_comes_out() {
        for byte in 0x21..=0xff_u8 {
            for prefix in ["/a", "/a?b=", "/", "/?"] {
                let target = [prefix.as_bytes(), &[byte], b"c"].concat();
                let read = match read(&target) {
                    Ok(read) => read,
                    Err(fault) => {
                        let expected = [Fault::Fragment, Fault::Target];
                        assert!(expected.contains(&fault) && b"#\x7f".contains(&byte));
                        continue;
                    }
                };
                let mut encoded = Vec::new();
                encode(&target, &mut encoded);
                assert_eq!(read.length, target.len());
                assert_eq!(read.encoded.unwrap_or(target.len()), encoded.len());
                let uri = http::Uri::try_from(encoded.as_slice()).expect("a URI");
                assert_eq!(uri.to_string().as_bytes(), encoded, "{byte:#x}");
            }
        }
        assert_eq!(read(b"/a HTTP/1.1").map(|read| read.length), Ok(2));
    }
}
