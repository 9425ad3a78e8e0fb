//! `resources.cpu` without the cpuset.

use oci_spec::runtime::LinuxCpu;

use super::{Limits, Write, not_on_v2, pointer, set};
use crate::error::{Error, Result};

/// What the kernel uses for `cpu.max` when no period was ever set, in µs.
const DEFAULT_PERIOD: u64 = 100_000;
/// The kernel clamps `cpu.shares` to this range without a word.
const SHARES: std::ops::RangeInclusive<u64> = 2..=262_144;

pub(super) fn v1(cpu: &LinuxCpu, limits: &mut Limits) -> Result<()> {
    check_burst(cpu)?;
    realtime(cpu, limits);
    idle(cpu, limits);
    if let Some(shares) = effective_shares(cpu) {
        check_shares(shares)?;
        limits.add(Write::new("cpu", "cpu.shares", shares.to_string(), "cpu/shares"));
    }
    let quota = set(cpu.quota());
    if let Some(period) = set(cpu.period()) {
        let write = Write::new("cpu", "cpu.cfs_period_us", period.to_string(), "cpu/period");
        limits.add(write.retry_last_if(quota.is_some()));
    }
    if let Some(burst) = cpu.burst() {
        // Since Linux 5.14. On v1 runc does without, so configurations count on it.
        let write = Write::new("cpu", "cpu.cfs_burst_us", burst.to_string(), "cpu/burst");
        limits.add(write.or_skip().retry_last_if(quota.is_some()));
    }
    if let Some(quota) = quota {
        limits.add(Write::new("cpu", "cpu.cfs_quota_us", quota.to_string(), "cpu/quota"));
    }
    Ok(())
}

pub(super) fn v2(cpu: &LinuxCpu, limits: &mut Limits) -> Result<()> {
    check_burst(cpu)?;
    idle(cpu, limits);
    if let Some(shares) = effective_shares(cpu) {
        let weight = weight_from_shares(shares).to_string();
        limits.add(Write::new("cpu", "cpu.weight", weight, "cpu/shares"));
    }
    let max = max(cpu);
    if let Some(burst) = cpu.burst() {
        let write = Write::new("cpu", "cpu.max.burst", burst.to_string(), "cpu/burst");
        limits.add(write.or_skip_if(burst == 0).retry_last_if(max.is_some()));
    }
    limits.writes.extend(max);
    for (field, asked) in [
        ("cpu/realtimeRuntime", set(cpu.realtime_runtime()).is_some()),
        ("cpu/realtimePeriod", set(cpu.realtime_period()).is_some()),
    ] {
        if asked {
            return Err(not_on_v2(field));
        }
    }
    Ok(())
}

/// The kernel would blame the quota, which it gets last.
fn check_burst(cpu: &LinuxCpu) -> Result<()> {
    let quota = cpu.quota().and_then(|quota| u64::try_from(quota).ok()).filter(|quota| *quota > 0);
    match (quota, cpu.burst()) {
        (Some(quota), Some(burst)) if burst > quota => {
            let message = format!("burst {burst} is more than the quota {quota}");
            Err(Error::config(pointer("cpu/burst"), message).hint("give at most the quota"))
        }
        _ => Ok(()),
    }
}

/// An idle group has no weight of its own: the kernel refuses the write.
fn effective_shares(cpu: &LinuxCpu) -> Option<u64> {
    set(cpu.shares()).filter(|_| cpu.idle() != Some(1))
}

fn idle(cpu: &LinuxCpu, limits: &mut Limits) {
    if let Some(idle) = cpu.idle() {
        // Since Linux 5.15.
        let write = Write::new("cpu", "cpu.idle", idle.to_string(), "cpu/idle");
        limits.add(write.or_skip_if(idle == 0));
    }
}

fn realtime(cpu: &LinuxCpu, limits: &mut Limits) {
    let runtime = set(cpu.realtime_runtime());
    if let Some(period) = set(cpu.realtime_period()) {
        let write = Write::new("cpu", "cpu.rt_period_us", period.to_string(), "cpu/realtimePeriod");
        limits.add(write.retry_last_if(runtime.is_some()));
    }
    if let Some(runtime) = runtime {
        limits.add(Write::new(
            "cpu",
            "cpu.rt_runtime_us",
            runtime.to_string(),
            "cpu/realtimeRuntime",
        ));
    }
}

fn max(cpu: &LinuxCpu) -> Option<Write> {
    let (quota, period) = (set(cpu.quota()), set(cpu.period()));
    let field = if quota.is_some() { "cpu/quota" } else { "cpu/period" };
    quota.map(drop).or(period.map(drop))?;
    let quota = match quota {
        Some(quota) if quota > 0 => quota.to_string(),
        _ => "max".to_owned(),
    };
    let period = period.unwrap_or(DEFAULT_PERIOD);
    Some(Write::new("cpu", "cpu.max", format!("{quota} {period}"), field))
}

fn check_shares(shares: u64) -> Result<()> {
    let (bound, limit) = match shares {
        shares if shares < *SHARES.start() => ("minimum", SHARES.start()),
        shares if shares > *SHARES.end() => ("maximum", SHARES.end()),
        _ => return Ok(()),
    };
    let message = format!("the {bound} allowed cpu-shares is {limit}");
    Err(Error::config(pointer("cpu/shares"), message))
}

/// The v2 weight (1 to 10000) for v1 shares, by the curve that runc 1.3.2 and
/// crun 1.23 introduced: 2 → 1, 1024 → 100, 262144 → 10000.
fn weight_from_shares(shares: u64) -> u64 {
    if shares <= *SHARES.start() {
        return 1;
    }
    if shares >= *SHARES.end() {
        return 10_000;
    }
    // Exact: the value is below 2^18.
    let l = f64::from(u32::try_from(shares).unwrap_or(u32::MAX)).log2();
    let exponent = (l * l + 125.0 * l) / 612.0 - 7.0 / 34.0;
    // In 1..=10000 by the bounds above.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let weight = 10f64.powf(exponent).ceil() as u64;
    weight.clamp(1, 10_000)
}

#[cfg(test)]
mod tests {
    use super::weight_from_shares;

    #[test]
    fn shares_become_the_weight_that_runc_computes() {
        let weights = [0, 1, 2, 3, 512, 1024, 2048, 4096, 100_000, 262_143, 262_144, u64::MAX]
            .map(weight_from_shares);
        assert_eq!(weights, [1, 1, 1, 2, 59, 100, 174, 303, 4_340, 10_000, 10_000, 10_000]);
    }

    #[test]
    fn more_shares_never_weigh_less() {
        let weights: Vec<_> = (1..262_200).map(weight_from_shares).collect();
        assert!(weights.is_sorted());
    }
}
