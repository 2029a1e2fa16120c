//! The bytes of a segment file, as `docs/history-format.md` describes them.
//!
//! A segment is a header and then groups; a group is a header and then records. All numbers are little
//! endian. A CRC32C covers every byte.

mod fields;
mod headers;
mod record;

pub(super) use self::fields::{Fields, is_sealed, put_u32, put_u64, seal};
pub(super) use self::headers::{
    FIRST_VERSION, GROUP_HEADER, GROUP_MAGIC, GroupHeader, HeaderFault, SEGMENT_HEADER,
    SegmentHeader, VERSION,
};
#[doc(hidden)]
pub use self::record::decode_sealed;
pub(super) use self::record::{
    Content, EVENTS, Record, Stored, VOID, encode_events, encode_record, encode_void,
};
