//! What the network interfaces of a container have carried.

use crate::error::{Error, Result};
use serde::Serialize;
use std::os::unix::fs::MetadataExt;

/// What one interface has carried, as the container sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct NetworkInterface {
    /// Its name inside.
    pub name: String,
    /// Bytes that it received.
    pub rx_bytes: u64,
    /// Packets that it received.
    pub rx_packets: u64,
    /// Those that were broken.
    pub rx_errors: u64,
    /// Those that were dropped.
    pub rx_dropped: u64,
    /// Bytes that it sent.
    pub tx_bytes: u64,
    /// Packets that it sent.
    pub tx_packets: u64,
    /// Those that could not be sent.
    pub tx_errors: u64,
    /// Those that were dropped.
    pub tx_dropped: u64,
}

/// The interfaces of process `pid` but loopback, by name; none when it shares those of
/// the caller. It may be gone: then there are none, too.
pub(crate) fn read(pid: i32) -> Result<Vec<NetworkInterface>> {
    let namespace = |of: &str| std::fs::metadata(format!("/proc/{of}/ns/net")).map(|it| it.ino());
    let Ok(theirs) = namespace(&pid.to_string()) else { return Ok(Vec::new()) };
    if namespace("thread-self").is_ok_and(|ours| ours == theirs) {
        return Ok(Vec::new());
    }
    let path = format!("/proc/{pid}/net/dev");
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(parse(&text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        // A zombie has no namespaces any more.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(Vec::new()),
        Err(error) => Err(Error::io("read", &error).path(path)),
    }
}

/// proc_pid_net(5): two lines of heads, then "NAME: " with eight numbers for receiving
/// and eight for sending.
fn parse(text: &str) -> Vec<NetworkInterface> {
    let interface = |line: &str| {
        let (name, numbers) = line.rsplit_once(':')?;
        let numbers: Vec<u64> =
            numbers.split_whitespace().filter_map(|number| number.parse().ok()).collect();
        let (received, sent) = numbers.split_at_checked(8)?;
        let [tx_bytes, tx_packets, tx_errors, tx_dropped, ..] = *sent else { return None };
        Some(NetworkInterface {
            name: name.trim().to_owned(),
            rx_bytes: received[0],
            rx_packets: received[1],
            rx_errors: received[2],
            rx_dropped: received[3],
            tx_bytes,
            tx_packets,
            tx_errors,
            tx_dropped,
        })
    };
    let mut all: Vec<_> = text.lines().skip(2).filter_map(interface).collect();
    all.retain(|interface| interface.name != "lo");
    all.sort_by(|one, other| one.name.cmp(&other.name));
    all
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn an_interface_has_its_numbers_and_loopback_is_left_out() {
        let text = "Inter-|   Receive  |  Transmit\n face |bytes packets|bytes\n\
                    \u{20}   lo: 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9\n\
                    \u{20} eth0: 1 2 3 4 5 6 7 8 11 12 13 14 15 16 17 18\n";
        let [eth0] = &parse(text)[..] else { panic!("not one") };
        assert_eq!(eth0.name, "eth0");
        assert_eq!((eth0.rx_bytes, eth0.rx_packets, eth0.rx_errors, eth0.rx_dropped), (1, 2, 3, 4));
        assert_eq!(
            (eth0.tx_bytes, eth0.tx_packets, eth0.tx_errors, eth0.tx_dropped),
            (11, 12, 13, 14)
        );
    }
}
