//! "Protected Resource Metadata" (RFC 9728).

use serde_json::{Value, json};
use talaria_conformance::hub::Hub;
use talaria_conformance::token::exact;

const PATH: &str = "/.well-known/oauth-protected-resource/.well-known/mercure";

async fn document(hub: &Hub) -> Value {
    let answer = hub.client().get(PATH).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "application/json");
    serde_json::from_str(&answer.text).expect("JSON")
}

/// Every member, of a hub that is configured and of one that is not.
#[tokio::test]
async fn the_document_says_what_the_hub_is() {
    let hub = Hub::start("anonymous\ntransport memory");
    let mut expected = json!({
        "resource": hub.audience,
        "bearer_methods_supported": ["header"],
        "authorization_details_types_supported": ["https://mercure.rocks/authorization-detail"],
        "mercure_cookie": "__Secure-mercure_access_token",
        "mercure_matcher_types_supported": ["exact", "urlpattern"],
    });
    assert_eq!(document(&hub).await, expected);

    let pinned = "https://hub.example/.well-known/mercure";
    let hub = Hub::start(&format!(
        "anonymous\ntransport memory\nsubscriptions\ncookie_name sid\nresource_identifier {pinned}\n\
         issuer https://a.example {{\n authorization_server\n publisher {{\n jwt !a-secret-of-thirty-two-bytes-or-more!\n }}\n}}"
    ));
    expected["resource"] = json!(pinned);
    expected["mercure_cookie"] = json!("sid");
    expected["mercure_subscriptions"] = json!(true);
    expected["authorization_servers"] = json!(["https://a.example"]);
    assert_eq!(document(&hub).await, expected);
    // Challenges point to it, where the pinned identifier is ("Error Responses").
    let refused = hub.client().publish(&[("topic", "a")]).await;
    let challenge = refused.header("www-authenticate").to_owned();
    let location = format!("resource_metadata=\"https://hub.example{PATH}\"");
    assert!(challenge.contains(&location), "{challenge}");
    let narrow = hub.client().bearer(&hub.publisher_token(&[exact("b")]));
    let refused = narrow.publish(&[("topic", "a")]).await;
    assert!(
        refused
            .header("www-authenticate")
            .contains("resource_metadata=")
    );
}
