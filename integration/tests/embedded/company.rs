//! What the rest of the program does meanwhile: it allocates, it logs, and it has
//! children of its own whose statuses it must get.

use std::fs::File;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

/// Allocates and frees pieces of many sizes until told to end.
pub(crate) fn allocate(end: &AtomicBool) {
    let mut kept: Vec<Vec<u8>> = Vec::new();
    for round in 0_usize.. {
        if end.load(Ordering::Relaxed) {
            return;
        }
        kept.push(vec![1; 1 + round * 7919 % 100_000]);
        if kept.len() > 64 {
            kept.swap_remove(round % 64);
        }
        std::thread::yield_now();
    }
}

/// Logs lines until told to end.
pub(crate) fn log(mut to: &File, end: &AtomicBool) {
    for line in 0_u64.. {
        if end.load(Ordering::Relaxed) {
            return;
        }
        writeln!(to, "line {line}").unwrap();
        std::thread::yield_now();
    }
}

/// Starts children until told to end; each must end with the status it was told, and be there to
/// be waited for.
pub(crate) fn have_children(end: &AtomicBool) -> usize {
    let mut count = 0;
    while !end.load(Ordering::Relaxed) {
        let code = i32::try_from(count % 200).unwrap();
        let mut child = Command::new("/bin/busybox")
            .args(["sh", "-c", &format!("exit {code}")])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(5));
        assert_eq!(child.wait().unwrap().code(), Some(code), "a child of the program itself");
        count += 1;
    }
    count
}
