//! Revoked tokens and ended streams, by the admin listener and the verb `revoke` (ADR 0021; specification, "Token
//! Validation").

use serde_json::{Value, json};
use talaria_conformance::client::{Answer, Client};
use talaria_conformance::event::Item;
use talaria_conformance::hub::{PUBLISHER_KEY, SUBSCRIBER_KEY};
use talaria_conformance::stream::EventStream;
use talaria_conformance::token::{Token, exact};
use talaria_conformance::{HUB_PATH, within};

use crate::running::{Running, caddyfile};

pub(crate) const MEMORY: &str = "transport memory";
pub(crate) const HISTORY: &str = "transport bolt {\npath history/h.db\n}";

/// A hub with keys for both roles and these directives.
pub(crate) fn text(directives: &str) -> String {
    caddyfile(
        "",
        &format!("subscriber_jwt \"{SUBSCRIBER_KEY}\"\n{directives}"),
    )
}

/// Both roles of one subject.
pub(crate) struct Person {
    pub(crate) subscriber: Client,
    publisher: Client,
}

impl Person {
    fn new(hub: &Running, change: impl Fn(Token) -> Token) -> Self {
        let audience = format!("http://{}{HUB_PATH}", hub.address);
        let token = |action| change(Token::new(&audience).grant(action, &[exact("*")]));
        Self {
            subscriber: hub
                .client()
                .bearer(&token("subscribe").sign(SUBSCRIBER_KEY)),
            publisher: hub.client().bearer(&token("publish").sign(PUBLISHER_KEY)),
        }
    }

    pub(crate) fn named(hub: &Running, subject: &str) -> Self {
        Self::new(hub, |token| token.claim("sub", subject.into()))
    }

    pub(crate) async fn subscribe(&self) -> EventStream {
        self.subscriber.subscribe_with(&[("match", "a")]).await
    }

    /// The statuses of a subscription and a publish.
    pub(crate) async fn statuses(&self) -> [u16; 2] {
        let subscribe = self.subscriber.header_of("HEAD").await;
        let publish = self.publisher.publish(&[("topic", "b")]).await;
        [subscribe.status.as_u16(), publish.status.as_u16()]
    }
}

pub(crate) trait HeaderOf {
    async fn header_of(&self, method: &str) -> Answer;
}

impl HeaderOf for Client {
    async fn header_of(&self, method: &str) -> Answer {
        self.send(method, &format!("{HUB_PATH}?match=a"), "").await
    }
}

pub(crate) async fn post(hub: &Running, path: &str, body: &Value) -> Answer {
    let client = hub.admin().header("content-type", "application/json");
    client.send("POST", path, body.to_string()).await
}

/// Revokes, and returns the number of streams that ended.
async fn revoke(hub: &Running, body: Value) -> u64 {
    let answer = post(hub, "/mercure/revoke", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let value: Value = serde_json::from_str(&answer.text).unwrap();
    value["streams_ended"].as_u64().unwrap()
}

/// The stream ends; its client is told to come back.
pub(crate) async fn ends(stream: &mut EventStream) {
    let said = async {
        let mut said = false;
        while let Ok(Some(item)) = stream.try_item().await {
            said |= matches!(&item, Item::Comment(text) if text.contains("operator"));
        }
        said
    };
    assert!(within("the end", said).await, "no reason");
}

/// The stream goes on.
pub(crate) async fn goes_on(hub: &Running, stream: &mut EventStream) {
    let publisher = Person::named(hub, "the publisher").publisher;
    publisher.published(&[("topic", "a"), ("data", "on")]).await;
    assert_eq!(stream.data().await, "on");
}

/// Starts the hub again in its home.
pub(crate) async fn restarted(mut hub: Running) -> Running {
    let home = hub.home.clone();
    hub.signal(rustix::process::Signal::TERM);
    hub.exit().await;
    Running::start_in(home, &[])
}

/// A revoked subject is refused for both roles with 401 `invalid_token`, whatever its tokens; the reason is in the log
/// alone. Its streams end, others go on. That survives a reload and a restart, and can be taken back.
#[tokio::test]
async fn a_revoked_subject_is_refused_and_its_streams_end() {
    for transport in [MEMORY, HISTORY] {
        let hub = Running::start(&text(transport), &[]);
        let (ann, bob) = (Person::named(&hub, "ann"), Person::named(&hub, "bob"));
        let (mut one, mut two) = (ann.subscribe().await, ann.subscribe().await);
        let (mut other, mut anyone) = (
            bob.subscribe().await,
            hub.client().subscribe_with(&[("match", "a")]).await,
        );
        // Both tokens are known to the hub already.
        assert_eq!(ann.statuses().await, [200, 200]);
        let from = hub.log.len();
        assert_eq!(
            revoke(&hub, json!({ "subject": "ann", "reason": "leak" })).await,
            2
        );
        hub.logs(from, "tokens were revoked by the admin listener");
        ends(&mut one).await;
        ends(&mut two).await;
        for stream in [&mut other, &mut anyone] {
            goes_on(&hub, stream).await;
        }
        assert_eq!(ann.statuses().await, [401, 401]);
        assert_eq!(bob.statuses().await, [200, 200]);
        let answer = ann.publisher.publish(&[("topic", "a")]).await;
        assert!(answer.header("www-authenticate").contains("invalid_token"));
        assert!(!answer.text.contains("revoked"), "{}", answer.text);
        hub.logs(from, "reason=\"token_revoked\"");
        // Another token of the same subject.
        assert_eq!(Person::named(&hub, "ann").statuses().await, [401, 401]);

        hub.home
            .configure(text(&format!("{transport}\nheartbeat 7s")));
        assert_eq!(hub.verb(&["reload"]).0, Some(0));
        assert_eq!(ann.statuses().await, [401, 401]);
        let hub = restarted(hub).await;
        hub.logs(0, "tokens stay revoked");
        assert_eq!(Person::named(&hub, "ann").statuses().await, [401, 401]);
        let list = hub.admin().get("/mercure/revoke").await;
        let list: Value = serde_json::from_str(&list.text).unwrap();
        let entry = &list["hubs"][0]["revocations"][0];
        assert_eq!(
            (&entry["subject"], &entry["reason"]),
            (&json!("ann"), &json!("leak"))
        );

        let (code, said) = hub.verb(&["revoke", "--remove", "--subject", "ann"]);
        assert_eq!((code, said.as_str()), (Some(0), "revocations removed: 1\n"));
        assert_eq!(Person::named(&hub, "ann").statuses().await, [200, 200]);
        let hub = restarted(hub).await;
        assert_eq!(Person::named(&hub, "ann").statuses().await, [200, 200]);
    }
}

/// Tokens are found by `jti` and issuer, too, and by several claims together.
#[tokio::test]
async fn tokens_are_revoked_by_each_claim() {
    let hub = Running::start(&text(MEMORY), &[]);
    let issuer = "https://localhost";
    for (asked, hits, misses) in [
        (json!({ "jti": "one" }), ("ann", "one"), ("ann", "two")),
        (
            json!({ "jti": "three", "subject": "bob", "issuer": issuer }),
            ("bob", "three"),
            ("ann", "three"),
        ),
        (
            json!({ "subject": "cat", "issuer": issuer }),
            ("cat", "four"),
            ("dan", "four"),
        ),
    ] {
        let person = |(subject, id): (&str, &str)| {
            Person::new(&hub, |token| {
                token.claim("sub", subject.into()).claim("jti", id.into())
            })
        };
        let (hit, missed) = (person(hits), person(misses));
        let (mut ended, mut open) = (hit.subscribe().await, missed.subscribe().await);
        assert_eq!(revoke(&hub, asked.clone()).await, 1, "{asked}");
        ends(&mut ended).await;
        goes_on(&hub, &mut open).await;
        assert_eq!(hit.statuses().await, [401, 401], "{asked}");
        assert_eq!(missed.statuses().await, [200, 200], "{asked}");
    }
    assert_eq!(
        revoke(&hub, json!({ "subject": "ann", "issuer": "https://other" })).await,
        0
    );
    assert_eq!(Person::named(&hub, "ann").statuses().await, [200, 200]);
    let person = Person::named(&hub, "eve");
    let (mut of_issuer, mut anyone) = (
        person.subscribe().await,
        hub.client().subscribe_with(&[("match", "a")]).await,
    );
    revoke(&hub, json!({ "issuer": issuer })).await;
    ends(&mut of_issuer).await;
    assert_eq!(person.statuses().await, [401, 401]);
    let removed = hub.verb(&["revoke", "--remove", "--issuer", issuer]);
    assert_eq!(removed.1, "revocations removed: 3\n");
    goes_on(&hub, &mut anyone).await;
}

/// Tokens that are issued later may be exempt; a revocation ends by itself; one of no time ends streams alone.
#[tokio::test]
async fn a_revocation_has_bounds() {
    let hub = Running::start(&text(MEMORY), &[]);
    let ann = Person::named(&hub, "ann");
    revoke(
        &hub,
        json!({ "subject": "ann", "issued_before": "now", "for": "1h" }),
    )
    .await;
    assert_eq!(ann.statuses().await, [401, 401]);
    let later = Person::new(&hub, |mut token| {
        let now = token.claims["iat"].as_u64().unwrap();
        token = token.claim("sub", "ann".into());
        token.claim("iat", (now + 5).into())
    });
    assert_eq!(later.statuses().await, [200, 200]);

    let bob = Person::named(&hub, "bob");
    let mut stream = bob.subscribe().await;
    assert_eq!(
        revoke(&hub, json!({ "subject": "bob", "for": "0s" })).await,
        1
    );
    ends(&mut stream).await;
    assert_eq!(bob.statuses().await, [200, 200]);
    revoke(&hub, json!({ "subject": "bob", "for": "300ms" })).await;
    within("the end of the revocation", async {
        while bob.statuses().await != [200, 200] {}
    })
    .await;
    let list = hub.verb(&["revoke", "--list"]).1;
    assert!(
        list.contains("subject \"ann\"") && !list.contains("bob"),
        "{list}"
    );

    for (body, status, says) in [
        (json!({}), 400, "name whom"),
        (json!({ "subject": "ann", "for": "367d" }), 400, "366 days"),
        (
            json!({ "subject": "ann", "colour": 1 }),
            400,
            "is not known",
        ),
        (json!([]), 400, "not a JSON object"),
    ] {
        let answer = post(&hub, "/mercure/revoke", &body).await;
        assert_eq!(answer.status, status);
        assert!(answer.text.contains(says), "{}", answer.text);
    }
    let plain = hub.admin().send("POST", "/mercure/revoke", "{}").await;
    assert_eq!(plain.status, 415);
    assert_eq!(
        hub.admin().send("PUT", "/mercure/revoke", "").await.status,
        405
    );
    assert_eq!(hub.admin().get("/mercure/other/revoke").await.status, 404);
    let page = hub.admin().header("origin", "https://evil.example");
    assert_eq!(page.get("/mercure/revoke").await.status, 403);
}

/// A subscriber is disconnected by the id that the list of active subscriptions shows (specification, "Active
/// Subscriptions"); its client may come back.
#[tokio::test]
async fn a_subscriber_is_disconnected_by_its_id() {
    let hub = Running::start(&text(&format!("{MEMORY}\nsubscriptions")), &[]);
    let ann = Person::named(&hub, "ann");
    let (mut first, mut second) = (ann.subscribe().await, ann.subscribe().await);
    let list = ann
        .subscriber
        .get(&format!("{HUB_PATH}/subscriptions"))
        .await;
    let list: Value = serde_json::from_str(&list.text).unwrap();
    let list = list["subscriptions"].as_array().unwrap();
    assert_eq!(list.len(), 2);
    let id = list[0]["subscriber"].as_str().unwrap();
    assert_eq!(revoke(&hub, json!({ "subscriber": id })).await, 1);
    assert_eq!(
        revoke(&hub, json!({ "subscriber": "urn:uuid:unknown" })).await,
        0
    );
    // Which one it was is not told.
    let ended = within("the end", async {
        tokio::select! {
            () = ends(&mut first) => true,
            () = ends(&mut second) => false,
        }
    })
    .await;
    let open = if ended { &mut second } else { &mut first };
    goes_on(&hub, open).await;
    drop(ann.subscribe().await);
    let mut again = ann.subscribe().await;
    goes_on(&hub, &mut again).await;
}

/// Without `subscriptions`, the log has the id by which a subscriber is disconnected.
#[tokio::test]
async fn the_log_has_the_id_too() {
    let hub = Running::start(&text(MEMORY), &[]);
    let ann = Person::named(&hub, "ann");
    let mut stream = ann.subscribe().await;
    let id_in = |line: &str| {
        let (_, rest) = line.split_once("subscriber=")?;
        let is_it = line.contains("subscriber connected");
        is_it.then(|| rest.split_whitespace().next().map(str::to_owned))?
    };
    let id = hub.log.find(0, talaria_conformance::PATIENCE, id_in);
    let id = id.expect("the line of the subscriber");
    assert_eq!(revoke(&hub, json!({ "subscriber": id })).await, 1);
    within("the end", ends(&mut stream)).await;
}

/// Each of several hubs has its own list.
#[tokio::test]
async fn hubs_are_named() {
    let block = |name: &str, path: &str| {
        format!(
            "handle {path} {{\nmercure {{\nname {name}\npublisher_jwt \"{PUBLISHER_KEY}\"\nanonymous\ntransport memory\n}}\n}}\n"
        )
    };
    let site = |port, name| format!("http://127.0.0.1:{port} {{\n{}}}\n", block(name, "/*"));
    let other = talaria_conformance::free_port();
    let hub = Running::start(&format!("{}{}", site(0, "a"), site(other, "b")), &[]);
    let answer = post(&hub, "/mercure/b/revoke", &json!({ "subject": "ann" })).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let list = hub.admin().get("/mercure/revoke").await;
    let list: Value = serde_json::from_str(&list.text).unwrap();
    let entries = |name: &str| {
        let hubs = list["hubs"].as_array().unwrap();
        let found = hubs.iter().find(|hub| hub["name"] == name).unwrap();
        found["revocations"].as_array().unwrap().len()
    };
    assert_eq!((entries("a"), entries("b")), (0, 1));
}
