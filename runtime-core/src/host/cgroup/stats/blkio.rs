//! Block devices.

use serde::Serialize;

use super::{LiveCgroup, PsiStats, is_default, number};
use crate::error::Result;
use crate::plan::cgroup::Directory;

/// Block devices, in the tables of v1; v2 has the first two.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BlkioStats {
    /// Bytes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_service_bytes_recursive: Vec<BlkioEntry>,
    /// Requests.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_serviced_recursive: Vec<BlkioEntry>,
    /// Requests that wait.
    #[serde(rename = "ioQueueRecursive", skip_serializing_if = "Vec::is_empty")]
    pub io_queued_recursive: Vec<BlkioEntry>,
    /// Nanoseconds between dispatch and completion.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_service_time_recursive: Vec<BlkioEntry>,
    /// Nanoseconds in queues.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_wait_time_recursive: Vec<BlkioEntry>,
    /// Requests that were merged into others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_merged_recursive: Vec<BlkioEntry>,
    /// Milliseconds of the disks' time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_time_recursive: Vec<BlkioEntry>,
    /// Sectors.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sectors_recursive: Vec<BlkioEntry>,
    /// How much tasks waited for block devices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<PsiStats>,
}

/// One number of one device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BlkioEntry {
    /// The device's major number.
    #[serde(skip_serializing_if = "is_default")]
    pub major: u64,
    /// Its minor number.
    #[serde(skip_serializing_if = "is_default")]
    pub minor: u64,
    /// What was done: "Read", "Write", "Sync", "Total"…; empty where that is not told.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub op: String,
    /// How much.
    #[serde(skip_serializing_if = "is_default")]
    pub value: u64,
}

type Table = fn(&mut BlkioStats) -> &mut Vec<BlkioEntry>;

const BYTES: Table = |stats| &mut stats.io_service_bytes_recursive;
const SERVICED: Table = |stats| &mut stats.io_serviced_recursive;

/// The files of a scheduler that counts everything: bfq with debugging, cfq of old.
const SCHEDULER: [(&str, Table); 8] = [
    ("sectors_recursive", |stats| &mut stats.sectors_recursive),
    ("io_service_time_recursive", |stats| &mut stats.io_service_time_recursive),
    ("io_wait_time_recursive", |stats| &mut stats.io_wait_time_recursive),
    ("io_merged_recursive", |stats| &mut stats.io_merged_recursive),
    ("io_queued_recursive", |stats| &mut stats.io_queued_recursive),
    ("time_recursive", |stats| &mut stats.io_time_recursive),
    ("io_serviced_recursive", SERVICED),
    ("io_service_bytes_recursive", BYTES),
];
const RECURSIVE: [(&str, Table); 2] =
    [("io_serviced_recursive", SERVICED), ("io_service_bytes_recursive", BYTES)];
const FLAT: [(&str, Table); 2] = [("io_serviced", SERVICED), ("io_service_bytes", BYTES)];

/// Who may count, the one that tells most first: the first that has counted is believed.
const COUNTERS: [(&str, &[(&str, Table)]); 5] = [
    ("blkio.bfq", &SCHEDULER),
    ("blkio.bfq", &RECURSIVE),
    ("blkio", &SCHEDULER),
    ("blkio.throttle", &RECURSIVE),
    ("blkio.throttle", &FLAT),
];

impl LiveCgroup {
    pub(super) fn blkio_stats(&self) -> Result<BlkioStats> {
        let v1 = self.directory_of("blkio").filter(|found| !found.is_v2());
        let mut stats = match (v1, self.directory_of("io")) {
            (Some(directory), _) => self.blkio_v1(directory)?,
            (None, Some(directory)) => self.blkio_v2(directory)?,
            (None, None) => BlkioStats::default(),
        };
        stats.psi = self.psi("io.pressure")?;
        Ok(stats)
    }

    fn blkio_v1(&self, directory: &Directory) -> Result<BlkioStats> {
        let mut stats = BlkioStats::default();
        for (prefix, files) in COUNTERS {
            for (name, table) in files {
                let text = self.text(directory, &format!("{prefix}.{name}"))?;
                let entries = parse_v1(&text.unwrap_or_default());
                if entries.is_empty() {
                    break;
                }
                *table(&mut stats) = entries;
            }
            if !stats.io_service_bytes_recursive.is_empty() {
                break;
            }
        }
        Ok(stats)
    }

    fn blkio_v2(&self, directory: &Directory) -> Result<BlkioStats> {
        Ok(parse_v2(&self.text(directory, "io.stat")?.unwrap_or_default()))
    }
}

/// Lines "MAJOR:MINOR OP VALUE" or "MAJOR:MINOR VALUE"; the sum at the end is not about
/// a device.
fn parse_v1(text: &str) -> Vec<BlkioEntry> {
    let entry = |line: &str| {
        let fields: Vec<&str> = line.split([' ', ':']).collect();
        let (major, minor, op, value) = match fields[..] {
            [major, minor, value] => (major, minor, "", value),
            [major, minor, op, value] => (major, minor, op, value),
            _ => return None,
        };
        let (major, minor) = (major.parse().ok()?, minor.parse().ok()?);
        Some(BlkioEntry { major, minor, op: op.to_owned(), value: number(value)? })
    };
    text.lines().filter_map(entry).collect()
}

/// Lines "MAJOR:MINOR rbytes=… wbytes=… rios=… wios=…".
fn parse_v2(text: &str) -> BlkioStats {
    let mut stats = BlkioStats::default();
    for line in text.lines() {
        let mut fields = line.split(' ');
        let device = fields.next().and_then(|device| {
            let (major, minor) = device.split_once(':')?;
            Some((major.parse().ok()?, minor.parse().ok()?))
        });
        let Some((major, minor)) = device else { continue };
        for (key, value) in fields.filter_map(|field| field.split_once('=')) {
            let (op, table): (&str, Table) = match key {
                "rbytes" => ("Read", BYTES),
                "wbytes" => ("Write", BYTES),
                "rios" => ("Read", SERVICED),
                "wios" => ("Write", SERVICED),
                _ => continue,
            };
            let value = number(value).unwrap_or(0);
            table(&mut stats).push(BlkioEntry { major, minor, op: op.to_owned(), value });
        }
    }
    stats
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(major: u64, minor: u64, op: &str, value: u64) -> BlkioEntry {
        BlkioEntry { major, minor, op: op.to_owned(), value }
    }

    #[test]
    fn a_table_of_v1_is_read_without_its_sum() {
        let text = "8:0 Read 5\n8:0 Total 5\n7:1 9\nTotal 14\n";
        let all = [entry(8, 0, "Read", 5), entry(8, 0, "Total", 5), entry(7, 1, "", 9)];
        assert_eq!(parse_v1(text), all);
    }

    #[test]
    fn a_line_of_v2_goes_to_the_tables_of_v1() {
        let stats = parse_v2("253:2 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n254:0 \n");
        let bytes = [entry(253, 2, "Read", 1), entry(253, 2, "Write", 2)];
        let requests = [entry(253, 2, "Read", 3), entry(253, 2, "Write", 4)];
        assert_eq!(stats.io_service_bytes_recursive, bytes);
        assert_eq!(stats.io_serviced_recursive, requests);
    }
}
