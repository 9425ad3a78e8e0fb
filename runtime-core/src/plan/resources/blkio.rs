//! `resources.blockIO`: the v1 controller blkio, the v2 controller io.

use oci_spec::runtime::{LinuxBlockIo, LinuxThrottleDevice, LinuxWeightDevice};

use super::{Limits, Write, not_on_v2, pointer, set};
use crate::error::{Error, Result};

/// One of the four throttle lists: its field, its v1 file, its v2 key.
struct Throttle<'a> {
    field: &'static str,
    file: &'static str,
    key: &'static str,
    devices: &'a [LinuxThrottleDevice],
}

pub(super) fn v1(block: &LinuxBlockIo, limits: &mut Limits) -> Result<()> {
    if let Some(weight) = weight("blockIO/weight", block.weight())? {
        let value = weight.to_string();
        // The file of the CFQ scheduler (before Linux 5.0), or of BFQ.
        limits.add(
            Write::new("blkio", "blkio.weight", value.clone(), "blockIO/weight")
                .or_instead("blkio.bfq.weight", value),
        );
    }
    if let Some(weight) = weight("blockIO/leafWeight", block.leaf_weight())? {
        limits.add(Write::new(
            "blkio",
            "blkio.leaf_weight",
            weight.to_string(),
            "blockIO/leafWeight",
        ));
    }
    for (index, device) in block.weight_device().iter().flatten().enumerate() {
        device_weights_v1(index, device, limits)?;
    }
    for throttle in throttles(block) {
        for (index, device) in throttle.devices.iter().enumerate() {
            let field = format!("{}/{index}", throttle.field);
            let name = number(device.major(), device.minor(), &field)?;
            let value = format!("{name} {}", device.rate());
            limits.add(Write::new("blkio", throttle.file, value, &field));
        }
    }
    Ok(())
}

fn device_weights_v1(index: usize, device: &LinuxWeightDevice, limits: &mut Limits) -> Result<()> {
    let field = format!("blockIO/weightDevice/{index}");
    let name = number(device.major(), device.minor(), &field)?;
    if let Some(weight) = weight(&field, device.weight())? {
        let value = format!("{name} {weight}");
        limits.add(
            Write::new("blkio", "blkio.weight_device", value.clone(), &field)
                .or_instead("blkio.bfq.weight_device", value),
        );
    }
    if let Some(weight) = weight(&field, device.leaf_weight())? {
        let value = format!("{name} {weight}");
        limits.add(Write::new("blkio", "blkio.leaf_weight_device", value, &field));
    }
    Ok(())
}

pub(super) fn v2(block: &LinuxBlockIo, limits: &mut Limits) -> Result<()> {
    if let Some(weight) = weight("blockIO/weight", block.weight())? {
        limits.add(
            Write::new("io", "io.bfq.weight", weight.to_string(), "blockIO/weight")
                .or_instead("io.weight", io_weight(weight).to_string()),
        );
    }
    let mut leaf = block.leaf_weight().is_some_and(|weight| weight != 0);
    for (index, device) in block.weight_device().iter().flatten().enumerate() {
        let field = format!("blockIO/weightDevice/{index}");
        let name = number(device.major(), device.minor(), &field)?;
        leaf |= device.leaf_weight().is_some_and(|weight| weight != 0);
        if let Some(weight) = weight(&field, device.weight())? {
            limits.add(
                Write::new("io", "io.bfq.weight", format!("{name} {weight}"), &field)
                    .or_instead("io.weight", format!("{name} {}", io_weight(weight))),
            );
        }
    }
    if leaf {
        return Err(not_on_v2("blockIO/leafWeight"));
    }
    for throttle in throttles(block) {
        for (index, device) in throttle.devices.iter().enumerate() {
            let field = format!("{}/{index}", throttle.field);
            let name = number(device.major(), device.minor(), &field)?;
            let value = format!("{name} {}={}", throttle.key, rate_v2(device.rate()));
            limits.add(Write::new("io", "io.max", value, &field));
        }
    }
    Ok(())
}

fn throttles(block: &LinuxBlockIo) -> [Throttle<'_>; 4] {
    [
        Throttle {
            field: "blockIO/throttleReadBpsDevice",
            file: "blkio.throttle.read_bps_device",
            key: "rbps",
            devices: block.throttle_read_bps_device().as_deref().unwrap_or_default(),
        },
        Throttle {
            field: "blockIO/throttleWriteBpsDevice",
            file: "blkio.throttle.write_bps_device",
            key: "wbps",
            devices: block.throttle_write_bps_device().as_deref().unwrap_or_default(),
        },
        Throttle {
            field: "blockIO/throttleReadIOPSDevice",
            file: "blkio.throttle.read_iops_device",
            key: "riops",
            devices: block.throttle_read_iops_device().as_deref().unwrap_or_default(),
        },
        Throttle {
            field: "blockIO/throttleWriteIOPSDevice",
            file: "blkio.throttle.write_iops_device",
            key: "wiops",
            devices: block.throttle_write_iops_device().as_deref().unwrap_or_default(),
        },
    ]
}

/// Zero lifts the limit on v1; v2 has a word for that and refuses zero.
fn rate_v2(rate: u64) -> String {
    if rate == 0 { "max".to_owned() } else { rate.to_string() }
}

/// The v2 weight (1 to 10000) for a v1 weight (10 to 1000).
fn io_weight(weight: u16) -> u64 {
    1 + (u64::from(weight) - 10) * 9999 / 990
}

/// A weight in the v1 range, which the spec uses for both; zero is unset.
fn weight(field: &str, weight: Option<u16>) -> Result<Option<u16>> {
    match set(weight) {
        Some(weight) if !(10..=1000).contains(&weight) => Err(Error::config(
            pointer(field),
            format!("block I/O weight {weight} is not between 10 and 1000"),
        )),
        weight => Ok(weight),
    }
}

/// `major:minor`.
fn number(major: i64, minor: i64, field: &str) -> Result<String> {
    match (u32::try_from(major), u32::try_from(minor)) {
        (Ok(major), Ok(minor)) => Ok(format!("{major}:{minor}")),
        _ => Err(Error::config(pointer(field), format!("{major}:{minor} is no device number"))),
    }
}
