//! What /proc/PID/stat tells of a process: enough to know whether a pid on disk
//! still means the process it meant. Read by hand: it is on the path of every call.

use std::io::Read;

/// The name that init has until it becomes the container's program.
const INIT_NAME: &[u8] = b"tare-init";

/// One process at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProcStat {
    /// Zombie or dead: it runs no more, but was not reaped.
    pub(crate) ended: bool,
    /// The pid of its parent.
    pub(crate) parent: i32,
    /// Clock ticks after boot.
    pub(crate) start_time: u64,
    /// Whether it is still init, under its name.
    pub(crate) is_init: bool,
}

/// The state of `pid`; `None` when there is none.
pub(crate) fn read(pid: i32) -> Option<ProcStat> {
    let mut file = std::fs::File::open(format!("/proc/{pid}/stat")).ok()?;
    let mut buffer = [0u8; 1024];
    let count = file.read(&mut buffer).ok()?;
    parse(&buffer[..count])
}

/// `pid (name) state ppid …`; the name may hold anything, so it ends at the last parenthesis.
fn parse(text: &[u8]) -> Option<ProcStat> {
    let open = text.iter().position(|byte| *byte == b'(')?;
    let close = text.iter().rposition(|byte| *byte == b')')?;
    let name = text.get(open + 1..close)?;
    let mut fields = text.get(close + 2..)?.split(|byte| *byte == b' ');
    let state = fields.next()?;
    let parent = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
    let start_time = std::str::from_utf8(fields.nth(17)?).ok()?.parse().ok()?;
    Some(ProcStat {
        ended: matches!(state, b"Z" | b"X" | b"x"),
        parent,
        start_time,
        is_init: name == INIT_NAME,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_shift_the_fields() {
        let text = b"7 (a) Z (b) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 9 9";
        assert_eq!(
            parse(text),
            Some(ProcStat { ended: false, parent: 1, start_time: 4242, is_init: false })
        );
    }

    #[test]
    fn this_process_runs_and_has_a_start_time() {
        let stat = read(std::process::id().cast_signed()).unwrap();
        assert!(!stat.ended && stat.start_time > 0 && !stat.is_init);
    }
}
