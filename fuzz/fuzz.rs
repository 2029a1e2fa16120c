//! One binary for all targets; `TALARIA_FUZZ_TARGET` names the one to fuzz.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use talaria_fuzzing::{TARGETS, Target};

static CHOSEN: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("TALARIA_FUZZ_TARGET").unwrap_or_default();
    let names = TARGETS.map(|(name, _)| name).join(", ");
    match TARGETS.iter().find(|(known, _)| *known == name) {
        Some((_, target)) => *target,
        None => panic!("set TALARIA_FUZZ_TARGET to one of {names}"),
    }
});

fuzz_target!(|bytes: &[u8]| CHOSEN(bytes));
