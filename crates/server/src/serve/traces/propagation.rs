//! How a request carries its context: W3C Trace Context, and B3.

use http::{HeaderMap, HeaderName, HeaderValue};
use talaria_config::settings::Propagator;
use talaria_protocol::TraceContext;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const B3: HeaderName = HeaderName::from_static("b3");
const B3_TRACE: HeaderName = HeaderName::from_static("x-b3-traceid");
const B3_SPAN: HeaderName = HeaderName::from_static("x-b3-spanid");
const B3_PARENT: HeaderName = HeaderName::from_static("x-b3-parentspanid");
const B3_SAMPLED: HeaderName = HeaderName::from_static("x-b3-sampled");
const B3_FLAGS: HeaderName = HeaderName::from_static("x-b3-flags");

/// The operation of the caller.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Caller {
    /// Its place in the trace.
    pub context: TraceContext,
    /// Whether it records the trace, if it has decided.
    pub decision: Option<bool>,
}

/// Finds the caller in the head of a request, by the first of these that says one.
pub(super) fn extract(headers: &HeaderMap, propagators: &[Propagator]) -> Option<Caller> {
    propagators.iter().find_map(|propagator| match propagator {
        Propagator::TraceContext => w3c(headers),
        Propagator::B3 => single(headers).or_else(|| multiple(headers)),
        Propagator::B3Multi => multiple(headers).or_else(|| single(headers)),
        Propagator::Baggage => None,
    })
}

/// Writes a context into the head of a request that is passed on.
pub(super) fn inject(headers: &mut HeaderMap, context: &TraceContext, propagators: &[Propagator]) {
    let parent = context.traceparent();
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    };
    let (trace, span) = ids(&parent);
    let sampled = if context.is_sampled() { "1" } else { "0" };
    for propagator in propagators {
        match propagator {
            Propagator::TraceContext => {
                set(TRACEPARENT, &parent);
                if !context.state.is_empty() {
                    set(TRACESTATE, &context.state);
                }
            }
            Propagator::B3 => set(B3, &format!("{trace}-{span}-{sampled}")),
            Propagator::B3Multi => {
                set(B3_TRACE, trace);
                set(B3_SPAN, span);
                set(B3_SAMPLED, sampled);
            }
            Propagator::Baggage => {}
        }
    }
    if propagators.contains(&Propagator::TraceContext) && context.state.is_empty() {
        headers.remove(TRACESTATE);
    }
    if propagators.contains(&Propagator::B3Multi) {
        // Those of the caller's caller.
        headers.remove(B3_PARENT);
        headers.remove(B3_FLAGS);
    }
}

/// The ids of the trace and of the operation, in hexadecimal digits.
pub(super) fn ids(traceparent: &str) -> (&str, &str) {
    let mut parts = traceparent.split('-').skip(1);
    let trace = parts.next().unwrap_or_default();
    (trace, parts.next().unwrap_or_default())
}

fn w3c(headers: &HeaderMap) -> Option<Caller> {
    // Of several, none is the right one.
    let mut parents = headers.get_all(TRACEPARENT).iter();
    let parent = parents.next()?.to_str().ok()?;
    if parents.next().is_some() {
        return None;
    }
    let states = headers.get_all(TRACESTATE).iter();
    let states: Option<Vec<&str>> = states.map(|state| state.to_str().ok()).collect();
    let states = states.unwrap_or_default().join(",");
    let context = TraceContext::parse(parent, &states)?;
    let decision = Some(context.is_sampled());
    Some(Caller { context, decision })
}

/// `b3: <trace>-<span>[-<decision>[-<parent>]]`.
fn single(headers: &HeaderMap) -> Option<Caller> {
    let text = headers.get(B3)?.to_str().ok()?;
    let mut parts = text.split('-');
    let (trace, span) = (parts.next()?, parts.next()?);
    caller(trace, span, parts.next())
}

fn multiple(headers: &HeaderMap) -> Option<Caller> {
    let text = |name| headers.get(name)?.to_str().ok();
    let is_debug = text(B3_FLAGS) == Some("1");
    let decision = if is_debug {
        Some("d")
    } else {
        text(B3_SAMPLED)
    };
    caller(text(B3_TRACE)?, text(B3_SPAN)?, decision)
}

fn caller(trace: &str, span: &str, decision: Option<&str>) -> Option<Caller> {
    if ![16, 32].contains(&trace.len()) {
        return None;
    }
    let decision = match decision {
        Some("1" | "d" | "true") => Some(true),
        Some("0" | "false") => Some(false),
        _ => None,
    };
    let flags = u8::from(decision == Some(true));
    let (trace, span) = (trace.to_ascii_lowercase(), span.to_ascii_lowercase());
    let parent = format!("00-{trace:0>32}-{span}-{flags:02x}");
    let context = TraceContext::parse(&parent, "")?;
    Some(Caller { context, decision })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    fn headers(fields: &[(&'static str, String)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    fn found(
        fields: &[(&'static str, String)],
        by: &[Propagator],
    ) -> Option<(String, Option<bool>)> {
        let caller = extract(&headers(fields), by)?;
        Some((caller.context.traceparent(), caller.decision))
    }

    /// Each notation names the caller; one that is not asked for does not count.
    #[test]
    fn callers_are_found() {
        let parent = format!("00-{TRACE}-{SPAN}-01");
        let w3c = [("traceparent", parent.clone())];
        let yes = Some((parent, Some(true)));
        assert_eq!(found(&w3c, &[Propagator::TraceContext]), yes);
        assert_eq!(found(&w3c, &[Propagator::B3, Propagator::Baggage]), None);
        assert_eq!(
            found(
                &[w3c[0].clone(), w3c[0].clone()],
                &[Propagator::TraceContext]
            ),
            None
        );
        for (text, decision, flags) in [
            (
                format!("{TRACE}-{SPAN}-1-05e3ac9a4f6e3b90"),
                Some(true),
                "01",
            ),
            (format!("{TRACE}-{SPAN}-d"), Some(true), "01"),
            (format!("{TRACE}-{SPAN}-0"), Some(false), "00"),
            (format!("{TRACE}-{SPAN}"), None, "00"),
        ] {
            let expected = Some((format!("00-{TRACE}-{SPAN}-{flags}"), decision));
            assert_eq!(found(&[("b3", text)], &[Propagator::B3Multi]), expected);
        }
        let short = [
            ("x-b3-traceid", "A3CE929D0E0E4736".to_owned()),
            ("x-b3-spanid", SPAN.to_owned()),
            ("x-b3-flags", "1".to_owned()),
        ];
        let padded = format!("00-0000000000000000a3ce929d0e0e4736-{SPAN}-01");
        assert_eq!(found(&short, &[Propagator::B3]), Some((padded, Some(true))));
        assert_eq!(found(&[("b3", "0".to_owned())], &[Propagator::B3]), None);
    }

    /// What is passed on names the span of this program, and nothing of the caller stays beside it.
    #[test]
    fn contexts_are_passed_on() {
        let context = TraceContext::parse(&format!("00-{TRACE}-{SPAN}-01"), "").unwrap();
        let mut head = headers(&[
            ("traceparent", "old".to_owned()),
            ("tracestate", "a=1".to_owned()),
            ("x-b3-flags", "1".to_owned()),
            ("baggage", "k=v".to_owned()),
        ]);
        let all = [
            Propagator::TraceContext,
            Propagator::Baggage,
            Propagator::B3,
            Propagator::B3Multi,
        ];
        inject(&mut head, &context, &all);
        let text = |name: &str| head.get(name).map(|value| value.to_str().unwrap());
        assert_eq!(text("traceparent"), Some(context.traceparent().as_str()));
        assert_eq!(text("tracestate"), None);
        assert_eq!(text("b3"), Some(format!("{TRACE}-{SPAN}-1").as_str()));
        assert_eq!(text("x-b3-spanid"), Some(SPAN));
        assert_eq!(text("x-b3-flags"), None);
        assert_eq!(text("baggage"), Some("k=v"));
    }
}
