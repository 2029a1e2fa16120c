//! The names of the log's keys, all in one hash slot.

/// The keys of one log.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    /// The stream of updates.
    pub(crate) log: String,
    /// The hash of what is known of the log and its members.
    pub(crate) meta: String,
    /// The sorted set of the ids that publishers chose.
    pub(crate) ids: String,
    /// The list of the stream ids of subscription events.
    pub(crate) events: String,
    /// What the tails write before they wait for replicas.
    pub(crate) confirm: String,
    /// What the start writes and deletes to learn what is permitted.
    pub(crate) probe: String,
    /// Begins the name of a member's hash of subscriptions.
    pub(crate) subscriptions: String,
    /// Begins the name of a key that remembers an update that must not be repeated.
    pub(crate) once: String,
}

impl Keys {
    pub(crate) fn new(stream: &str) -> Self {
        let key = |name| format!("{{{stream}}}:{name}");
        Self {
            log: key("log"),
            meta: key("meta"),
            ids: key("ids"),
            events: key("events"),
            confirm: key("confirm"),
            probe: key("probe"),
            subscriptions: key("subs:"),
            once: key("once:"),
        }
    }
}

/// The hash slot of the keys of a log, as clusters compute it.
pub(crate) fn slot(stream: &str) -> u16 {
    let crc = stream.bytes().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
            let shifted = crc << 1;
            if crc & 0x8000 == 0 {
                shifted
            } else {
                shifted ^ 0x1021
            }
        })
    });
    crc % 16_384
}

#[cfg(test)]
mod tests {
    use super::slot;

    /// The check value of CRC-16/XMODEM, which the cluster specification names.
    #[test]
    fn a_slot_is_the_crc_of_the_name() {
        assert_eq!(slot("123456789"), 0x31C3);
        assert_eq!(slot("foo"), 12_182);
    }
}
