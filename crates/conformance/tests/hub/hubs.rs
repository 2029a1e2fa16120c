//! Several sites and several hubs in one program (B-254, B-282, B-1021).

use talaria_conformance::behind;
use talaria_conformance::client::Client;
use talaria_conformance::hub::PUBLISHER_KEY;
use talaria_conformance::token::{Token, exact};

use crate::running::Running;

/// A site of this name with a hub.
fn site(name: &str, directives: &str) -> String {
    format!(
        "http://{name}.localhost:0 {{\nmercure {{\npublisher_jwt \"{PUBLISHER_KEY}\"\nanonymous\n{directives}\n}}\nrespond /name {name}\n}}\n"
    )
}

fn start(sites: &[String]) -> Running {
    Running::start(&sites.concat(), &[])
}

fn client(hub: &Running, name: &str) -> Client {
    Client::new(
        hub.address,
        &format!("{name}.localhost:{}", hub.address.port()),
    )
}

/// A publisher of a hub, whose token names it.
fn publisher(hub: &Running, name: &str) -> Client {
    let port = hub.address.port();
    let token = Token::new(&format!(
        "http://{name}.localhost:{port}/.well-known/mercure"
    ))
    .grant("publish", &[exact("*")])
    .sign(PUBLISHER_KEY);
    client(hub, name).bearer(&token)
}

/// Each site answers for its host, a wildcard for one label, and other hosts are refused. A token for one hub is not
/// accepted by another one.
#[tokio::test]
async fn each_host_has_its_site_and_its_hub() {
    let hub = start(&[
        site("one", "name one\ntransport memory"),
        site("two", "name two\ntransport local"),
        "http://*.many.localhost:0 {\nrespond /name many\n}\n".to_owned(),
    ]);
    for (host, expected) in [("one", "one"), ("two", "two"), ("x.many", "many")] {
        assert_eq!(client(&hub, host).get("/name").await.text, expected);
    }
    for other in ["three", "x.y.many", "many"] {
        assert_eq!(
            client(&hub, other).get("/name").await.status,
            421,
            "{other}"
        );
    }
    let mut one = client(&hub, "one").subscribe_with(&[("match", "a")]).await;
    let mut two = client(&hub, "two").subscribe_with(&[("match", "a")]).await;
    let to_two = publisher(&hub, "two");
    to_two
        .published(&[("topic", "a"), ("data", "for two")])
        .await;
    let to_one = publisher(&hub, "one");
    to_one
        .published(&[("topic", "a"), ("data", "for one")])
        .await;
    assert_eq!(one.data().await, "for one");
    assert_eq!(two.data().await, "for two");
    let port = hub.address.port();
    let token = Token::new(&format!("http://one.localhost:{port}/.well-known/mercure"))
        .grant("publish", &[exact("*")])
        .sign(PUBLISHER_KEY);
    let wrong = client(&hub, "two").bearer(&token);
    let answer = wrong.publish(&[("topic", "a"), ("data", "x")]).await;
    assert_eq!(answer.status, 401);
    for name in ["one", "two"] {
        let ready = hub
            .admin()
            .get(&format!("/mercure/health/{name}/ready"))
            .await;
        assert_eq!(ready.status, 200, "{name}");
    }
}

/// Hubs of one name, and those of 0.x without one, share updates and subscribers.
#[tokio::test]
async fn hubs_of_one_name_share_their_updates() {
    for name in ["name shared", ""] {
        let directives = format!("{name}\ntransport memory");
        let hub = start(&[site("one", &directives), site("two", &directives)]);
        let mut two = client(&hub, "two").subscribe_with(&[("match", "a")]).await;
        let to_one = publisher(&hub, "one");
        to_one
            .published(&[("topic", "a"), ("data", "for both")])
            .await;
        assert_eq!(two.data().await, "for both", "{name:?}");
    }
}

/// What a file configures is put in force, and must be accepted.
async fn load(hub: &Running, sites: &[String]) {
    let admin = hub.admin().header("content-type", "text/caddyfile");
    let text = behind::file(&sites.concat()).into_owned();
    let answer = admin.send("POST", "/load", text).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

/// Hubs in memory keep their own updates and subscribers, wherever their sites stand in the file; a hub that is gone
/// ends its streams, and one that comes begins without those of others.
#[tokio::test]
async fn hubs_stay_apart_over_reloads() {
    let of = |name: &str| site(name, &format!("name {name}\ntransport memory"));
    let hub = start(&[of("one"), of("two")]);
    let mut one = client(&hub, "one").subscribe_with(&[("match", "a")]).await;
    let mut two = client(&hub, "two").subscribe_with(&[("match", "a")]).await;
    for sites in [
        [of("zero"), of("one"), of("two")].as_slice(),
        &[of("two"), of("one")],
        &[of("one"), of("two")],
    ] {
        load(&hub, sites).await;
        for (name, stream) in [("two", &mut two), ("one", &mut one)] {
            let publisher = publisher(&hub, name);
            publisher.published(&[("topic", "a"), ("data", name)]).await;
            assert_eq!(stream.data().await, name);
        }
    }
    load(&hub, &[of("one"), of("three")]).await;
    two.end().await;
    let mut three = client(&hub, "three")
        .subscribe_with(&[("match", "a")])
        .await;
    publisher(&hub, "one")
        .published(&[("topic", "a"), ("data", "still")])
        .await;
    publisher(&hub, "three")
        .published(&[("topic", "a"), ("data", "first")])
        .await;
    assert_eq!(one.data().await, "still");
    assert_eq!(three.data().await, "first");
}

/// Of hubs that share a store, one that is gone ends its streams, and the others go on, in whatever order.
#[tokio::test]
async fn a_hub_leaves_those_that_it_shares_with() {
    let of = |name: &str| site(name, "name shared\ntransport memory");
    let hub = start(&[of("one"), of("two"), of("three")]);
    let mut streams = Vec::new();
    for name in ["one", "two", "three"] {
        streams.push(client(&hub, name).subscribe_with(&[("match", "a")]).await);
    }
    load(&hub, &[of("three"), of("two")]).await;
    let [mut one, mut two, mut three] = <[_; 3]>::try_from(streams).ok().expect("three streams");
    one.end().await;
    publisher(&hub, "three")
        .published(&[("topic", "a"), ("data", "after")])
        .await;
    assert_eq!(two.data().await, "after");
    assert_eq!(three.data().await, "after");
}
