//! Namespaces: which there are, whether more may be made, and ids for users.

use super::{Finding, is_root, read};
use std::path::Path;

const AREA: &str = "namespaces";

/// Files in /proc/self/ns, and the limits in /proc/sys/user.
const KINDS: [(&str, &str); 8] = [
    ("cgroup", "max_cgroup_namespaces"),
    ("ipc", "max_ipc_namespaces"),
    ("mnt", "max_mnt_namespaces"),
    ("net", "max_net_namespaces"),
    ("pid", "max_pid_namespaces"),
    ("time", "max_time_namespaces"),
    ("user", "max_user_namespaces"),
    ("uts", "max_uts_namespaces"),
];

pub(super) fn check() -> Vec<Finding> {
    let mut findings: Vec<Finding> =
        KINDS.iter().map(|(kind, limit)| namespace(kind, limit)).collect();
    findings.push(users());
    findings.extend(ranges());
    findings
}

fn namespace(kind: &str, limit: &str) -> Finding {
    if !Path::new("/proc/self/ns").join(kind).exists() {
        let text = "the kernel has none";
        return match kind {
            "mnt" => Finding::problem(AREA, kind, text, "the kernel needs CONFIG_NAMESPACES"),
            _ => Finding::note(AREA, kind, text, "containers with one need a kernel that has them"),
        };
    }
    match read(&format!("/proc/sys/user/{limit}")).as_deref() {
        Some("0") => Finding::problem(
            AREA,
            kind,
            format!("none may be made: user.{limit} is 0"),
            &format!("sysctl user.{limit}=10000"),
        ),
        Some(number) => Finding::fine(AREA, kind, format!("at most {number}")),
        None => Finding::fine(AREA, kind, "there"),
    }
}

/// Whether an ordinary user may make user namespaces.
fn users() -> Finding {
    const SUBJECT: &str = "unprivileged";
    // Each is of one distribution's kernel; the value is the one that forbids.
    const SWITCHES: [(&str, &str, &str); 2] = [
        ("kernel/unprivileged_userns_clone", "0", "1"),
        ("kernel/apparmor_restrict_unprivileged_userns", "1", "0"),
    ];
    for (file, forbids, allows) in SWITCHES {
        if read(&format!("/proc/sys/{file}")).as_deref() == Some(forbids) {
            let name = file.replace('/', ".");
            let text = format!("users may make no user namespaces: {name} is {forbids}");
            let remedy = format!("sysctl {name}={allows}");
            return match is_root() {
                true => Finding::note(AREA, SUBJECT, text, &remedy),
                false => Finding::problem(AREA, SUBJECT, text, &remedy),
            };
        }
    }
    Finding::fine(AREA, SUBJECT, "users may make user namespaces")
}

/// More than one id for an ordinary user; root needs nobody's grant.
fn ranges() -> Vec<Finding> {
    if is_root() {
        return Vec::new();
    }
    [("/etc/subuid", "newuidmap"), ("/etc/subgid", "newgidmap")]
        .into_iter()
        .map(|(table, helper)| range(table, helper))
        .collect()
}

fn range(table: &str, helper: &str) -> Finding {
    let uid = nix::unistd::getuid().to_string();
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid).then_some(name)
    });
    let text = std::fs::read_to_string(table).unwrap_or_default();
    let granted = text.lines().find_map(|line| {
        let (who, range) = line.split_once(':')?;
        (who == uid || Some(who) == name).then_some(range)
    });
    match (granted, super::tools::find(helper)) {
        (Some(range), Some(path)) => {
            Finding::fine(AREA, table, format!("{range}, by {}", path.display()))
        }
        (None, _) => Finding::note(
            AREA,
            table,
            "no range is granted: containers have one id",
            &format!("add a line {}:100000:65536", name.unwrap_or(&uid)),
        ),
        (Some(_), None) => Finding::note(
            AREA,
            table,
            format!("a range is granted, but {helper} is not in $PATH: containers have one id"),
            "install uidmap (Debian) or shadow-utils",
        ),
    }
}
