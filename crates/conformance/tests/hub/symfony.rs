//! The unmodified Symfony Mercure component, as Debian packages it (B-670 to B-672).

use std::path::Path;
use std::process::Command;

use talaria_conformance::hub::{Hub, PUBLISHER_KEY, SUBSCRIBER_KEY};

/// It publishes, and the cookie that it makes for a browser opens the private update.
#[tokio::test]
async fn the_symfony_component_publishes_and_mints_its_cookie() {
    let hub = Hub::classic("transport memory");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hub/symfony/application.php");
    let output = Command::new("php")
        .args(["-d", "error_reporting=E_ALL & ~E_DEPRECATED"])
        .arg(script)
        .args([&hub.audience, PUBLISHER_KEY, SUBSCRIBER_KEY])
        .output()
        .expect("php is installed");
    let said = String::from_utf8_lossy(&output.stdout);
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{failed}");
    let mut lines = said.lines();
    let id = lines.next().unwrap_or_default();
    let (name, token) = lines
        .next()
        .and_then(|line| line.split_once('='))
        .unwrap_or_default();
    assert_eq!(name, "mercureAuthorization", "{said}");
    let browser = hub.client().cookie(name, token);
    let parameters = [
        ("topic", "https://example.com/books/{id}"),
        ("lastEventID", "earliest"),
    ];
    let mut stream = browser.subscribe_with(&parameters).await;
    let event = stream.event().await;
    assert_eq!(
        (event.id.as_str(), event.data.as_str()),
        (id, "from Symfony")
    );
    assert_eq!(
        (event.event_type.as_str(), event.retry),
        ("book", Some(5000))
    );
}
