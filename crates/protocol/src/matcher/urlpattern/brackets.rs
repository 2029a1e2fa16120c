//! Rejects brackets on which the `urlpattern` crate would panic: it counts the brackets of a host
//! without a lower bound, so that `https://a]` panics where overflows are checked.

/// Whether a host closes a bracket that it did not open. Such a pattern is invalid or can match
/// nothing, since `]` occurs in a host only at the end of an IPv6 address. Malformed custom groups
/// are invalid too, and count as unbalanced.
pub(super) fn are_unbalanced(pattern: &str) -> bool {
    let (mut groups, mut brackets) = (0_usize, 0_usize);
    let (mut in_host, mut has_credentials) = (false, false);
    // What `?` follows decides whether it is a modifier or begins the search component.
    let (mut in_name, mut takes_modifier) = (false, false);
    let mut at = 0;
    while let Some(c) = pattern.get(at..).and_then(|rest| rest.chars().next()) {
        let start = at;
        at += c.len_utf8();
        let mut rest = pattern.get(at..).unwrap_or_default();
        let (mut c, mut escaped) = (c, false);
        if c == '\\'
            && let Some(next) = rest.chars().next()
        {
            (c, escaped) = (next, true);
            at += next.len_utf8();
            rest = pattern.get(at..).unwrap_or_default();
        }
        in_name &= !escaped && (c.is_alphanumeric() || matches!(c, '_' | '$'));
        let follows = std::mem::replace(&mut takes_modifier, in_name);
        match c {
            '(' if !escaped => match custom_group(rest) {
                Some(length) => at += length,
                None => return true,
            },
            '{' if !escaped => groups += 1,
            '}' if !escaped => groups = groups.saturating_sub(1),
            _ => {}
        }
        takes_modifier |= !escaped && matches!(c, '(' | '}' | '*');
        if c == ':' && !escaped && rest.starts_with(|c: char| c.is_alphabetic() || "_$".contains(c))
        {
            (in_name, takes_modifier) = (true, true);
        } else if groups > 0 {
        } else if !in_host {
            if c == ':' {
                let slashes = ["//", "\\//", "/\\/", "\\/\\/"];
                let slashes = slashes.iter().find(|slashes| rest.starts_with(**slashes));
                match slashes {
                    Some(slashes) => at += slashes.len(),
                    None if may_be_special(pattern.get(..start).unwrap_or_default()) => {}
                    None => return false,
                }
                in_host = true;
            }
        } else {
            match c {
                '/' | '#' => return false,
                '?' if escaped || !follows => return false,
                // The text before the first one was not a host, and its brackets were not counted.
                '@' if !has_credentials => (has_credentials, brackets) = (true, 0),
                '[' => brackets += 1,
                ']' if brackets == 0 => return true,
                ']' => brackets -= 1,
                _ => {}
            }
        }
    }
    // The parser comes back to the host with the group still open, and misses what is in it.
    in_host && groups > 0
}

/// Whether a protocol pattern may match a scheme whose host needs no slashes.
fn may_be_special(protocol: &str) -> bool {
    let special = ["http", "https", "ws", "wss", "ftp", "file"];
    // Canonicalising drops spaces around it and changes its case.
    let canonical = protocol
        .replace(|c: char| c.is_whitespace() || c.is_control(), "")
        .to_ascii_lowercase();
    special.contains(&canonical.as_str()) || protocol.contains([':', '{', '(', '*', '+', '?', '\\'])
}

/// The length of a custom group from after its opening to after its closing parenthesis, `None`
/// if the standard's tokenizer refuses it.
fn custom_group(rest: &str) -> Option<usize> {
    let mut depth = 1_usize;
    let mut bytes = rest.bytes().enumerate().peekable();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'?' if at == 0 => return None,
            b'\\' => {
                bytes.next().filter(|(_, escaped)| escaped.is_ascii())?;
            }
            b'(' => {
                bytes.peek().filter(|(_, next)| *next == b'?')?;
                depth += 1;
            }
            b')' => {
                depth -= 1;
                if depth == 0 {
                    return (at > 0).then_some(at + 1);
                }
            }
            byte if !byte.is_ascii() => return None,
            _ => {}
        }
    }
    None
}
