//! How an interest judges a frame. A judgement can pause after any matcher and go on later.
//!
//! The matchers of a client decide what a judgement costs, so its steps are counted, and every caller
//! has an allowance of steps.

use std::sync::Arc;

use talaria_protocol::{Matcher, MatcherSet, Topic};
use talaria_transport::sync::Mutex;
use talaria_transport::{Admit, Frame, Position, Verdict};

use super::interest::Interest;

/// What looking at a frame costs besides its matchers.
const FRAME_STEPS: u64 = 16;
/// What looking a topic up among exact matchers costs.
const EXACT_STEPS: u64 = 24;
/// How many bytes of a topic all comparisons of such a look-up handle in the time of a step.
const EXACT_BYTES_A_STEP: u64 = 16;
/// What parsing the shortest topic as a URL costs.
const URL_STEPS: u64 = 500;
/// What each byte of a topic adds to that.
const URL_STEPS_A_BYTE: u64 = 20;
/// What each byte adds if the topic may have an internationalized host, whose decoding is quadratic.
const HOST_STEPS_A_BYTE: u64 = 120;
/// What a matcher costs besides its steps: a pattern that rejects a topic at once takes one or two.
const MATCHER_STEPS: u64 = 10;

/// What parsing a topic as a URL costs. A topic counts as one with an internationalized host if it has
/// what every such host has, at any place: to find the host would be to parse the topic.
fn parsing(topic: &str) -> u64 {
    let is_plain = topic.is_ascii() && !topic.contains('%') && !topic.contains("--");
    let a_byte = if is_plain {
        URL_STEPS_A_BYTE
    } else {
        HOST_STEPS_A_BYTE
    };
    URL_STEPS + a_byte * topic.len() as u64
}

/// How many steps may still be taken. A step takes about four nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowance(u64);

impl Allowance {
    pub(crate) fn new(steps: u64) -> Self {
        Self(steps)
    }

    pub(crate) fn is_spent(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn spend(&mut self, steps: u64) {
        self.0 = self.0.saturating_sub(steps);
    }

    /// Whether a matcher selects a topic, which is charged.
    fn matches(&mut self, matcher: &Matcher, topic: &Topic<'_>) -> bool {
        let mut spent = MATCHER_STEPS;
        let matches = matcher.matches_in(topic, &mut spent);
        self.spend(spent);
        matches
    }
}

/// How far the judgement of a frame has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The frame's position.
    position: Position,
    /// Whether a topic that is asked for was found. The judgement then looks for one that is granted.
    asked: bool,
    topic: usize,
    /// The next step for the topic: zero is the look-up among exact matchers, then the patterns follow.
    next: usize,
}

impl Interest {
    /// Whether the frame is for this interest; [`Verdict::Later`] once the allowance is spent. At
    /// least one matcher is judged if it is not spent to begin with.
    ///
    /// Specification, "Subscribers": some topic must match a matcher and, for a private update,
    /// some topic, perhaps another, a grant.
    pub(crate) fn judge(
        &self,
        frame: &Frame,
        progress: &mut Progress,
        allowance: &mut Allowance,
    ) -> Verdict {
        if allowance.is_spent() {
            return Verdict::Later;
        }
        if progress.position != frame.position {
            *progress = Progress {
                position: frame.position,
                ..Progress::default()
            };
        }
        allowance.spend(FRAME_STEPS);
        let verdict = loop {
            let set = if progress.asked {
                &self.selection.grants
            } else {
                &self.selection.matchers
            };
            match self.any_matches(set, frame, progress, allowance) {
                Verdict::Admitted if frame.private && !progress.asked => {
                    progress.asked = true;
                    progress.topic = 0;
                    progress.next = 0;
                }
                verdict => break verdict,
            }
        };
        if verdict != Verdict::Later {
            // A frame that did not fit into a chunk is judged again.
            *progress = Progress::default();
        }
        verdict
    }

    /// Whether any matcher selects any topic, from where the judgement paused.
    fn any_matches(
        &self,
        set: &MatcherSet,
        frame: &Frame,
        progress: &mut Progress,
        allowance: &mut Allowance,
    ) -> Verdict {
        let all = set.iter().as_slice();
        if all.first() == Some(&Matcher::Any) {
            return Verdict::Admitted;
        }
        if all.is_empty() {
            return Verdict::Refused;
        }
        let is_exact = |matcher: &Matcher| matches!(matcher, Matcher::Exact(_));
        let (exact, patterns) = all.split_at(all.partition_point(is_exact));
        let mut first = true;
        while let Some(text) = frame.topics.get(progress.topic) {
            if progress.next == 0 {
                if !first && allowance.is_spent() {
                    return Verdict::Later;
                }
                if !exact.is_empty() {
                    allowance.spend(EXACT_STEPS + text.len() as u64 / EXACT_BYTES_A_STEP);
                    let found = exact.binary_search_by(|matcher| match matcher {
                        Matcher::Exact(exact) => (**exact).cmp(text),
                        // The slice holds exact matchers only.
                        _ => std::cmp::Ordering::Less,
                    });
                    if found.is_ok() {
                        return Verdict::Admitted;
                    }
                    first = false;
                }
                progress.next = 1;
            }
            let topic = Topic::new(text, &self.base);
            let mut is_parsed = false;
            while let Some(pattern) = patterns.get(progress.next - 1) {
                if !first && allowance.is_spent() {
                    return Verdict::Later;
                }
                first = false;
                if !is_parsed && matches!(pattern, Matcher::UrlPattern(_)) {
                    is_parsed = true;
                    // A judgement that goes on within a topic parses it again, and then advances
                    // by at least one matcher.
                    allowance.spend(parsing(text));
                }
                if allowance.matches(pattern, &topic) {
                    return Verdict::Admitted;
                }
                progress.next += 1;
            }
            progress.topic += 1;
            progress.next = 0;
        }
        Verdict::Refused
    }

    /// The whole judgement, without a bound of steps.
    #[cfg(test)]
    pub(crate) fn admits(&self, frame: &Frame) -> bool {
        let verdict = self.judge(
            frame,
            &mut Progress::default(),
            &mut Allowance::new(u64::MAX),
        );
        verdict == Verdict::Admitted
    }
}

/// Judges the frames of one page for a reader.
pub(crate) struct PageFilter {
    interest: Arc<Interest>,
    client: u64,
    state: Mutex<(Progress, Allowance)>,
}

impl PageFilter {
    /// A filter for one page, which goes on where the reader's judgement is.
    pub(crate) fn new(
        interest: Arc<Interest>,
        client: u64,
        progress: Progress,
        allowance: Allowance,
    ) -> Self {
        Self {
            interest,
            client,
            state: Mutex::new((progress, allowance)),
        }
    }

    /// How far the judgement has come.
    pub(crate) fn progress(&self) -> Progress {
        self.state.lock().0
    }
}

impl Admit for PageFilter {
    fn judge(&self, frame: &Frame) -> Verdict {
        let mut state = self.state.lock();
        let (progress, allowance) = &mut *state;
        self.interest.judge(frame, progress, allowance)
    }

    fn client(&self) -> u64 {
        self.client
    }

    fn exact_topics(&self) -> Option<Vec<&str>> {
        let matchers = self.interest.selection.matchers.iter();
        let topics = matchers.map(|matcher| match matcher {
            Matcher::Exact(topic) => Some(&**topic),
            Matcher::Any | Matcher::UrlPattern(_) | Matcher::Template(_) => None,
        });
        topics.collect()
    }
}
