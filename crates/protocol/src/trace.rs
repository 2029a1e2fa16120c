//! The trace that an update belongs to, as [W3C Trace Context](https://www.w3.org/TR/trace-context/) writes it.

use std::fmt::{self, Write as _};

/// The length of a `traceparent` of version 0.
const LENGTH: usize = 55;
/// The most bytes that are kept of a `tracestate`, which that specification asks for at least.
const STATE_BYTES: usize = 512;
/// The most members of a `tracestate`.
const STATE_MEMBERS: usize = 32;
/// Longer members are left out first where the whole is too long.
const LONG_MEMBER: usize = 128;
/// The flags that have a meaning: sampled, and that the trace id is random.
const KNOWN_FLAGS: u8 = 0b11;
const SAMPLED: u8 = 1;

/// A place in a trace: the operation that an update, or a request, is part of.
///
/// ```
/// use talaria_protocol::TraceContext;
///
/// let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let context = TraceContext::parse(parent, "vendor=1").expect("it is valid");
/// assert!(context.is_sampled());
/// assert_eq!(context.traceparent(), parent);
/// assert!(TraceContext::parse("00-0-0-01", "").is_none());
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct TraceContext {
    /// The id of the trace; not all zero.
    pub trace_id: [u8; 16],
    /// The id of the operation within the trace; not all zero.
    pub span_id: [u8; 8],
    /// The trace flags.
    pub flags: u8,
    /// The `tracestate`, of at most 512 bytes; empty if there is none.
    pub state: Box<str>,
}

impl TraceContext {
    /// Reads the values of the header fields `traceparent` and `tracestate`; several `tracestate` fields are one,
    /// joined by commas. `None` if there is no valid `traceparent`. A malformed `tracestate` is left out, as that
    /// specification asks.
    pub fn parse(traceparent: &str, tracestate: &str) -> Option<Self> {
        let text = traceparent.trim_matches([' ', '\t']);
        let (whole, rest) = text.split_at_checked(LENGTH)?;
        let mut parts = whole.split('-');
        let version = hex::<1>(parts.next()?)?;
        let trace_id = hex::<16>(parts.next()?)?;
        let span_id = hex::<8>(parts.next()?)?;
        let [flags] = hex::<1>(parts.next()?)?;
        // Later versions may say more, behind another dash.
        let goes_on = match version {
            [0] => rest.is_empty(),
            [0xff] => false,
            _ => rest.is_empty() || rest.starts_with('-'),
        };
        let is_valid =
            goes_on && parts.next().is_none() && trace_id != [0; 16] && span_id != [0; 8];
        is_valid.then(|| Self {
            trace_id,
            span_id,
            flags: flags & KNOWN_FLAGS,
            state: state(tracestate).into(),
        })
    }

    /// Whether the caller records the trace.
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The value of `traceparent`.
    pub fn traceparent(&self) -> String {
        let mut text = String::with_capacity(LENGTH);
        text.push_str("00-");
        push_hex(&mut text, &self.trace_id);
        text.push('-');
        push_hex(&mut text, &self.span_id);
        text.push('-');
        push_hex(&mut text, &[self.flags]);
        text
    }

    /// The form in which a log stores it: the `traceparent`, then, if there is a `tracestate`, a line feed and that.
    pub fn stored(&self) -> String {
        let mut text = self.traceparent();
        if !self.state.is_empty() {
            text.push('\n');
            text.push_str(&self.state);
        }
        text
    }

    /// Reads what [`Self::stored`] wrote; `None` if it is something else.
    pub fn from_stored(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let (parent, state) = text.split_once('\n').unwrap_or((text, ""));
        Self::parse(parent, state)
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TraceContext")
            .field(&self.traceparent())
            .finish()
    }
}

/// The bytes that lower-case hexadecimal digits stand for.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return None;
    };
    let mut bytes = [0; N];
    if pairs.len() != N {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // Writing to a string cannot fail.
        _ = write!(text, "{byte:02x}");
    }
}

/// A `tracestate` without empty members, and shortened if it is too long; empty if it is malformed.
fn state(text: &str) -> String {
    let members = text
        .split(',')
        .map(|member| member.trim_matches([' ', '\t']));
    let mut members: Vec<&str> = members.filter(|member| !member.is_empty()).collect();
    if members.len() > STATE_MEMBERS || !members.iter().all(|member| is_member(member)) {
        return String::new();
    }
    let length = |members: &[&str]| members.iter().map(|member| member.len() + 1).sum::<usize>();
    if length(&members) > STATE_BYTES + 1 {
        members.retain(|member| member.len() <= LONG_MEMBER);
    }
    // The newest member comes first, so the oldest are left out.
    while length(&members) > STATE_BYTES + 1 {
        members.pop();
    }
    members.join(",")
}

/// Whether it is a key, an equals sign and a value of printable ASCII.
fn is_member(member: &str) -> bool {
    let Some((key, value)) = member.split_once('=') else {
        return false;
    };
    let is_of_key =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/@".contains(&byte);
    let is_of_value = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b',' && byte != b'=';
    (1..=256).contains(&key.len())
        && key.bytes().all(is_of_key)
        && (1..=256).contains(&value.len())
        && value.bytes().all(is_of_value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    /// W3C Trace Context, "traceparent Header Field Values": lower case, no zero ids, and a version that may say more.
    #[test]
    fn only_a_valid_parent_is_taken() {
        let context = TraceContext::parse(PARENT, "").unwrap();
        assert_eq!(context.traceparent(), PARENT);
        let later = PARENT.replacen("00", "cc", 1) + "-more";
        let taken = TraceContext::parse(&later, "").unwrap();
        assert_eq!(taken.traceparent(), PARENT);
        let unsampled = PARENT.replace("-01", "-fc");
        assert!(!TraceContext::parse(&unsampled, "").unwrap().is_sampled());
        for wrong in [
            "".to_owned(),
            PARENT.to_uppercase(),
            format!("{PARENT}-more"),
            format!("{PARENT}x"),
            PARENT.replacen("00", "ff", 1),
            PARENT.replacen("00", "cc", 1) + "x",
            PARENT.replace("00f067aa0ba902b7", "0000000000000000"),
            PARENT.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            PARENT.replace("4bf9", "4-f9"),
            PARENT.replace("4bf9", "é9"),
        ] {
            assert_eq!(TraceContext::parse(&wrong, ""), None, "{wrong}");
        }
    }

    /// W3C Trace Context, "tracestate Limits": whole members are left out, the long ones first; a malformed list is
    /// left out as a whole.
    #[test]
    fn a_state_is_bounded() {
        let state = |text: &str| TraceContext::parse(PARENT, text).unwrap().state;
        assert_eq!(&*state(" a=1 , b@c=2,,"), "a=1,b@c=2");
        for wrong in ["a", "A=1", "a=", "=1", "a=1,b", "a=\n", "a=b=c", "a=é"] {
            assert_eq!(&*state(wrong), "", "{wrong}");
        }
        assert_eq!(&*state(&"a=1,".repeat(33)), "");
        let long = format!("long={}", "x".repeat(200));
        let short: Vec<String> = (0..30)
            .map(|n| format!("k{n:02}={}", "x".repeat(11)))
            .collect();
        let kept = state(&format!("{long},{}", short.join(",")));
        assert_eq!(&*kept, short.join(","), "the long one alone is left out");
        let many: Vec<String> = (0..32)
            .map(|n| format!("k{n:02}={}", "x".repeat(60)))
            .collect();
        let kept = state(&many.join(","));
        assert_eq!(&*kept, many[..7].join(","));
        assert!(kept.len() <= STATE_BYTES);
    }

    /// What is stored is read again, and other bytes are not a context.
    #[test]
    fn a_log_keeps_it() {
        for state in ["", "vendor=1"] {
            let context = TraceContext::parse(PARENT, state).unwrap();
            let stored = context.stored();
            assert_eq!(TraceContext::from_stored(stored.as_bytes()), Some(context));
        }
        for wrong in [&b""[..], b"\xff", b"00-1-2-3"] {
            assert_eq!(TraceContext::from_stored(wrong), None);
        }
    }
}
