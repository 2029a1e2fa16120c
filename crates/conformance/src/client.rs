//! A client of the hub: single requests on a new connection each, a publisher that keeps its
//! connection, and subscriptions.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpSocket, TcpStream};

pub use crate::answer::{Answer, finish, single};
use crate::stream::EventStream;
use crate::token::Matcher;
use crate::{HUB_PATH, PATIENCE, within, within_time};

/// How requests are made: to whom, in which version of HTTP, with which fields.
#[derive(Debug, Clone)]
pub struct Client {
    address: SocketAddr,
    host: String,
    http2: bool,
    from: Option<IpAddr>,
    receive_buffer: Option<u32>,
    headers: Vec<(String, String)>,
}

impl Client {
    /// A client of `address` that names `host`.
    #[must_use]
    pub fn new(address: SocketAddr, host: &str) -> Self {
        Self {
            address,
            host: host.to_owned(),
            http2: false,
            from: None,
            receive_buffer: None,
            headers: Vec::new(),
        }
    }

    /// Speaks HTTP/2 with prior knowledge.
    #[must_use]
    pub fn http2(mut self) -> Self {
        self.http2 = true;
        self
    }

    /// Connects from this address of the machine, such as any of `127.0.0.0/8`.
    #[must_use]
    pub fn from(mut self, address: impl Into<IpAddr>) -> Self {
        self.from = Some(address.into());
        self
    }

    /// Names another host than the one that is reached.
    #[must_use]
    pub fn naming(mut self, host: &str) -> Self {
        host.clone_into(&mut self.host);
        self
    }

    /// Limits how many bytes the kernel takes for a reader that does not read, and over HTTP/2 the
    /// window of its stream.
    #[must_use]
    pub fn receive_buffer(mut self, bytes: u32) -> Self {
        self.receive_buffer = Some(bytes);
        self
    }

    /// Adds a header field to every request.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Presents `token` in the `Authorization` field.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// Presents `token` in the cookie `name`.
    #[must_use]
    pub fn cookie(self, name: &str, token: &str) -> Self {
        self.header("cookie", &format!("{name}={token}"))
    }

    /// Asks for what came after `id`, in the header field.
    #[must_use]
    pub fn last_event_id(self, id: &str) -> Self {
        self.header("last-event-id", id)
    }

    /// Opens the connection.
    ///
    /// # Errors
    ///
    /// The error of the socket.
    pub async fn connect(&self) -> std::io::Result<(TcpStream, SocketAddr)> {
        let socket = TcpSocket::new_v4()?;
        if let Some(address) = self.from {
            socket.bind((address, 0).into())?;
        }
        if let Some(bytes) = self.receive_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        let stream = socket.connect(self.address).await?;
        stream.set_nodelay(true)?;
        let local = stream.local_addr()?;
        Ok((stream, local))
    }

    /// Makes a request and returns its answer with the body still to come, and the local address.
    pub async fn open(
        &self,
        method: &str,
        target: &str,
        body: Bytes,
    ) -> (Response<Incoming>, SocketAddr) {
        let (stream, local) = within("a connection", self.connect())
            .await
            .expect("the hub accepts");
        let mut sender = self.talk(stream).await;
        let request = self.request(method, target, body);
        (
            within("an answer", sender.send(request))
                .await
                .expect("the hub answers"),
            local,
        )
    }

    /// Makes a request and reads the whole answer.
    pub async fn send(&self, method: &str, target: &str, body: impl Into<Bytes>) -> Answer {
        let (answer, _) = self.open(method, target, body.into()).await;
        finish(answer).await
    }

    /// Makes a request to a hub that may be gone, and returns the answer if it came whole.
    pub async fn try_send(
        &self,
        method: &str,
        target: &str,
        body: impl Into<Bytes>,
    ) -> Option<Answer> {
        let (stream, _) = within("a connection", self.connect()).await.ok()?;
        let mut sender = self.talk(stream).await;
        let request = self.request(method, target, body.into());
        let answer = within("an answer or the end", sender.send(request));
        whole(answer.await.ok()?).await
    }

    /// `GET target`.
    pub async fn get(&self, target: &str) -> Answer {
        self.send("GET", target, "").await
    }

    /// Publishes an update made of `fields`; nothing is checked.
    pub async fn publish(&self, fields: &[(&str, &str)]) -> Answer {
        self.clone()
            .form()
            .send("POST", HUB_PATH, form(fields))
            .await
    }

    /// Publishes an update that must be accepted, and returns its id.
    pub async fn published(&self, fields: &[(&str, &str)]) -> String {
        let answer = self.publish(fields).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        answer.text
    }

    /// A connection on which updates are published one after the other.
    pub async fn keep(&self) -> Publisher {
        let (stream, _) = within("a connection", self.connect())
            .await
            .expect("the hub accepts");
        Publisher {
            client: self.clone().form(),
            sender: self.talk(stream).await,
        }
    }

    /// Opens such a connection to a hub that may be gone.
    ///
    /// # Errors
    ///
    /// The error of the socket.
    pub async fn try_keep(&self) -> std::io::Result<Publisher> {
        let (stream, _) = self.connect().await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(std::io::Error::other)?;
        tokio::spawn(connection);
        Ok(Publisher {
            client: self.clone().form(),
            sender: Sender::One(sender),
        })
    }

    /// Subscribes to what `matchers` match; the hub must accept.
    pub async fn subscribe(&self, matchers: &[Matcher]) -> EventStream {
        let parameters: Vec<_> = matchers.iter().map(Matcher::parameter).collect();
        self.subscribe_with(&parameters).await
    }

    /// Subscribes with these parameters; the hub must accept.
    pub async fn subscribe_with(&self, parameters: &[(&str, &str)]) -> EventStream {
        let (answer, local) = self.open("GET", &target(parameters), Bytes::new()).await;
        if answer.status() != StatusCode::OK {
            panic!("the hub refused a subscription: {:?}", finish(answer).await);
        }
        EventStream::new(answer, local)
    }

    /// Subscribes at a hub that may be gone or refuse for now.
    pub async fn try_subscribe(&self, matchers: &[Matcher]) -> Option<EventStream> {
        let parameters: Vec<_> = matchers.iter().map(Matcher::parameter).collect();
        let request = self.request("GET", &target(&parameters), Bytes::new());
        let asked = async {
            let (stream, local) = self.connect().await.ok()?;
            let answer = self.talk(stream).await.send(request).await.ok()?;
            Some((answer, local))
        };
        // A hub is asked by thousands at once where this is used.
        let (answer, local) = within_time(6 * PATIENCE, "an answer or the end", asked).await?;
        (answer.status() == StatusCode::OK).then(|| EventStream::new(answer, local))
    }

    /// Subscribes with these parameters in a `QUERY` body; the hub must accept.
    pub async fn query(&self, in_query: &[(&str, &str)], in_body: &[(&str, &str)]) -> EventStream {
        let client = self.clone().form();
        let (answer, local) = client
            .open("QUERY", &target(in_query), form(in_body).into())
            .await;
        if answer.status() != StatusCode::OK {
            panic!("the hub refused a subscription: {:?}", finish(answer).await);
        }
        EventStream::new(answer, local)
    }

    /// Declares the body of the requests to be a form, unless they have another media type.
    #[must_use]
    pub fn form(self) -> Self {
        if self.headers.iter().any(|(name, _)| name == "content-type") {
            return self;
        }
        self.header("content-type", "application/x-www-form-urlencoded")
    }

    async fn talk(&self, stream: TcpStream) -> Sender {
        let io = TokioIo::new(stream);
        if self.http2 {
            let (sender, connection) = http2::Builder::new(TokioExecutor::new())
                .initial_stream_window_size(self.receive_buffer)
                .handshake(io)
                .await
                .expect("HTTP/2 with prior knowledge");
            tokio::spawn(connection);
            Sender::Two(sender)
        } else {
            let (sender, connection) = http1::handshake(io).await.expect("HTTP/1.1");
            tokio::spawn(connection);
            Sender::One(sender)
        }
    }

    fn request(&self, method: &str, target: &str, body: Bytes) -> Request<Full<Bytes>> {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let mut request = Request::builder().method(method);
        request = if self.http2 {
            request.uri(format!("http://{}{target}", self.host))
        } else {
            request.uri(target).header(header::HOST, &self.host)
        };
        for (name, value) in &self.headers {
            request = request.header(name, value.as_bytes());
        }
        request.body(Full::new(body)).expect("a request")
    }
}

/// A connection on which updates are published one after the other.
pub struct Publisher {
    client: Client,
    sender: Sender,
}

impl Publisher {
    /// Publishes an update that must be accepted, and returns its id.
    pub async fn publish(&mut self, fields: &[(&str, &str)]) -> String {
        let request = self.client.request("POST", HUB_PATH, form(fields).into());
        let answer = within("an answer", self.sender.send(request))
            .await
            .expect("the hub answers");
        let answer = finish(answer).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        answer.text
    }
}

impl Publisher {
    /// Publishes an update to a hub that may be gone, and returns its id if the hub acknowledged
    /// it.
    pub async fn try_publish(&mut self, fields: &[(&str, &str)]) -> Option<String> {
        let answer = self.try_send(fields).await?;
        (answer.status == StatusCode::OK).then_some(answer.text)
    }

    /// Whether the hub has not closed the connection, as far as is known.
    #[must_use]
    pub fn is_open(&self) -> bool {
        match &self.sender {
            Sender::One(sender) => !sender.is_closed(),
            Sender::Two(sender) => !sender.is_closed(),
        }
    }

    /// Publishes an update to a hub that may be gone, and returns the answer if it came whole.
    pub async fn try_send(&mut self, fields: &[(&str, &str)]) -> Option<Answer> {
        let request = self.client.request("POST", HUB_PATH, form(fields).into());
        let answer = within("an answer or the end", self.sender.send(request));
        whole(answer.await.ok()?).await
    }
}

/// The fields as `application/x-www-form-urlencoded`.
#[must_use]
pub fn form(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish()
}

/// The hub's path with these parameters.
#[must_use]
pub fn target(parameters: &[(&str, &str)]) -> String {
    if parameters.is_empty() {
        HUB_PATH.to_owned()
    } else {
        format!("{HUB_PATH}?{}", form(parameters))
    }
}

async fn whole(answer: Response<Incoming>) -> Option<Answer> {
    let (parts, body) = answer.into_parts();
    let body = within("the end of an answer", body.collect()).await.ok()?;
    Some(Answer {
        status: parts.status,
        headers: parts.headers,
        text: String::from_utf8(body.to_bytes().to_vec()).ok()?,
    })
}

enum Sender {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

impl Sender {
    async fn send(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<Response<Incoming>> {
        match self {
            Self::One(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
            Self::Two(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
        }
    }
}
