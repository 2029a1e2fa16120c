//! Logs as programs read them: their form, what each has, and that nothing waits for them.

mod filters;
mod form;
mod outputs;
mod requests;
mod secrets;

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use talaria_conformance::PATIENCE;
use talaria_conformance::hub::{Home, Hub};

/// The hub of a site.
const BLOCK: &str = "mercure {\n transport memory\n anonymous\n protocol_version_compatibility 8\n publisher_jwt {env.MERCURE_PUBLISHER_JWT_KEY}\n subscriber_jwt {env.MERCURE_SUBSCRIBER_JWT_KEY}\n}";

/// Lines for programs, as outside of tests.
const JSON: (&str, &str) = ("TALARIA_LOG_FORMAT", "auto");

/// A hub with these global options and these lines of its site, which logs JSON.
fn started(home: &Home, global: &str, site: &str) -> Hub {
    write(home, global, site);
    // The level is that of the file.
    let variables = [JSON, ("RUST_LOG", "")];
    home.start("ignored", "", &variables).expect("it starts")
}

/// Writes the file of such a hub.
fn write(home: &Home, global: &str, site: &str) {
    let text = format!(
        "{{\n skip_install_trust\n admin off\n {global}\n}}\nhttp://127.0.0.1:0 {{\n {site}\n {BLOCK}\n}}\n"
    );
    home.configure(text);
}

/// The object that a line is, if it is one.
fn parsed(line: &str) -> Option<Value> {
    serde_json::from_str(line).ok().filter(Value::is_object)
}

/// The first record on standard error that fits.
fn record(hub: &Hub, fits: impl Fn(&Value) -> bool) -> Value {
    let pick = |line: &str| parsed(line).filter(|record| fits(record));
    let found = hub.log.find(0, PATIENCE, pick);
    found.unwrap_or_else(|lines| panic!("no such record:\n{lines}"))
}

/// The line of the request for this target.
fn request(hub: &Hub, target: &str) -> Value {
    record(hub, |record| is_for(record, target))
}

fn is_for(record: &Value, target: &str) -> bool {
    let uri = record["request"]["uri"].as_str();
    uri.is_some_and(|uri| uri.starts_with(target))
}

/// The lines of a file, once there are `count` of them.
fn lines(path: &Path, count: usize) -> Vec<Value> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        // The last line may be on its way.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let lines: Vec<_> = whole.lines().collect();
        if lines.len() >= count {
            let each = lines.into_iter();
            return each
                .map(|line| parsed(line).unwrap_or_else(|| panic!("{line}")))
                .collect();
        }
        assert!(Instant::now() < deadline, "{}: {text}", path.display());
        std::thread::sleep(Duration::from_millis(5));
    }
}
