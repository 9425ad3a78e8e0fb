//! The processes of a container that no cgroup lists.

use super::proc_stat;
use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

/// The kinds of namespaces that tell which container a process is of.
const KINDS: [&str; 2] = ["pid", "mnt"];

/// The pids of what belongs to the container whose first process is `first`, in order:
/// what shares a namespace with it that is not the caller's, and all descendants.
/// A process comes in by fork or setns, so there is no other.
pub(crate) fn of(first: i32) -> Result<Vec<i32>> {
    let own = KINDS.map(|kind| namespace("thread-self", kind));
    let theirs = KINDS.map(|kind| namespace(&first.to_string(), kind));
    let parents = parents()?;
    let shares = |pid: i32| {
        (0..KINDS.len()).any(|at| {
            theirs[at].is_some()
                && theirs[at] != own[at]
                && theirs[at] == namespace(&pid.to_string(), KINDS[at])
        })
    };
    let known: Vec<i32> =
        parents.keys().copied().filter(|pid| *pid == first || shares(*pid)).collect();
    // A chain of parents is no longer than there are processes, even if one was reused.
    let descends = |pid: i32| {
        let ancestors = std::iter::successors(Some(pid), |pid| parents.get(pid).copied());
        ancestors.take(parents.len()).any(|pid| known.binary_search(&pid).is_ok())
    };
    Ok(parents.keys().copied().filter(|pid| descends(*pid)).collect())
}

fn namespace(process: &str, kind: &str) -> Option<PathBuf> {
    // Those of others may not be read, and are none of ours.
    fs::read_link(format!("/proc/{process}/ns/{kind}")).ok()
}

/// The parent of each process that there is.
fn parents() -> Result<BTreeMap<i32, i32>> {
    let entries = fs::read_dir("/proc").map_err(|error| Error::io("open", &error).path("/proc"))?;
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    Ok(pids.filter_map(|pid| Some((pid, proc_stat::read(pid)?.parent))).collect())
}

#[cfg(test)]
mod tests {
    use super::of;
    use std::process::{Command, Stdio};

    #[test]
    fn children_and_their_children_belong_to_a_process() {
        let mut shell = Command::new("sh")
            .args(["-c", "sleep 60 & echo $!; read line; kill $!"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = std::io::BufReader::new(shell.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut output, &mut line).unwrap();
        let pid = shell.id().cast_signed();
        let mut expected = vec![pid, line.trim().parse().unwrap()];
        expected.sort_unstable();
        assert_eq!(of(pid).unwrap(), expected);
        drop(shell.stdin.take());
        shell.wait().unwrap();
    }
}
