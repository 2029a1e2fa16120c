//! The bounds of connections and of their heads.

use std::time::Duration;

use talaria_hub::limits::Rate;

use super::{settings, with};
use crate::settings::{ConnectionSettings, HeadSettings};

#[test]
fn every_bound_of_connections_takes_effect() {
    let settings = settings(
        "max_connections 1000\nmax_connections_per_address 20\nmax_connection_rate 50/s 500\n\
         max_connection_rate_per_address 600/m\nmax_handshakes 30\nmax_streams_per_connection 40\n\
         max_header_size 64KiB\nmax_header_fields 50\nheader_timeout 5s\nmax_header_memory 1MiB\n\
         max_anonymous_body_size 1KiB\n",
    );
    let expected = ConnectionSettings {
        most: Some(1000),
        most_of_address: Some(20),
        rate: Some(Rate::per_second(50, 500)),
        rate_of_address: Some(Rate::new(600, Duration::from_secs(60), 600)),
        handshakes: Some(30),
        streams: 40,
        head: HeadSettings {
            bytes: 64 * 1024,
            fields: 50,
            timeout: Duration::from_secs(5),
        },
        head_memory: 1024 * 1024,
    };
    assert_eq!(settings.program.connections, expected);
    assert_eq!(settings.hubs[0].options.max_anonymous_body_size, 1024);
    for (wrong, remedy) in [
        ("max_connections 9", "digits"),
        ("max_connections", "a number"),
        ("max_connections_per_address 0", "digits"),
        ("max_connection_rate", "such as 100/s"),
        ("max_connection_rate 10", "such as 100/s"),
        ("max_connection_rate 10/d", "second, minute or hour"),
        ("max_connection_rate 0/s", "a rate of 1 to 1000000"),
        ("max_connection_rate +1/s", "a rate of 1 to 1000000"),
        ("max_connection_rate 1000001/s", "a rate of 1 to 1000000"),
        ("max_connection_rate 1/s 0", "a number from 1 to 1000000"),
        ("max_connection_rate 1/s 2 3", "takes a rate"),
        ("max_connection_rate off 3", "takes a rate"),
        ("max_connection_rate_per_address fast", "such as 100/s"),
        ("max_handshakes 1", "digits"),
        ("max_connections 99999999999", "from 10 to 100000000"),
        ("max_connections_per_address 99999999999", "from 1 to"),
        ("max_handshakes 99999999999", "from 10 to"),
        ("max_streams_per_connection 0", "digits"),
        ("max_streams_per_connection off", "digits"),
        ("max_streams_per_connection 5000000000", "from 1 to 100000"),
        ("max_header_fields 1001", "from 1 to 1000"),
        ("max_header_fields 4000000000", "from 1 to 1000"),
        ("max_header_fields off", "digits"),
        ("header_timeout 1ns", "from 100ms to 1h"),
        ("header_timeout 100000h", "from 100ms to 1h"),
        ("max_header_memory 0", "`off`"),
        ("max_header_memory 4KiB", "at least 1MiB, or `off`"),
        ("max_anonymous_body_size 0", "`off`"),
        ("max_header_fields 0", "digits"),
        ("max_header_size 1KiB", "from 8KiB to 16MiB"),
        ("max_header_size 1GiB", "from 8KiB to 16MiB"),
        ("header_timeout 0s", "such as 10s"),
        ("max_header_memory much", "such as 64MiB, or `off`"),
        ("max_anonymous_body_size -1", "such as 64MiB, or `off`"),
    ] {
        let error = with(wrong).unwrap_err().to_string();
        assert!(error.contains(remedy), "{wrong}: {error}");
    }
}

/// `off` stands for no bound where the hub can do without one.
#[test]
fn bounds_of_connections_may_be_off() {
    let settings = settings(
        "max_connections 1000\nmax_connections off\nmax_connections_per_address 5\n\
         max_connections_per_address off\nmax_connection_rate off\nmax_handshakes off\nmax_header_memory off\n\
         max_anonymous_body_size off\n",
    );
    let connections = settings.program.connections;
    assert_eq!(connections.most, None);
    assert_eq!(connections.most_of_address, None);
    assert_eq!(
        (connections.rate, connections.rate_of_address),
        (None, None)
    );
    assert!(connections.handshakes >= Some(1_000_000));
    assert_eq!(connections.head_memory, u64::MAX);
    assert_eq!(settings.hubs[0].options.max_anonymous_body_size, usize::MAX);
}
