//! A keep-alive connection that asks one thing after the other.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::error::HttpError;
use super::response::Response;

/// A keep-alive connection that asks one thing after the other.
pub(crate) struct KeepAlive {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl KeepAlive {
    /// Connects; from then on nothing may take longer than `patience`.
    ///
    /// # Errors
    /// When the hub does not accept the connection.
    pub(crate) fn open(address: SocketAddr, patience: Duration) -> Result<Self, HttpError> {
        let stream = TcpStream::connect_timeout(&address, patience).map_err(HttpError::Connect)?;
        stream.set_nodelay(true).map_err(HttpError::Connect)?;
        stream
            .set_read_timeout(Some(patience))
            .map_err(HttpError::Connect)?;
        stream
            .set_write_timeout(Some(patience))
            .map_err(HttpError::Connect)?;
        Ok(Self {
            stream,
            buffer: vec![0; 16 * 1024],
        })
    }

    /// Sends a request and reads the whole response with its body.
    ///
    /// # Errors
    /// When the connection breaks or its patience is over; then the connection is of no more use.
    pub(crate) fn exchange(&mut self, request: &[u8]) -> Result<(Response, Vec<u8>), HttpError> {
        self.stream.write_all(request).map_err(HttpError::Send)?;
        let mut response = Response::default();
        let mut body = Vec::new();
        while !response.is_complete() {
            let length = match self.stream.read(&mut self.buffer) {
                Ok(0) => return Err(HttpError::Unanswered),
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(HttpError::Receive(error)),
            };
            let mut input = &self.buffer[..length];
            while let Some(piece) = response.body(&mut input)? {
                body.extend_from_slice(piece);
            }
        }
        Ok((response, body))
    }

    /// As [`Self::exchange`] for a request that the hub should answer with 200; returns the answer's body.
    ///
    /// # Errors
    /// Also when the hub refuses the request.
    pub(crate) fn accepted(&mut self, request: &[u8]) -> Result<Vec<u8>, HttpError> {
        let (response, body) = self.exchange(request)?;
        response.accepted(&body)?;
        Ok(body)
    }
}
