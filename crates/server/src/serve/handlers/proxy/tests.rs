//! Tests of the proxy between real sockets.

use super::*;

mod failures;
mod framing;
mod heads;
mod peers;
mod tunnels;
