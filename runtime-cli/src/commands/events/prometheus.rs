//! The text exposition format of Prometheus: seconds and bytes, a sample a line, each
//! with the container's id.

use std::fmt::{Display, Write as _};

use runtime_core::Stats;
use runtime_core::host::cgroup::{BlkioEntry, PsiStats};

/// One report as a whole exposition. `ooms` is how often memory ran out while the caller
/// watched.
pub(super) fn text(id: &str, stats: &Stats, ooms: u64) -> String {
    let mut page = Page { id, text: String::new() };
    cpu(&mut page, stats);
    memory(&mut page, stats, ooms);
    page.gauge("pids", "Tasks in the container.", stats.cgroup.pids.current);
    if stats.cgroup.pids.limit > 0 {
        page.gauge("pids_limit", "Tasks that may be in the container.", stats.cgroup.pids.limit);
    }
    blkio(&mut page, stats);
    pressure(&mut page, stats);
    hugetlb(&mut page, stats);
    network(&mut page, stats);
    page.text
}

struct Page<'a> {
    id: &'a str,
    text: String,
}

impl Page<'_> {
    /// The two lines that come before the samples of a metric.
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "# HELP tare_{name} {help}\n# TYPE tare_{name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let _ = write!(self.text, "tare_{name}{{id=\"{}\"", self.id);
        for (label, text) in labels {
            let _ = write!(self.text, ",{label}=\"{}\"", escaped(text));
        }
        let _ = writeln!(self.text, "}} {value}");
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(name, "gauge", help);
        self.sample(name, &[], value);
    }

    fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(name, "counter", help);
        self.sample(name, &[], value);
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// A count of parts of a second, written without rounding.
fn seconds(count: u64, a_second: u64) -> String {
    let digits = a_second.ilog10() as usize;
    format!("{}.{:0digits$}", count / a_second, count % a_second)
}

const NANO: u64 = 1_000_000_000;
const MICRO: u64 = 1_000_000;

fn cpu(page: &mut Page<'_>, stats: &Stats) {
    let cpu = &stats.cgroup.cpu;
    let usage = &cpu.usage;
    page.counter("cpu_usage_seconds_total", "Processor time.", seconds(usage.total, NANO));
    let name = "cpu_mode_seconds_total";
    page.head(name, "counter", "Processor time in the kernel and in user mode.");
    page.sample(name, &[("mode", "kernel")], seconds(usage.kernel, NANO));
    page.sample(name, &[("mode", "user")], seconds(usage.user, NANO));
    let throttling = cpu.throttling;
    page.counter("cpu_periods_total", "Periods of the CPU quota.", throttling.periods);
    page.counter(
        "cpu_throttled_periods_total",
        "Periods in which the CPU quota was used up.",
        throttling.throttled_periods,
    );
    page.counter(
        "cpu_throttled_seconds_total",
        "Time for which tasks were held up by the CPU quota.",
        seconds(throttling.throttled_time, NANO),
    );
}

fn memory(page: &mut Page<'_>, stats: &Stats, ooms: u64) {
    let memory = &stats.cgroup.memory;
    page.gauge("memory_usage_bytes", "Memory in use, with the page cache.", memory.usage.usage);
    page.gauge("memory_cache_bytes", "Page cache.", memory.cache);
    page.gauge("memory_swap_bytes", "Memory and swap in use.", memory.swap.usage);
    page.gauge("memory_max_usage_bytes", "The most memory in use so far.", memory.usage.max);
    for (name, help, limit) in [
        ("memory_limit_bytes", "Memory that may be in use.", memory.usage.limit),
        ("memory_swap_limit_bytes", "Memory and swap that may be in use.", memory.swap.limit),
    ] {
        // No limit is the highest number on v2, and on v1 the highest of whole pages.
        if limit > 0 && limit < 1 << 62 {
            page.gauge(name, help, limit);
        }
    }
    page.counter("memory_failures_total", "How often the limit was met.", memory.usage.failcnt);
    page.counter(
        "memory_oom_kills_total",
        "Processes killed for want of memory.",
        memory.oom_kills,
    );
    page.counter("memory_oom_events_total", "How often memory ran out, as watched.", ooms);
}

fn blkio(page: &mut Page<'_>, stats: &Stats) {
    let blkio = &stats.cgroup.blkio;
    for (name, help, entries) in [
        ("blkio_bytes_total", "Bytes read and written.", &blkio.io_service_bytes_recursive),
        ("blkio_requests_total", "Requests to block devices.", &blkio.io_serviced_recursive),
    ] {
        // A sum would be counted twice.
        let entries: Vec<&BlkioEntry> = entries.iter().filter(|it| it.op != "Total").collect();
        if entries.is_empty() {
            continue;
        }
        page.head(name, "counter", help);
        for entry in entries {
            let device = format!("{}:{}", entry.major, entry.minor);
            let op = entry.op.to_ascii_lowercase();
            page.sample(name, &[("device", &device), ("operation", &op)], entry.value);
        }
    }
}

fn pressure(page: &mut Page<'_>, stats: &Stats) {
    let stats = &stats.cgroup;
    let all = [("cpu", stats.cpu.psi), ("memory", stats.memory.psi), ("io", stats.blkio.psi)];
    let known: Vec<(&str, PsiStats)> =
        all.into_iter().filter_map(|(name, psi)| Some((name, psi?))).collect();
    if known.is_empty() {
        return;
    }
    let name = "pressure_seconds_total";
    page.head(name, "counter", "Time for which some or all tasks waited for a resource.");
    for (resource, psi) in known {
        for (tasks, data) in [("some", psi.some), ("full", psi.full)] {
            let labels = [("resource", resource), ("tasks", tasks)];
            page.sample(name, &labels, seconds(data.total, MICRO));
        }
    }
}

fn hugetlb(page: &mut Page<'_>, stats: &Stats) {
    if stats.cgroup.hugetlb.is_empty() {
        return;
    }
    let name = "hugetlb_usage_bytes";
    page.head(name, "gauge", "Huge pages in use.");
    for (size, entry) in &stats.cgroup.hugetlb {
        page.sample(name, &[("pagesize", size)], entry.usage);
    }
}

fn network(page: &mut Page<'_>, stats: &Stats) {
    let interfaces = stats.network_interfaces.as_deref().unwrap_or_default();
    if interfaces.is_empty() {
        return;
    }
    type Numbers = fn(&runtime_core::host::network::stats::NetworkInterface) -> [u64; 2];
    let metrics: [(&str, &str, Numbers); 4] = [
        ("network_bytes_total", "Bytes.", |it| [it.rx_bytes, it.tx_bytes]),
        ("network_packets_total", "Packets.", |it| [it.rx_packets, it.tx_packets]),
        ("network_errors_total", "Packets that failed.", |it| [it.rx_errors, it.tx_errors]),
        ("network_dropped_total", "Packets that were dropped.", |it| {
            [it.rx_dropped, it.tx_dropped]
        }),
    ];
    for (name, help, numbers) in metrics {
        page.head(name, "counter", help);
        for interface in interfaces {
            let [received, sent] = numbers(interface);
            for (direction, value) in [("receive", received), ("transmit", sent)] {
                let labels = [("interface", interface.name.as_str()), ("direction", direction)];
                page.sample(name, &labels, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_follows_the_head_of_its_metric() {
        let mut stats = Stats::default();
        stats.cgroup.cpu.usage.total = 1_500_000_001;
        stats.cgroup.memory.psi = Some(PsiStats::default());
        stats.cgroup.memory.usage.limit = u64::MAX;
        let text = text("c-1", &stats, 2);
        assert!(
            text.contains("\ntare_cpu_usage_seconds_total{id=\"c-1\"} 1.500000001\n"),
            "{text}"
        );
        assert!(text.contains("\ntare_memory_oom_events_total{id=\"c-1\"} 2\n"), "{text}");
        assert!(!text.contains("tare_memory_limit_bytes"), "{text}");
        let mut metric = "";
        for line in text.lines() {
            match line.strip_prefix("# TYPE ") {
                Some(rest) => metric = rest.split(' ').next().unwrap(),
                None if line.starts_with('#') => {}
                None => assert!(line.starts_with(&format!("{metric}{{id=")), "{line}"),
            }
        }
    }

    #[test]
    fn labels_cannot_break_out_of_their_quotes() {
        assert_eq!(escaped("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }
}
