//! Whether criu gets on. It may take as long as the memory is large, and says nothing
//! meanwhile; but its log grows, or its processes read, write or touch memory. That they use
//! the processor is no sign.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// No log is longer, unless criu goes round in circles.
const LONGEST_LOG: u64 = 512 << 20;

/// What is looked at from time to time.
#[derive(Debug)]
pub(super) struct Progress {
    patience: Duration,
    log: Option<PathBuf>,
    seen: (u64, u64),
    since: Instant,
}

impl Progress {
    pub(super) fn new(patience: Duration, log: Option<&Path>) -> Self {
        Self { patience, log: log.map(Path::to_owned), seen: (0, 0), since: Instant::now() }
    }

    /// Something was heard.
    pub(super) fn note(&mut self) {
        self.since = Instant::now();
    }

    /// How long to wait before looking again.
    pub(super) fn pause(&self) -> Duration {
        (self.patience / 4).clamp(Duration::from_millis(10), Duration::from_secs(1))
    }

    /// Whether nothing has changed for too long with any of `pids`.
    pub(super) fn has_stopped(&mut self, pids: &[i32]) -> bool {
        let length = |log: &PathBuf| log.metadata().map_or(0, |found| found.len());
        let work = pids.iter().map(|pid| work(*pid)).fold(0, u64::wrapping_add);
        let now = (self.log.as_ref().map_or(0, length), work);
        if now != self.seen {
            self.seen = now;
            self.note();
        }
        self.since.elapsed() >= self.patience || now.0 > LONGEST_LOG
    }

    pub(super) fn patience(&self) -> Duration {
        self.patience
    }
}

/// Page faults of a process, and bytes that it has read and written (proc(5)).
fn work(pid: i32) -> u64 {
    let text = |file| {
        let bytes = std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let stat = text("stat");
    let after_name = stat.rsplit_once(')').map_or("", |(_, after)| after);
    // The state is field 3; minflt and majflt are 10 and 12.
    let faults = [10, 12].map(|field| after_name.split_whitespace().nth(field - 3));
    let io = text("io");
    let bytes = io.lines().filter(|line| line.contains("char:") || line.contains("_bytes:"));
    let numbers = faults.into_iter().chain(bytes.map(|line| line.split_whitespace().nth(1)));
    numbers.flatten().filter_map(|text| text.parse::<u64>().ok()).fold(0, u64::wrapping_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_sleeps_stops_and_one_that_works_does_not() {
        let mut sleeper = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = sleeper.id().cast_signed();
        let mut progress = Progress::new(Duration::from_millis(200), None);
        std::thread::sleep(Duration::from_millis(100));
        // Its start is work.
        progress.has_stopped(&[pid]);
        std::thread::sleep(Duration::from_millis(300));
        let stopped = progress.has_stopped(&[pid]);
        sleeper.kill().unwrap();
        sleeper.wait().unwrap();
        assert!(stopped);
        let before = work(std::process::id().cast_signed());
        let touched = vec![1u8; 8 << 20];
        assert!(touched.iter().all(|byte| *byte == 1));
        assert!(work(std::process::id().cast_signed()) > before);
    }
}
