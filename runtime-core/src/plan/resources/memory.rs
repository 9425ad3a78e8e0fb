//! `resources.memory`.

use oci_spec::runtime::LinuxMemory;

use super::{Limits, NotBelow, Present, Write, not_on_v2, pointer, set};
use crate::error::{Error, Result};

const UNLIMITED: i64 = -1;

/// The three limits that depend on one another, in bytes, -1 for unlimited.
struct Bytes {
    limit: Option<i64>,
    swap: Option<i64>,
    reservation: Option<i64>,
}

pub(super) fn v1(memory: &LinuxMemory, present: Present, limits: &mut Limits) -> Result<()> {
    if memory.use_hierarchy() == Some(true) {
        // Always on since Linux 5.11.
        let write = Write::new("memory", "memory.use_hierarchy", "1", "memory/useHierarchy");
        limits.add(write.or_skip());
    }
    let bytes = Bytes::of(memory)?;
    let first = limits.writes.len();
    limits.writes.extend(limit_and_swap_v1(&bytes, present));
    check_before(memory, &bytes, "memory.usage_in_bytes", &mut limits.writes[first..]);
    if let Some(reservation) = bytes.reservation {
        limits.add(Write::new(
            "memory",
            "memory.soft_limit_in_bytes",
            reservation.to_string(),
            "memory/reservation",
        ));
    }
    if let Some(tcp) = unless_zero("memory/kernelTCP", memory.kernel_tcp())? {
        limits.add(Write::new(
            "memory",
            "memory.kmem.tcp.limit_in_bytes",
            tcp.to_string(),
            "memory/kernelTCP",
        ));
    }
    ignore_kernel_limit(memory, limits);
    if memory.disable_oom_killer() == Some(true) {
        limits.add(Write::new("memory", "memory.oom_control", "1", "memory/disableOOMKiller"));
    }
    if let Some(swappiness) = memory.swappiness() {
        check_swappiness(swappiness)?;
        limits.add(Write::new(
            "memory",
            "memory.swappiness",
            swappiness.to_string(),
            "memory/swappiness",
        ));
    }
    Ok(())
}

pub(super) fn v2(memory: &LinuxMemory, limits: &mut Limits) -> Result<()> {
    let bytes = Bytes::of(memory)?;
    let first = limits.writes.len();
    if let Some(swap) = bytes.swap_only() {
        let value = limit_text(swap);
        let write = Write::new("memory", "memory.swap.max", value, "memory/swap");
        limits.add(write.or_skip_if(swap <= 0));
    }
    if let Some(limit) = bytes.limit {
        limits.add(Write::new("memory", "memory.max", limit_text(limit), "memory/limit"));
    }
    check_before(memory, &bytes, "memory.current", &mut limits.writes[first..]);
    if let Some(reservation) = bytes.reservation {
        limits.add(Write::new(
            "memory",
            "memory.low",
            limit_text(reservation),
            "memory/reservation",
        ));
    }
    refuse_what_v2_lacks(memory)
}

impl Bytes {
    fn of(memory: &LinuxMemory) -> Result<Self> {
        let bytes = Self {
            limit: unless_zero("memory/limit", memory.limit())?,
            swap: unless_zero("memory/swap", memory.swap())?,
            reservation: unless_zero("memory/reservation", memory.reservation())?,
        };
        bytes.check_swap()?;
        Ok(bytes)
    }

    /// `swap` is the sum of memory and swap, so it cannot stand alone nor be
    /// the smaller of the two.
    fn check_swap(&self) -> Result<()> {
        let Some(swap) = self.swap.filter(|swap| *swap != UNLIMITED) else { return Ok(()) };
        match self.limit {
            None => Err(Error::config(
                pointer("memory/swap"),
                "unable to set swap limit without memory limit",
            )
            .hint("set memory.limit as well: swap counts memory plus swap")),
            Some(limit) if swap < limit => Err(Error::config(
                pointer("memory/swap"),
                "memory+swap limit should be >= memory limit",
            )
            .hint(format!("swap counts memory plus swap: give {limit} or more, or -1"))),
            Some(_) => Ok(()),
        }
    }

    /// What v2 calls swap: without the memory. Unlimited memory with no word
    /// on swap means both unlimited, as on v1.
    fn swap_only(&self) -> Option<i64> {
        match (self.limit, self.swap) {
            (Some(UNLIMITED), None) | (_, Some(UNLIMITED)) => Some(UNLIMITED),
            (Some(UNLIMITED), Some(swap)) => Some(swap),
            (Some(limit), Some(swap)) => Some(swap - limit),
            (None, _) | (_, None) => None,
        }
    }
}

/// What is refused is refused before the first of the writes.
fn check_before(memory: &LinuxMemory, bytes: &Bytes, usage: &'static str, writes: &mut [Write]) {
    let limited = |bytes: Option<i64>| bytes.and_then(|bytes| u64::try_from(bytes).ok());
    let limit = limited(bytes.limit);
    if memory.check_before_update() == Some(true)
        && let (Some(limit), Some(first)) = (limit, writes.first_mut())
    {
        first.not_below = Some(NotBelow { usage, limit, with_swap: limited(bytes.swap) });
    }
}

/// The kernel keeps memory ≤ memory+swap at every moment, so a rise starts
/// with swap and a fall with memory.
fn limit_and_swap_v1(bytes: &Bytes, present: Present) -> Vec<Write> {
    let limit = bytes.limit.map(|limit| {
        Write::new("memory", "memory.limit_in_bytes", limit.to_string(), "memory/limit")
    });
    let swap_file = "memory.memsw.limit_in_bytes";
    let swap = match (bytes.limit, bytes.swap) {
        // Implied by the memory limit: without swap accounting it holds anyway.
        (Some(UNLIMITED), None) => {
            Some(Write::new("memory", swap_file, "-1", "memory/limit").or_skip())
        }
        (_, Some(swap)) => Some(Write::new("memory", swap_file, swap.to_string(), "memory/swap")),
        (_, None) => None,
    };
    let swap_rises = match bytes.swap.or(bytes.limit) {
        Some(UNLIMITED) => true,
        Some(new) => present.memory_limit.is_some_and(|limit| limit < new.unsigned_abs()),
        None => false,
    };
    let ordered = if swap_rises { [swap, limit] } else { [limit, swap] };
    ordered.into_iter().flatten().collect()
}

#[allow(deprecated)]
fn refuse_what_v2_lacks(memory: &LinuxMemory) -> Result<()> {
    memory.swappiness().map_or(Ok(()), check_swappiness)?;
    let asked = [
        ("memory/kernel", set(memory.kernel()).is_some()),
        ("memory/kernelTCP", set(memory.kernel_tcp()).is_some()),
        ("memory/disableOOMKiller", memory.disable_oom_killer() == Some(true)),
        ("memory/swappiness", memory.swappiness().is_some()),
    ];
    match asked.iter().find(|(_, asked)| *asked) {
        Some((field, _)) => Err(not_on_v2(field)),
        None => Ok(()),
    }
}

#[allow(deprecated)]
fn ignore_kernel_limit(memory: &LinuxMemory, limits: &mut Limits) {
    if set(memory.kernel()).is_some() {
        limits.ignore("memory/kernel", "Linux 5.16 removed kernel memory limits");
    }
}

fn check_swappiness(value: u64) -> Result<()> {
    if value <= 100 {
        return Ok(());
    }
    Err(Error::config(
        pointer("memory/swappiness"),
        format!("invalid memory swappiness value: {value} (valid range is 0-100)"),
    ))
}

/// A number of bytes, or -1; zero counts as unset.
fn unless_zero(field: &str, value: Option<i64>) -> Result<Option<i64>> {
    match set(value) {
        Some(value) if value < UNLIMITED => {
            Err(Error::config(pointer(field), format!("invalid memory value: {value}"))
                .hint("give a number of bytes, or -1 for unlimited"))
        }
        value => Ok(value),
    }
}

/// How v2 files spell a limit.
fn limit_text(value: i64) -> String {
    if value == UNLIMITED { "max".to_owned() } else { value.to_string() }
}
