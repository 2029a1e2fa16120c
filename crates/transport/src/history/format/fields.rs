//! Numbers, texts and checksums, the same in all files of a history.

/// Bytes of a checksum.
pub(super) const CRC: usize = 4;

/// Bytes from which fields are taken, from the front.
#[derive(Debug, Clone)]
pub(in crate::history) struct Fields<'a>(pub(in crate::history) &'a [u8]);

impl<'a> Fields<'a> {
    pub(in crate::history) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, left) = self.0.split_at_checked(length)?;
        self.0 = left;
        Some(taken)
    }

    pub(super) fn text(&mut self, length: usize) -> Option<&'a str> {
        std::str::from_utf8(self.take(length)?).ok()
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes(self.take(2)?.try_into().ok()?))
    }

    pub(in crate::history) fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    pub(in crate::history) fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }
}

pub(super) fn put_u16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_le_bytes());
}

pub(in crate::history) fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

pub(in crate::history) fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// The length as it is stored. The limits of a request and of a group keep it within the type.
pub(super) fn length_of(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

/// Appends the checksum of the bytes from `start` on.
pub(in crate::history) fn seal(out: &mut Vec<u8>, start: usize) {
    let checksum = crc32c::crc32c(&out[start..]);
    put_u32(out, checksum);
}

/// Whether the last four bytes are the checksum of those before them.
pub(in crate::history) fn is_sealed(bytes: &[u8]) -> bool {
    bytes
        .split_last_chunk::<CRC>()
        .is_some_and(|(content, checksum)| crc32c::crc32c(content).to_le_bytes() == *checksum)
}
