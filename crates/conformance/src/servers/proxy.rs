//! A TCP proxy that cuts, delays and swallows.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// What becomes of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// They pass.
    Open,
    /// They pass after this time.
    Delayed(Duration),
    /// What the client says is swallowed.
    RequestsLost,
    /// What the server says is swallowed.
    AnswersLost,
    /// All connections end, and new ones too.
    Cut,
}

/// A proxy in front of a server.
pub struct Proxy {
    address: SocketAddr,
    way: watch::Sender<Way>,
    target: watch::Sender<SocketAddr>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Starts one in front of the server at `target`.
    ///
    /// # Panics
    /// No port is free.
    pub async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a port is free");
        let address = listener.local_addr().expect("it listens");
        let (way, watched) = watch::channel(Way::Open);
        let (target, targets) = watch::channel(target);
        let task = tokio::spawn(accept(listener, targets, watched));
        Self {
            address,
            way,
            target,
            task,
        }
    }

    /// Leads new connections to another server.
    pub fn lead_to(&self, target: SocketAddr) {
        self.target.send_replace(target);
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what becomes of the bytes, those of connections that exist too.
    pub fn turn(&self, way: Way) {
        self.way.send_replace(way);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(
    listener: TcpListener,
    target: watch::Receiver<SocketAddr>,
    way: watch::Receiver<Way>,
) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let target = *target.borrow();
        connections.spawn(serve(client, target, way.clone()));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(client: TcpStream, target: SocketAddr, mut way: watch::Receiver<Way>) {
    if *way.borrow() == Way::Cut {
        return;
    }
    let Ok(server) = TcpStream::connect(target).await else {
        return;
    };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let (requests, answers) = (way.clone(), way.clone());
    tokio::select! {
        () = pass(from_client, to_server, &requests, Way::RequestsLost) => {}
        () = pass(from_server, to_client, &answers, Way::AnswersLost) => {}
        _ = way.wait_for(|way| *way == Way::Cut) => {}
    }
}

async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    way: &watch::Receiver<Way>,
    lost: Way,
) {
    let mut bytes = vec![0; 64 << 10];
    while let Ok(count) = from.read(&mut bytes).await {
        if count == 0 {
            return;
        }
        let now = *way.borrow();
        if let Way::Delayed(time) = now {
            tokio::time::sleep(time).await;
        }
        if now != lost && to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}
