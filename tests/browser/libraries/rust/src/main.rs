//! Publishes with the crate `mercure`, and mints a subscriber's token with it.

use mercure::client::PublishUpdatePrivacy;
use mercure::jwt::SubscriberJwtSecret;
use mercure::{Client, HubUrl, PublisherJwt, SubscriberJwt, Topic, TopicSelector};
use url::Url;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().ok_or("hub, publisher key, subscriber key, topic");
    let hub = HubUrl::try_from(next()?.parse::<Url>()?).map_err(|_| "no hub URL")?;
    let publisher_key = next()?.into_bytes();
    let subscriber_key = SubscriberJwtSecret::from(next()?.into_bytes());
    let topic = Topic::new(next()?.parse()?, vec![]);
    let token = PublisherJwt::new(&publisher_key.into(), vec![TopicSelector::Wildcard])?;
    let client = Client::new(reqwest::Client::new(), hub, token);
    let id = client
        .publish_update(topic, Some("from Rust"), PublishUpdatePrivacy::Private)
        .await?;
    let template = TopicSelector::UriTemplate("https://example.com/books/{id}".try_into()?);
    let subscriber = SubscriberJwt::new(&subscriber_key, None, vec![template])?;
    println!("{id}\n{subscriber}");
    Ok(())
}
