//! The last words of a stream.

/// The end of a stream: a comment that says why it ends, and when to reconnect. Browsers reconnect by
/// themselves, after a time that is jittered so that they do not all come at once.
pub(crate) fn come_back(why: &str) -> String {
    let retry = 2_000 + rand::random_range(0..=3_000_u32);
    format!(": {why}\nretry: {retry}\n\n")
}
