//! Processor time.

use serde::Serialize;

use super::{LiveCgroup, PsiStats, is_default, value_of};
use crate::error::Result;
use crate::plan::cgroup::Directory;

/// Processor time.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CpuStats {
    /// What was used.
    #[serde(skip_serializing_if = "is_default")]
    pub usage: CpuUsage,
    /// What the quota withheld.
    #[serde(skip_serializing_if = "is_default")]
    pub throttling: Throttling,
    /// How much tasks waited for a processor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<PsiStats>,
}

/// Processor time that was used, in nanoseconds; by processor on cgroup v1 only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CpuUsage {
    /// All of it.
    #[serde(skip_serializing_if = "is_default")]
    pub total: u64,
    /// By processor.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub percpu: Vec<u64>,
    /// In the kernel, by processor.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub percpu_kernel: Vec<u64>,
    /// In user mode, by processor.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub percpu_user: Vec<u64>,
    /// In the kernel.
    pub kernel: u64,
    /// In user mode.
    pub user: u64,
}

/// What the quota withheld.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Throttling {
    /// Periods with something to run.
    #[serde(skip_serializing_if = "is_default")]
    pub periods: u64,
    /// Those in which the quota was used up.
    #[serde(skip_serializing_if = "is_default")]
    pub throttled_periods: u64,
    /// How long tasks were held up in all, in nanoseconds.
    #[serde(skip_serializing_if = "is_default")]
    pub throttled_time: u64,
}

/// What `cpuacct.stat` counts in: USER_HZ, which is 100 for every program.
const NANOSECONDS_A_TICK: u64 = 10_000_000;

impl LiveCgroup {
    pub(super) fn cpu_stats(&self) -> Result<CpuStats> {
        let psi = self.psi("cpu.pressure")?;
        let v1 = |controller| self.directory_of(controller).filter(|found| !found.is_v2());
        let stats = match (v1("cpuacct"), v1("cpu"), self.v2_directory()) {
            (None, None, Some(directory)) => self.cpu_v2(directory)?,
            (accounts, cpu, _) => CpuStats {
                usage: accounts.map(|it| self.usage_v1(it)).transpose()?.unwrap_or_default(),
                throttling: cpu.map(|it| self.throttling_v1(it)).transpose()?.unwrap_or_default(),
                psi: None,
            },
        };
        Ok(CpuStats { psi, ..stats })
    }

    fn usage_v1(&self, directory: &Directory) -> Result<CpuUsage> {
        let Some(total) = self.number(directory, "cpuacct.usage")? else {
            return Ok(CpuUsage::default());
        };
        let stat = self.text(directory, "cpuacct.stat")?.unwrap_or_default();
        let time = |key| value_of(&stat, key).unwrap_or(0).saturating_mul(NANOSECONDS_A_TICK);
        let percpu = self.text(directory, "cpuacct.usage_percpu")?.unwrap_or_default();
        let all = self.text(directory, "cpuacct.usage_all")?.unwrap_or_default();
        let (percpu_user, percpu_kernel) = by_processor(&all);
        Ok(CpuUsage {
            total,
            percpu: percpu.split_whitespace().filter_map(|text| text.parse().ok()).collect(),
            percpu_kernel,
            percpu_user,
            kernel: time("system"),
            user: time("user"),
        })
    }

    fn throttling_v1(&self, directory: &Directory) -> Result<Throttling> {
        let text = self.text(directory, "cpu.stat")?.unwrap_or_default();
        let value = |key| value_of(&text, key).unwrap_or(0);
        Ok(Throttling {
            periods: value("nr_periods"),
            throttled_periods: value("nr_throttled"),
            throttled_time: value("throttled_time"),
        })
    }

    /// v2 counts in microseconds, with the controller or without.
    fn cpu_v2(&self, directory: &Directory) -> Result<CpuStats> {
        let text = self.text(directory, "cpu.stat")?.unwrap_or_default();
        let value = |key| value_of(&text, key).unwrap_or(0);
        let time = |key| value(key).saturating_mul(1000);
        Ok(CpuStats {
            usage: CpuUsage {
                total: time("usage_usec"),
                user: time("user_usec"),
                kernel: time("system_usec"),
                ..CpuUsage::default()
            },
            throttling: Throttling {
                periods: value("nr_periods"),
                throttled_periods: value("nr_throttled"),
                throttled_time: time("throttled_usec"),
            },
            psi: None,
        })
    }
}

/// The columns of `cpuacct.usage_all` (Linux 4.8), whose head is "cpu user system".
fn by_processor(text: &str) -> (Vec<u64>, Vec<u64>) {
    let columns = |line: &str| {
        let mut fields = line.split(' ').skip(1).map(|field| field.parse::<u64>().ok());
        Some((fields.next()??, fields.next()??))
    };
    text.lines().skip(1).filter_map(columns).unzip()
}

#[cfg(test)]
mod tests {
    use super::by_processor;

    #[test]
    fn time_by_processor_is_read_below_the_head() {
        let text = "cpu user system\n0 5 7\n1 0 9\n";
        assert_eq!(by_processor(text), (vec![5, 0], vec![7, 9]));
        assert_eq!(by_processor(""), (vec![], vec![]));
    }
}
