//! What a process can learn about itself and its surroundings.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use nix::sys::resource::{Resource, getrlimit};
use serde_json::{Map, Value, json};

use crate::sys;

const RLIMITS: [(&str, Resource); 16] = [
    ("RLIMIT_AS", Resource::RLIMIT_AS),
    ("RLIMIT_CORE", Resource::RLIMIT_CORE),
    ("RLIMIT_CPU", Resource::RLIMIT_CPU),
    ("RLIMIT_DATA", Resource::RLIMIT_DATA),
    ("RLIMIT_FSIZE", Resource::RLIMIT_FSIZE),
    ("RLIMIT_LOCKS", Resource::RLIMIT_LOCKS),
    ("RLIMIT_MEMLOCK", Resource::RLIMIT_MEMLOCK),
    ("RLIMIT_MSGQUEUE", Resource::RLIMIT_MSGQUEUE),
    ("RLIMIT_NICE", Resource::RLIMIT_NICE),
    ("RLIMIT_NOFILE", Resource::RLIMIT_NOFILE),
    ("RLIMIT_NPROC", Resource::RLIMIT_NPROC),
    ("RLIMIT_RSS", Resource::RLIMIT_RSS),
    ("RLIMIT_RTPRIO", Resource::RLIMIT_RTPRIO),
    ("RLIMIT_RTTIME", Resource::RLIMIT_RTTIME),
    ("RLIMIT_SIGPENDING", Resource::RLIMIT_SIGPENDING),
    ("RLIMIT_STACK", Resource::RLIMIT_STACK),
];

/// All facts, as one object.
pub(crate) fn all() -> Value {
    let status = read("/proc/self/status");
    json!({
        "args": std::env::args().collect::<Vec<_>>(),
        "env": std::env::vars_os()
            .map(|(k, v)| format!("{}={}", k.to_string_lossy(), v.to_string_lossy()))
            .collect::<Vec<_>>(),
        "cwd": std::env::current_dir().map_or(Value::Null, |p| json!(p)),
        "exe": link("/proc/self/exe"),
        "pid": std::process::id(),
        "ppid": nix::unistd::getppid().as_raw(),
        "sid": nix::unistd::getsid(None).map_or(-1, nix::unistd::Pid::as_raw),
        "uids": ids(&status, "Uid"),
        "gids": ids(&status, "Gid"),
        "groups": ids(&status, "Groups"),
        "umask": sys::umask(),
        "caps": {
            "inheritable": mask(&status, "CapInh"),
            "permitted": mask(&status, "CapPrm"),
            "effective": mask(&status, "CapEff"),
            "bounding": mask(&status, "CapBnd"),
            "ambient": mask(&status, "CapAmb"),
        },
        "signals": {
            "blocked": mask(&status, "SigBlk"),
            "ignored": mask(&status, "SigIgn"),
            "caught": mask(&status, "SigCgt"),
        },
        "noNewPrivileges": field(&status, "NoNewPrivs") == "1",
        "seccomp": field(&status, "Seccomp").parse::<u32>().unwrap_or(0),
        "namespaces": namespaces(),
        "mounts": lines("/proc/self/mountinfo"),
        "cgroups": lines("/proc/self/cgroup"),
        "uidMap": lines("/proc/self/uid_map"),
        "gidMap": lines("/proc/self/gid_map"),
        "timeOffsets": lines("/proc/self/timens_offsets"),
        "rlimits": rlimits(),
        "oomScoreAdj": read("/proc/self/oom_score_adj").trim().parse::<i32>().ok(),
        "hostname": read("/proc/sys/kernel/hostname").trim(),
        "domainname": read("/proc/sys/kernel/domainname").trim(),
        "fds": fds(),
        "keyring": sys::session_keyring().unwrap_or_else(|e| e.to_string()),
        "personality": sys::personality().ok(),
        "machine": sys::machine().ok(),
        "cpus": field(&status, "Cpus_allowed_list"),
        "scheduler": scheduler(),
        "ioPriority": sys::io_priority().ok(),
        "memoryPolicy": sys::memory_policy().map_or(Value::Null, |(mode, nodes)| json!([mode, nodes])),
        "label": read("/proc/self/attr/current").trim_end_matches(['\n', '\0']),
        "dumpable": sys::dumpable().ok(),
        "parentDeathSignal": sys::parent_death_signal().ok(),
        "tty": tty(),
    })
}

/// The same in a few words, for people.
pub(crate) fn hello() -> String {
    let facts = all();
    let processes =
        fs::read_dir("/proc").into_iter().flatten().flatten().filter(|entry| {
            entry.file_name().to_string_lossy().bytes().all(|b| b.is_ascii_digit())
        });
    let count =
        |pointer: &str| facts.pointer(pointer).and_then(Value::as_array).map_or(0, Vec::len);
    let capabilities = facts["caps"]["effective"].as_u64().unwrap_or(0).count_ones();
    format!(
        "Hello from a container.\n\
         I am process {} of {} here, user {}, on a host called {}.\n\
         I see {} mounts and hold {capabilities} capabilities.",
        facts["pid"],
        processes.count(),
        facts["uids"][0],
        facts["hostname"].as_str().unwrap_or_default(),
        count("/mounts"),
    )
}

/// Terminal facts of the three standard descriptors.
pub(crate) fn tty() -> Value {
    let of = |fd: i32| {
        let size = sys::window_size(fd).ok();
        json!({
            "terminal": size.is_some(),
            "rows": size.map(|s| s.0),
            "columns": size.map(|s| s.1),
            "name": link(&format!("/proc/self/fd/{fd}")),
        })
    };
    json!({
        "fds": [of(0), of(1), of(2)],
        "controlling": fs::File::open("/dev/tty").is_ok(),
        "console": fs::metadata("/dev/console").is_ok_and(|m| m.file_type().is_char_device()),
    })
}

/// Each file below /dev that is a device or a link, with its numbers and owner.
pub(crate) fn devices() -> Value {
    let mut found = Map::new();
    walk(Path::new("/dev"), &mut found);
    Value::Object(found)
}

fn walk(dir: &Path, found: &mut Map<String, Value>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        if meta.is_dir() {
            walk(&path, found);
            continue;
        }
        let rdev = meta.rdev();
        let kind = match meta.file_type() {
            t if t.is_char_device() => "c",
            t if t.is_block_device() => "b",
            t if t.is_fifo() => "p",
            t if t.is_symlink() => "l",
            _ => "-",
        };
        found.insert(
            path.to_string_lossy().into_owned(),
            json!({
                "type": kind, "major": libc::major(rdev), "minor": libc::minor(rdev),
                "mode": meta.mode() & 0o7777, "uid": meta.uid(), "gid": meta.gid(),
                "target": link(&path.to_string_lossy()),
            }),
        );
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn lines(path: &str) -> Vec<String> {
    read(path).lines().map(str::to_owned).collect()
}

fn link(path: &str) -> Value {
    fs::read_link(path).map_or(Value::Null, |p| json!(p))
}

fn field<'s>(status: &'s str, name: &str) -> &'s str {
    status.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':')).map_or("", str::trim)
}

fn ids(status: &str, name: &str) -> Vec<u32> {
    field(status, name).split_whitespace().filter_map(|n| n.parse().ok()).collect()
}

fn mask(status: &str, name: &str) -> Option<u64> {
    u64::from_str_radix(field(status, name), 16).ok()
}

fn namespaces() -> Value {
    let names = ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"];
    let of = |name: &&str| ((*name).to_owned(), link(&format!("/proc/self/ns/{name}")));
    Value::Object(names.iter().map(of).collect())
}

fn rlimits() -> Value {
    let of = |(name, resource): &(&str, Resource)| {
        let limit = getrlimit(*resource).map_or(Value::Null, |(soft, hard)| json!([soft, hard]));
        ((*name).to_owned(), limit)
    };
    Value::Object(RLIMITS.iter().map(of).collect())
}

/// Policy, flags, nice value, priority, and the three times of the deadline policy.
fn scheduler() -> Value {
    let Ok(attr) = sys::scheduler() else { return Value::Null };
    json!({
        "policy": attr[0], "flags": attr[1], "nice": attr[2], "priority": attr[3],
        "runtime": attr[4], "deadline": attr[5], "period": attr[6],
    })
}

/// Open descriptors without the one that lists them.
fn fds() -> Value {
    let Ok(dir) = fs::read_dir("/proc/self/fd") else { return Value::Null };
    let open: Map<String, Value> = dir
        .flatten()
        .filter_map(|e| {
            let target = fs::read_link(e.path()).ok()?.to_string_lossy().into_owned();
            let own = target.starts_with("/proc/") && target.ends_with("/fd");
            (!own).then(|| (e.file_name().to_string_lossy().into_owned(), json!(target)))
        })
        .collect();
    Value::Object(open)
}
