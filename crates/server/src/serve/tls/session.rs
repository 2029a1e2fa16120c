//! What a TLS handshake has agreed on, for the access log.

use std::sync::Arc;

use rustls::{HandshakeKind, ServerConnection};

/// A TLS session, with the numbers of its registries.
#[derive(Debug)]
pub(crate) struct Session {
    /// Whether it goes on with the keys of an earlier one.
    pub resumed: bool,
    /// The version.
    pub version: u16,
    /// The cipher suite, if it is known: QUIC does not tell.
    pub cipher_suite: Option<u16>,
    /// The protocol within it: `h2`, `http/1.1`, `h3`, or nothing.
    pub protocol: &'static str,
    /// The name that the client asked for.
    pub server_name: Box<str>,
}

impl Session {
    /// That of a connection over TCP.
    pub(crate) fn of(connection: &ServerConnection) -> Arc<Self> {
        let version = connection.protocol_version();
        let suite = connection.negotiated_cipher_suite();
        Arc::new(Self {
            resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
            version: version.map_or(0, u16::from),
            cipher_suite: suite.map(|suite| u16::from(suite.suite())),
            protocol: match connection.alpn_protocol() {
                Some(b"h2") => "h2",
                Some(b"http/1.1") => "http/1.1",
                _ => "",
            },
            server_name: connection.server_name().unwrap_or_default().into(),
        })
    }

    /// That of a connection over QUIC, which has TLS 1.3.
    pub(crate) fn of_quic(connection: &quinn::Connection) -> Arc<Self> {
        let data = connection.handshake_data();
        let data =
            data.and_then(|data| data.downcast::<quinn::crypto::rustls::HandshakeData>().ok());
        let name = data.and_then(|data| data.server_name);
        Arc::new(Self {
            resumed: false,
            version: u16::from(rustls::ProtocolVersion::TLSv1_3),
            cipher_suite: None,
            protocol: "h3",
            server_name: name.unwrap_or_default().into(),
        })
    }
}
