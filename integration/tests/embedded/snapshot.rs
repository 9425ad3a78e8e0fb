//! All that a process can lose to a careless library.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What belongs to the whole process, and to each of its threads by id.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    cwd: PathBuf,
    root: PathBuf,
    environment: Vec<(String, String)>,
    descriptors: BTreeMap<String, (PathBuf, String)>,
    limits: String,
    oom_score_adj: String,
    dumpable: bool,
    threads: BTreeMap<String, Thread>,
}

#[derive(Debug, PartialEq, Eq)]
struct Thread {
    /// The lines of its status that no work changes: identity, masks, dispositions.
    status: Vec<String>,
    namespaces: BTreeMap<String, PathBuf>,
    cgroups: String,
    children: String,
}

impl Snapshot {
    pub(crate) fn take() -> Self {
        Self {
            cwd: std::env::current_dir().unwrap(),
            root: fs::read_link("/proc/self/root").unwrap(),
            environment: std::env::vars().collect(),
            descriptors: descriptors(),
            limits: read("/proc/self/limits"),
            oom_score_adj: read("/proc/self/oom_score_adj"),
            dumpable: nix::sys::prctl::get_dumpable().unwrap(),
            threads: names("/proc/self/task").map(|tid| (tid.clone(), Thread::new(&tid))).collect(),
        }
    }

    /// Fails with what is not as it was, and only that.
    pub(crate) fn assert_still(&self, event: &str) {
        let now = Self::take();
        let (before, after) = (format!("{self:#?}"), format!("{now:#?}"));
        let only = |one: &str, other: &str| -> Vec<String> {
            let known: Vec<&str> = other.lines().collect();
            one.lines().filter(|line| !known.contains(line)).map(str::to_owned).collect()
        };
        let (gone, new) = (only(&before, &after), only(&after, &before));
        assert!(*self == now, "{event}: gone {gone:#?}, new {new:#?}");
    }
}

impl Thread {
    fn new(tid: &str) -> Self {
        const KEPT: [&str; 15] = [
            "Name",
            "Umask",
            "Uid",
            "Gid",
            "Groups",
            "SigBlk",
            "SigIgn",
            "SigCgt",
            "CapInh",
            "CapPrm",
            "CapEff",
            "CapBnd",
            "CapAmb",
            "NoNewPrivs",
            "Seccomp",
        ];
        let dir = PathBuf::from("/proc/self/task").join(tid);
        let kept = |line: &&str| line.split_once(':').is_some_and(|(key, _)| KEPT.contains(&key));
        let namespaces = dir.join("ns");
        Self {
            status: read(dir.join("status")).lines().filter(kept).map(str::to_owned).collect(),
            namespaces: names(&namespaces)
                .map(|name| (name.clone(), fs::read_link(namespaces.join(name)).unwrap()))
                .collect(),
            cgroups: read(dir.join("cgroup")),
            children: read(dir.join("children")),
        }
    }
}

/// Number, target and flags of each, without the one that the list is read by.
fn descriptors() -> BTreeMap<String, (PathBuf, String)> {
    let target = |number: &String| fs::read_link(Path::new("/proc/self/fd").join(number)).ok();
    names("/proc/self/fd")
        .filter_map(|number| Some((number.clone(), (target(&number)?, flags(&number)))))
        .collect()
}

fn flags(number: &str) -> String {
    let info = fs::read_to_string(Path::new("/proc/self/fdinfo").join(number)).unwrap_or_default();
    info.lines().find(|line| line.starts_with("flags:")).unwrap_or_default().to_owned()
}

fn names(dir: impl AsRef<Path>) -> impl Iterator<Item = String> {
    let entries: Vec<_> = fs::read_dir(dir).unwrap().collect();
    entries.into_iter().map(|entry| entry.unwrap().file_name().into_string().unwrap())
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap()
}
