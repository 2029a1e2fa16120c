//! Distinguishes a broken promise from a panic of the log or of the model, which is a fault but does not
//! show what it costs.

use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::{Mutex, Once, PoisonError};

/// A promise that does not hold, and why.
#[derive(Debug)]
pub struct Violation(pub String);

/// Returns a [`Violation`] unless a promise holds.
macro_rules! promise {
    ($holds:expr, $($why:tt)+) => {
        if !$holds {
            return Err($crate::power::verdict::Violation(format!($($why)+)));
        }
    };
}
pub(super) use promise;

/// The outcome of a life.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    Kept,
    Violated(String),
    /// A panic, so that the observations say nothing about a promise.
    Panicked(String),
}

/// The panics on threads of logs, in this process.
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Records panics on the threads of logs, which publishers and readers cannot tell from a failing disk.
/// Panics that a test causes there are not counted.
fn note(panic: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or_default();
    let of_test = |place: &std::panic::Location<'_>| place.file().contains("tests/transports");
    if name.starts_with("talaria-") && !panic.location().is_some_and(of_test) {
        let text = panic.payload_as_str().unwrap_or_default();
        let place = panic.location().map(ToString::to_string);
        let place = place.unwrap_or_default();
        let mut panics = PANICS.lock().unwrap_or_else(PoisonError::into_inner);
        panics.push(format!("{name} at {place}: {text}"));
    }
}

fn noted() -> Vec<String> {
    PANICS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone()
}

/// Lives a life, and judges it.
pub fn judge(life: impl FnOnce() -> Result<(), Violation>) -> Verdict {
    static WATCH: Once = Once::new();
    WATCH.call_once(|| {
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            note(panic);
            others(panic);
        }));
    });
    let before = noted().len();
    let lived = catch_unwind(AssertUnwindSafe(life));
    let panics = noted().split_off(before);
    match lived {
        _ if !panics.is_empty() => Verdict::Panicked(panics.join("\n")),
        Ok(Ok(())) => Verdict::Kept,
        Ok(Err(Violation(why))) => Verdict::Violated(why),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            Verdict::Panicked(text.unwrap_or("on the thread of the test").to_owned())
        }
    }
}

#[test]
fn a_panic_is_not_a_violation() {
    assert_eq!(judge(|| Ok(())), Verdict::Kept);
    let violated = judge(|| {
        promise!(1 > 2, "{} is not more than {}", 1, 2);
        Ok(())
    });
    assert_eq!(
        violated,
        Verdict::Violated("1 is not more than 2".to_owned())
    );
    assert_eq!(
        judge(|| panic!("on this thread")),
        Verdict::Panicked("on this thread".to_owned())
    );
}
