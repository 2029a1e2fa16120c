//! Content negotiation of a subscription: whether a client accepts an event stream (B-1013).

use http::HeaderMap;
use http::header::ACCEPT;

/// What a request's `Accept` says about `text/event-stream`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventStream {
    /// It names the type, as an `EventSource` does.
    Asked,
    /// A range covers the type, or the client expresses no preference that can be read.
    Accepted,
    /// It excludes the type.
    Refused,
}

/// Judges all `Accept` fields together. The most specific range decides.
pub(crate) fn event_stream(headers: &HeaderMap) -> EventStream {
    let mut best: Option<(u8, f32)> = None;
    let mut seen = false;
    for field in headers.get_all(ACCEPT) {
        let Ok(field) = field.to_str() else {
            return EventStream::Accepted;
        };
        for range in field
            .split(',')
            .map(str::trim)
            .filter(|range| !range.is_empty())
        {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default().to_ascii_lowercase();
            if !media.contains('/') {
                return EventStream::Accepted;
            }
            seen = true;
            let quality = parts
                .find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")))
                .map_or(Some(1.0), |quality| quality.trim().parse::<f32>().ok());
            let Some(quality) = quality else {
                return EventStream::Accepted;
            };
            let specificity = match media.as_str() {
                "text/event-stream" => 3,
                "text/*" => 2,
                "*/*" => 1,
                _ => continue,
            };
            let better = best.is_none_or(|(known, known_quality)| {
                specificity > known || (specificity == known && quality > known_quality)
            });
            if better {
                best = Some((specificity, quality));
            }
        }
    }
    match best {
        None if seen => EventStream::Refused,
        None => EventStream::Accepted,
        Some((_, quality)) if quality <= 0.0 => EventStream::Refused,
        Some((3, _)) => EventStream::Asked,
        Some(_) => EventStream::Accepted,
    }
}

#[cfg(not(talaria_loom))]
#[cfg(test)]
mod tests {
    use super::*;

    fn judge(accept: &str) -> EventStream {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, accept.parse().expect("a header value"));
        event_stream(&headers)
    }

    #[test]
    fn the_most_specific_range_decides() {
        assert_eq!(event_stream(&HeaderMap::new()), EventStream::Accepted);
        assert_eq!(judge("text/event-stream"), EventStream::Asked);
        assert_eq!(judge("*/*"), EventStream::Accepted);
        assert_eq!(judge("application/json"), EventStream::Refused);
        assert_eq!(judge("text/html, */*;q=0.1"), EventStream::Accepted);
        assert_eq!(judge("*/*, text/event-stream;q=0"), EventStream::Refused);
        assert_eq!(judge("text/*;q=0, */*"), EventStream::Refused);
        assert_eq!(judge("nonsense"), EventStream::Accepted);
        assert_eq!(judge("TEXT/Event-Stream ; q=0.3"), EventStream::Asked);
    }
}
