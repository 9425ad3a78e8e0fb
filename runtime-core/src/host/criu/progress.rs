//! Whether criu gets on. It may take as long as the memory is large, and says nothing
//! meanwhile; but its log grows, or its processes use the processor or touch memory.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

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
        self.since.elapsed() >= self.patience
    }

    pub(super) fn patience(&self) -> Duration {
        self.patience
    }
}

/// Page faults and processor time of a process, as /proc/PID/stat has them (proc(5)).
fn work(pid: i32) -> u64 {
    let text = std::fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let after_name = text.rsplit_once(')').map_or("", |(_, after)| after);
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    // The state is field 3; minflt, majflt, utime and stime are 10, 12, 14 and 15.
    let number = |field: usize| fields.get(field - 3).and_then(|text| text.parse::<u64>().ok());
    [10, 12, 14, 15].into_iter().filter_map(number).fold(0, u64::wrapping_add)
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
