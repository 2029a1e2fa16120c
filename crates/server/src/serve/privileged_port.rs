//! What to do when the system keeps a port from a user that is not root.

use std::io;

/// The ports that need a right on most systems.
const PRIVILEGED: std::ops::Range<u16> = 1..1024;

/// How to get the right, if that is why a port could not be bound.
pub(crate) fn remedy(port: u16, error: &io::Error) -> Option<String> {
    if error.kind() != io::ErrorKind::PermissionDenied || !PRIVILEGED.contains(&port) {
        return None;
    }
    let program = std::env::current_exe()
        .map_or_else(|_| "talaria".to_owned(), |path| path.display().to_string());
    Some(format!(
        "only root binds ports below 1024; run as root: setcap 'cap_net_bind_service=+ep' {program}; or write AmbientCapabilities=CAP_NET_BIND_SERVICE in the unit of systemd"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_to_bind_is_named() {
        let denied = || io::Error::from(io::ErrorKind::PermissionDenied);
        let said = remedy(443, &denied()).unwrap();
        for expected in [
            "setcap 'cap_net_bind_service=+ep' /",
            "AmbientCapabilities=CAP_NET_BIND_SERVICE",
        ] {
            assert!(said.contains(expected), "{said}");
        }
        assert_eq!(remedy(3000, &denied()), None);
        let taken = io::Error::from(io::ErrorKind::AddrInUse);
        assert_eq!(remedy(443, &taken), None);
    }
}
