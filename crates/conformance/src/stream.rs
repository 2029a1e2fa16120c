//! An accepted subscription: its response head, and its items.

use std::net::SocketAddr;

use http::{HeaderMap, Response, Version};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use crate::answer::single;
use crate::event::{Decoder, Event, Item};
use crate::within;

/// The reason why a stream broke off.
#[derive(Debug)]
pub struct Broken(pub String);

/// An open subscription; dropping it hangs up.
pub struct EventStream {
    /// The header fields of the answer.
    pub headers: HeaderMap,
    /// The version of HTTP that carried it.
    pub version: Version,
    /// The address of our end.
    pub local: SocketAddr,
    body: Incoming,
    decoder: Decoder,
}

impl EventStream {
    /// The stream in the body of `answer`.
    #[must_use]
    pub fn new(answer: Response<Incoming>, local: SocketAddr) -> Self {
        let (parts, body) = answer.into_parts();
        assert_eq!(single(&parts.headers, "content-type"), "text/event-stream");
        let decoder = Decoder::default();
        Self {
            headers: parts.headers,
            version: parts.version,
            local,
            body,
            decoder,
        }
    }

    /// The value of a header field that occurs at most once, or `""`.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        single(&self.headers, name)
    }

    /// The next item, or `None` at a clean end.
    ///
    /// # Errors
    ///
    /// When the connection breaks, or ends in the middle of an item. A stream that is not
    /// valid is a panic: no hub may send one.
    pub async fn try_item(&mut self) -> Result<Option<Item>, Broken> {
        loop {
            if let Some(item) = self.decoder.next_item() {
                return Ok(Some(item));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Some(bytes) = frame.data_ref()
                        && let Err(fault) = self.decoder.push(bytes)
                    {
                        panic!("not an event stream: {fault}");
                    }
                }
                Some(Err(error)) => return Err(Broken(error.to_string())),
                None if self.decoder.at_rest() => return Ok(None),
                None => return Err(Broken("the end came in the middle of an event".to_owned())),
            }
        }
    }

    /// The next event, or `None` at a clean end.
    ///
    /// # Errors
    ///
    /// As [`Self::try_item`].
    pub async fn try_event(&mut self) -> Result<Option<Event>, Broken> {
        loop {
            match self.try_item().await? {
                Some(Item::Event(event)) => return Ok(Some(event)),
                Some(Item::Comment(_) | Item::Retry(_)) => {}
                None => return Ok(None),
            }
        }
    }

    /// Waits for the next item of any kind.
    pub async fn item(&mut self) -> Item {
        within("an item", self.try_item())
            .await
            .expect("the stream lives")
            .expect("the stream goes on")
    }

    /// Waits for the next event.
    pub async fn event(&mut self) -> Event {
        within("an event", self.try_event())
            .await
            .expect("the stream lives")
            .expect("the stream goes on")
    }

    /// Waits for the next event and returns its data.
    pub async fn data(&mut self) -> String {
        self.event().await.data
    }

    /// Waits for `N` events, and returns their data.
    pub async fn several<const N: usize>(&mut self) -> [String; N] {
        let mut data = [const { String::new() }; N];
        for data in &mut data {
            *data = self.data().await;
        }
        data
    }

    /// Reads events until the data of one is `last`, and returns the data of those before it.
    pub async fn until(&mut self, last: &str) -> Vec<String> {
        let mut seen = Vec::new();
        loop {
            let data = self.data().await;
            if data == last {
                return seen;
            }
            seen.push(data);
        }
    }

    /// Waits for the clean end and returns the data of the events before it.
    pub async fn end(&mut self) -> Vec<String> {
        let mut seen = Vec::new();
        while let Some(event) = within("the end", self.try_event())
            .await
            .expect("the end is clean")
        {
            seen.push(event.data);
        }
        seen
    }
}
