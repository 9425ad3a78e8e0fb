//! criu's log, which says why something failed.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// How much of a log is looked through.
const MOST: u64 = 64 << 20;

/// How many errors are told.
const ENOUGH: usize = 3;

/// The first errors in the log, without their times and places in criu's source. Which one
/// is the cause is not always the same; that it has failed, as the last one says, is known.
pub(super) fn errors(log: &Path) -> Option<String> {
    let reader = BufReader::new(File::open(log).ok()?.take(MOST));
    let lines = reader.split(b'\n').map_while(Result::ok);
    let errors = lines.filter_map(|line| words(&String::from_utf8_lossy(&line)));
    let told: Vec<String> =
        errors.filter(|error| !error.ends_with("FAILED.")).take(ENOUGH).collect();
    (!told.is_empty()).then(|| told.join("; "))
}

/// `(00.012345)   1: Error (criu/file.c:12): what` is "what".
fn words(line: &str) -> Option<String> {
    let (_, after) = line.split_once("Error (")?;
    let (_, words) = after.split_once("): ")?;
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    (!words.is_empty()).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn an_error_is_told_without_time_and_place() {
        let line =
            "(00.093)      1: Error (criu/mount.c:2411): mnt:   No mapping for /data mountpoint";
        assert_eq!(words(line).as_deref(), Some("mnt: No mapping for /data mountpoint"));
        assert_eq!(words("(00.001) Warn  (criu/x.c:1): odd"), None);
        assert_eq!(words("Error (criu/x.c:1): "), None);
    }
}
