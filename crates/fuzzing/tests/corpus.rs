//! Replays the inputs that fuzzing found worth keeping.
#![allow(clippy::expect_used, reason = "a failed step must stop the test")]

use std::fs;
use std::path::Path;

use talaria_fuzzing::TARGETS;

/// Each target holds for each of its inputs, and has some.
#[test]
fn every_target_holds_for_its_corpus() {
    for (name, target) in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("corpus")
            .join(name);
        let mut inputs = 0;
        for entry in fs::read_dir(&folder).expect("a corpus") {
            let path = entry.expect("an entry").path();
            target(&fs::read(&path).expect("an input"));
            inputs += 1;
        }
        assert!(inputs > 0, "{name} has no input");
    }
}
