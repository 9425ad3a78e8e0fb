//! The properties that limits of cgroup v1 have. systemd writes those of v2 there as well, but
//! translated, and not all of them.

use super::properties::{Property, for_device, quota};
use super::value::Value;
use crate::plan::resources::Write;

/// With `IOAccounting` instead, no weight of `BlockIO` would count.
pub(super) const IO_ACCOUNTING: &str = "BlockIOAccounting";

/// Files with one number for the whole cgroup, and their properties.
const NUMBERS: [(&str, &str); 4] = [
    ("blkio.bfq.weight", "BlockIOWeight"),
    ("blkio.weight", "BlockIOWeight"),
    ("cpu.shares", "CPUShares"),
    ("memory.limit_in_bytes", "MemoryLimit"),
];

/// Files with a line for each device, and their properties.
const DEVICES: [(&str, &str); 4] = [
    ("blkio.bfq.weight_device", "BlockIODeviceWeight"),
    ("blkio.throttle.read_bps_device", "BlockIOReadBandwidth"),
    ("blkio.throttle.write_bps_device", "BlockIOWriteBandwidth"),
    ("blkio.weight_device", "BlockIODeviceWeight"),
];

const QUOTA: &str = "cpu.cfs_quota_us";
const PERIOD: &str = "cpu.cfs_period_us";

/// Those of `write`, one of `writes`; none for a file of v2.
pub(super) fn limit(write: &Write, writes: &[Write]) -> Vec<Property> {
    let (file, value) = (write.file.as_ref(), write.value.trim());
    let find = |table: &[(&str, &'static str)]| {
        table.iter().find(|(known, _)| *known == file).map(|(_, name)| *name)
    };
    if let Some(name) = find(&NUMBERS) {
        let property = number(value).map(|number| Property::new(name, Value::U64(number)));
        return property.into_iter().collect();
    }
    if let Some(name) = find(&DEVICES) {
        let property = value.split_once(' ').and_then(|(device, number)| {
            let number = Value::U64(number.trim().parse().ok()?);
            Some(Property::new(name, for_device(device, number)))
        });
        return property.into_iter().collect();
    }
    let other = |name: &str| writes.iter().find(|write| write.file == name);
    match file {
        QUOTA => {
            let period = other(PERIOD).map(|write| write.value.trim()).unwrap_or_default();
            let quota_alone = if value.starts_with('-') { "max" } else { value };
            since_242(quota(&format!("{quota_alone} {period}")))
        }
        PERIOD if other(QUOTA).is_none() => since_242(quota(&format!("max {value}"))),
        _ => Vec::new(),
    }
}

/// The period of a quota became a property with systemd 242; without, it is 100 ms, and so
/// what systemd would write is as much of a processor.
fn since_242(properties: Vec<Property>) -> Vec<Property> {
    let period = |one: Property| if one.name == "CPUQuotaPeriodUSec" { one.or_not() } else { one };
    properties.into_iter().map(period).collect()
}

fn number(text: &str) -> Option<u64> {
    if text == "-1" { Some(u64::MAX) } else { text.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::super::limits;
    use crate::plan::resources::{Present, v1};

    fn lines(resources: &str) -> Vec<String> {
        let resources = serde_json::from_str(resources).unwrap();
        let limits = limits(&v1(&resources, Present::default()).unwrap().writes);
        limits.iter().map(|one| format!("{}={}", one.name, one.value)).collect()
    }

    #[test]
    fn limits_of_v1_become_its_properties() {
        let all = lines(
            r#"{"memory": {"limit": 1000000, "swap": 3000000, "reservation": 500000},
                "cpu": {"shares": 1024, "quota": 12345, "period": 50000, "cpus": "0-1,8"},
                "pids": {"limit": -1},
                "blockIO": {"weight": 100,
                    "weightDevice": [{"major": 8, "minor": 0, "weight": 200}],
                    "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 5}],
                    "throttleReadIOPSDevice": [{"major": 8, "minor": 0, "rate": 6}]}}"#,
        );
        let mut expected = vec![
            "MemoryLimit=1000000",
            "CPUShares=1024",
            "CPUQuotaPeriodUSec=50000",
            "CPUQuotaPerSecUSec=250000",
            "TasksMax=infinity",
            "BlockIOWeight=100",
            "BlockIODeviceWeight=[(\"/dev/block/8:0\", 200)]",
            "BlockIOReadBandwidth=[(\"/dev/block/8:0\", 5)]",
        ];
        let mut found: Vec<&str> = all.iter().map(String::as_str).collect();
        // systemd has no cpusets on v1.
        found.retain(|line| !line.starts_with("AllowedCPUs="));
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected);
    }

    #[test]
    fn no_limit_is_infinity() {
        let all = lines(r#"{"memory": {"limit": -1}, "cpu": {"quota": -1}}"#);
        assert!(all.contains(&"MemoryLimit=infinity".to_owned()), "{all:?}");
        assert!(all.contains(&"CPUQuotaPerSecUSec=infinity".to_owned()), "{all:?}");
    }

    #[test]
    fn a_period_without_a_quota_is_one_of_no_limit() {
        let all = lines(r#"{"cpu": {"period": 50000}}"#);
        assert_eq!(all, ["CPUQuotaPeriodUSec=50000", "CPUQuotaPerSecUSec=infinity"]);
    }
}
