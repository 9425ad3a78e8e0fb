//! What the caller may do, and what confines containers.

use super::{Finding, is_root, read};
use std::path::Path;

const AREA: &str = "security";

/// Capabilities that root needs to make containers, by number.
const NEEDED: [(&str, u32); 5] = [
    ("CAP_SYS_ADMIN", 21),
    ("CAP_SETUID", 7),
    ("CAP_SETGID", 6),
    ("CAP_SETPCAP", 8),
    ("CAP_MKNOD", 27),
];

pub(super) fn check() -> Vec<Finding> {
    vec![capabilities(), modules(), apparmor(), selinux()]
}

fn capabilities() -> Finding {
    const SUBJECT: &str = "capabilities";
    if !is_root() {
        let text = "an ordinary user: containers have a user namespace of their own";
        return Finding::fine(AREA, SUBJECT, text);
    }
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    let missing: Vec<&str> = NEEDED
        .iter()
        .filter(|(_, number)| mask & (1 << number) == 0)
        .map(|(name, _)| *name)
        .collect();
    let remedy = "give them to this process, or use a user namespace: spec --rootless";
    match missing.first() {
        None => Finding::fine(AREA, SUBJECT, "root with what it takes"),
        Some(&"CAP_SYS_ADMIN") => {
            Finding::problem(AREA, SUBJECT, format!("root without {}", missing.join(", ")), remedy)
        }
        Some(_) => {
            Finding::note(AREA, SUBJECT, format!("root without {}", missing.join(", ")), remedy)
        }
    }
}

fn modules() -> Finding {
    const SUBJECT: &str = "modules";
    match read("/sys/kernel/security/lsm") {
        Some(list) => Finding::fine(AREA, SUBJECT, list),
        None => Finding::fine(AREA, SUBJECT, "securityfs is not mounted"),
    }
}

fn apparmor() -> Finding {
    let on = read("/sys/module/apparmor/parameters/enabled").is_some_and(|it| it.starts_with('Y'));
    let text = if on { "enabled" } else { "not enabled: apparmorProfile is refused" };
    Finding::fine(AREA, "AppArmor", text)
}

fn selinux() -> Finding {
    let on = Path::new("/sys/fs/selinux/enforce").exists();
    let text = if on { "enabled" } else { "not enabled: selinuxLabel is refused" };
    Finding::fine(AREA, "SELinux", text)
}
