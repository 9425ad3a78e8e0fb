//! Where the process runs.

use crate::sys;

/// Asks for all CPUs that a kernel can be built for (NR_CPUS is 8192 at most); it keeps
/// those that exist and are in the cpuset. A filter of the caller's that forbids it
/// leaves things as they are.
pub fn every_cpu() {
    const MOST: usize = 8192;
    let _ = sys::sched_setaffinity(&[0xff; MOST / 8]);
}
