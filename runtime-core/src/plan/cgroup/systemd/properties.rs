//! The unit of a container, and the properties that its limits have.

use serde::Serialize;

use super::name::UnitName;
use super::value::Value;
use super::{annotations, devices, v1};
use crate::error::Result;
use crate::plan::bitmask;
use crate::plan::resources::devices::DeviceRule;
use crate::plan::resources::{Missing, Write};
use std::collections::HashMap;

/// A property of a unit (systemd.resource-control(5), systemd.scope(5)).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Property {
    /// Its name on D-Bus.
    pub name: String,
    /// Its value.
    pub value: Value,
    /// Whether it may be left out where systemd is too old for it: the limit is
    /// written directly as well.
    pub optional: bool,
}

/// A transient unit, but for the process that it starts with.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Unit {
    /// Its name, with its type.
    pub name: String,
    /// In the order in which systemd gets them.
    pub properties: Vec<Property>,
}

impl Property {
    pub(super) fn new(name: &str, value: Value) -> Self {
        Self { name: name.to_owned(), value, optional: false }
    }

    pub(super) fn or_not(self) -> Self {
        Self { optional: true, ..self }
    }
}

/// What a unit is made from.
pub(in crate::plan::cgroup) struct Parts<'a> {
    pub(in crate::plan::cgroup) name: &'a UnitName,
    pub(in crate::plan::cgroup) writes: &'a [Write],
    pub(in crate::plan::cgroup) rules: &'a [DeviceRule],
    pub(in crate::plan::cgroup) on_v1: bool,
    pub(in crate::plan::cgroup) annotations: Option<&'a HashMap<String, String>>,
}

/// The unit of a new container. `org.systemd.property.*` annotations come before the
/// limits of the configuration, which overrule them.
pub(in crate::plan::cgroup) fn unit(parts: &Parts<'_>) -> Result<Unit> {
    let mut properties =
        vec![Property::new("Description", Value::text(format!("container {}", parts.name.name)))];
    let slice = parts.name.slice.as_str();
    if parts.name.is_slice() {
        properties.push(Property::new("Wants", Value::texts([slice.to_owned()])));
    } else {
        properties.push(Property::new("Slice", Value::text(slice)));
        properties.push(Property::new("Delegate", Value::Bool(true)));
    }
    let io = if parts.on_v1 { v1::IO_ACCOUNTING } else { "IOAccounting" };
    for name in ["MemoryAccounting", "CPUAccounting", io, "TasksAccounting"] {
        properties.push(Property::new(name, Value::Bool(true)));
    }
    properties.push(Property::new("DefaultDependencies", Value::Bool(false)));
    properties.extend(annotations::properties(parts.annotations)?);
    properties.extend(parts.writes.iter().filter_map(oom_policy));
    properties.extend(match parts.on_v1 {
        true => devices::on_v1(parts.rules)?,
        false => devices::beside_filter(parts.rules),
    });
    properties.extend(limits(parts.writes));
    Ok(Unit { name: parts.name.unit.clone(), properties })
}

/// The properties of limits, by the files that would be written for them: so `resources` and
/// its `unified` lead to the same. What has none is only written.
pub fn limits(writes: &[Write]) -> Vec<Property> {
    let idle = writes.iter().any(|write| write.file == "cpu.idle" && write.value.trim() == "1");
    let on_v1 = writes.iter().flat_map(|write| v1::limit(write, writes));
    writes.iter().flat_map(|write| limit(write, idle)).chain(on_v1).collect()
}

/// Files with a number or `max`, and their properties.
const NUMBERS: [(&str, &str); 7] = [
    ("memory.high", "MemoryHigh"),
    ("memory.low", "MemoryLow"),
    ("memory.max", "MemoryMax"),
    ("memory.min", "MemoryMin"),
    ("memory.swap.max", "MemorySwapMax"),
    ("memory.zswap.max", "MemoryZSwapMax"),
    ("pids.max", "TasksMax"),
];

fn limit(write: &Write, idle: bool) -> Vec<Property> {
    let value = write.value.trim();
    if let Some((_, name)) = NUMBERS.iter().find(|(file, _)| write.file == *file) {
        // systemd takes 0 tasks for no limit at all.
        let number = match number(value) {
            Some(0) if *name == "TasksMax" => Some(1),
            number => number,
        };
        let property = number.map(|number| Property::new(name, Value::U64(number)));
        let newer = *name == "MemoryZSwapMax";
        return property.map(|one| if newer { one.or_not() } else { one }).into_iter().collect();
    }
    match write.file.as_ref() {
        // A weight of 0 means idle, since systemd 252.
        "cpu.idle" if idle => vec![Property::new("CPUWeight", Value::U64(0)).or_not()],
        "cpu.weight" if !idle => {
            number(value).map(|n| Property::new("CPUWeight", Value::U64(n))).into_iter().collect()
        }
        "cpu.max" => quota(value),
        "cpuset.cpus" => cpuset("AllowedCPUs", value),
        "cpuset.mems" => cpuset("AllowedMemoryNodes", value),
        "io.weight" => io_weight(value),
        "io.bfq.weight" => match &write.missing {
            Missing::Instead { value, .. } => io_weight(value),
            _ => Vec::new(),
        },
        "io.max" => io_max(value),
        _ => Vec::new(),
    }
}

fn number(text: &str) -> Option<u64> {
    if text == "max" { Some(u64::MAX) } else { text.parse().ok() }
}

/// `QUOTA PERIOD`, both in µs. systemd keeps a quota in whole percents of a CPU and
/// sets that at its next reload: rounded up, lest the limit becomes a lower one then.
pub(super) fn quota(value: &str) -> Vec<Property> {
    const SECOND: u64 = 1_000_000;
    const PERCENT: u64 = 10_000;
    const PERIOD: u64 = 100_000;
    let mut words = value.split_whitespace();
    let quota = words.next().and_then(number);
    let period = words.next().map_or(Some(PERIOD), |word| word.parse().ok());
    let (Some(quota), Some(period)) = (quota, period.filter(|period| *period > 0)) else {
        return Vec::new();
    };
    let per_second = match quota {
        u64::MAX => u64::MAX,
        quota => {
            let exact = u128::from(quota) * u128::from(SECOND) / u128::from(period);
            u64::try_from(exact).unwrap_or(u64::MAX / 2).next_multiple_of(PERCENT)
        }
    };
    vec![
        Property::new("CPUQuotaPeriodUSec", Value::U64(period)),
        Property::new("CPUQuotaPerSecUSec", Value::U64(per_second)),
    ]
}

fn cpuset(name: &str, list: &str) -> Vec<Property> {
    let Some(words) = bitmask::from_list(list) else { return Vec::new() };
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    while bytes.last() == Some(&0) {
        bytes.pop();
    }
    // Since systemd 244.
    vec![Property::new(name, Value::bytes(bytes)).or_not()]
}

/// `WEIGHT`, `default WEIGHT`, or `MAJOR:MINOR WEIGHT`.
fn io_weight(value: &str) -> Vec<Property> {
    let (device, weight) = value.split_once(' ').unwrap_or(("default", value));
    let Some(weight) = weight.trim().parse().ok().map(Value::U64) else { return Vec::new() };
    match device {
        "default" => vec![Property::new("IOWeight", weight)],
        device => vec![Property::new("IODeviceWeight", for_device(device, weight))],
    }
}

/// `MAJOR:MINOR KEY=VALUE …`.
fn io_max(value: &str) -> Vec<Property> {
    const NAMES: [(&str, &str); 4] = [
        ("rbps", "IOReadBandwidthMax"),
        ("riops", "IOReadIOPSMax"),
        ("wbps", "IOWriteBandwidthMax"),
        ("wiops", "IOWriteIOPSMax"),
    ];
    let mut words = value.split_whitespace();
    let Some(device) = words.next() else { return Vec::new() };
    let property = |word: &str| {
        let (key, limit) = word.split_once('=')?;
        let (_, name) = NAMES.iter().find(|(known, _)| *known == key)?;
        Some(Property::new(name, for_device(device, Value::U64(number(limit)?))))
    };
    words.filter_map(property).collect()
}

pub(super) fn for_device(device: &str, value: Value) -> Value {
    let pair = Value::Struct(vec![Value::text(format!("/dev/block/{device}")), value]);
    Value::Array("(st)".to_owned(), vec![pair])
}

/// Of a scope it can be set at its start only, since systemd 253.
fn oom_policy(write: &Write) -> Option<Property> {
    let policy = match (write.file.as_ref(), write.value.trim()) {
        ("memory.oom.group", "0") => "continue",
        ("memory.oom.group", "1") => "kill",
        _ => return None,
    };
    Some(Property::new("OOMPolicy", Value::text(policy)).or_not())
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci_spec::runtime::LinuxResources;

    fn lines(resources: &str) -> Vec<String> {
        let resources: LinuxResources = serde_json::from_str(resources).unwrap();
        let limits = limits(&crate::plan::resources::v2(&resources).unwrap().writes);
        let line = |one: &Property| format!("{}={}", one.name, one.value);
        limits.iter().map(line).collect()
    }

    #[test]
    fn limits_become_properties() {
        let all = lines(
            r#"{"memory": {"limit": 1000000, "swap": 3000000, "reservation": 500000},
                "cpu": {"shares": 1024, "quota": 12345, "period": 50000, "cpus": "0-1,8"},
                "pids": {"limit": 0}}"#,
        );
        for expected in [
            "MemoryMax=1000000",
            "MemorySwapMax=2000000",
            "MemoryLow=500000",
            "CPUWeight=100",
            "CPUQuotaPeriodUSec=50000",
            "CPUQuotaPerSecUSec=250000",
            "AllowedCPUs=[3, 1]",
            "TasksMax=1",
        ] {
            assert!(all.iter().any(|line| line == expected), "{expected} is not in {all:?}");
        }
    }

    #[test]
    fn unified_files_become_the_same_properties() {
        let all = lines(
            r#"{"unified": {"memory.high": "max", "cpu.max": "max 100000", "pids.max": "7",
                "io.max": "8:0 rbps=1000 wiops=max", "io.weight": "default 50", "hugetlb.2MB.max": "0"}}"#,
        );
        assert_eq!(
            all,
            [
                "CPUQuotaPeriodUSec=100000",
                "CPUQuotaPerSecUSec=infinity",
                "IOReadBandwidthMax=[(\"/dev/block/8:0\", 1000)]",
                "IOWriteIOPSMax=[(\"/dev/block/8:0\", infinity)]",
                "IOWeight=50",
                "MemoryHigh=infinity",
                "TasksMax=7",
            ]
        );
    }

    #[test]
    fn idle_is_a_weight_of_zero() {
        let all = lines(r#"{"cpu": {"idle": 1}, "unified": {"cpu.weight": "50"}}"#);
        assert_eq!(all, ["CPUWeight=0"]);
    }
}
