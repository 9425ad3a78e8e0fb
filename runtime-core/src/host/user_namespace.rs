//! Why the host withholds user namespaces.

use crate::error::Error;
use crate::plan::clone_flags::CLONE_NEWUSER;
use crate::plan::ops::Op;
use crate::plan::{Action, Step};

const MAX: &str = "user/max_user_namespaces";
/// Debian's and Arch's switch.
const CLONE: &str = "kernel/unprivileged_userns_clone";
/// Ubuntu's.
const APPARMOR: &str = "kernel/apparmor_restrict_unprivileged_userns";

/// `error` of `step` with the switch that is behind it, if there is one. Read only
/// when something has failed.
pub(super) fn explain(error: Error, step: Option<&Step>) -> Error {
    let makes = step.is_some_and(|step| {
        matches!(&step.action, Action::Init(Op::Unshare { flags }) if flags & CLONE_NEWUSER != 0)
    });
    let remedy = match (makes, error.errno()) {
        (true, Some(libc::ENOSPC | libc::EUSERS)) => Some(too_many()),
        (_, Some(libc::EPERM | libc::EACCES)) if restricted_by_apparmor() => Some(format!(
            "{} is 1: capabilities in user namespaces are for programs with an AppArmor profile \
             that has `userns,`; give this one such a profile, or set it to 0",
            dotted(APPARMOR)
        )),
        (true, Some(libc::EPERM)) => Some(forbidden()),
        _ => None,
    };
    match remedy {
        Some(remedy) => error.hint(remedy),
        None => error,
    }
}

fn too_many() -> String {
    match sysctl(MAX).as_deref() {
        Some("0") => {
            format!("{0} is 0: this host has none; as root: sysctl -w {0}=15000", dotted(MAX))
        }
        _ => format!("{} is reached, or user namespaces are nested more than 32 deep", dotted(MAX)),
    }
}

fn forbidden() -> String {
    match sysctl(CLONE).as_deref() {
        Some("0") => format!("{0} is 0; as root: sysctl -w {0}=1", dotted(CLONE)),
        _ => "refused in a chroot, by a seccomp filter (that of an engine's container, say) or \
              by a security module"
            .to_owned(),
    }
}

/// Who has privileges on the host is not restricted.
fn restricted_by_apparmor() -> bool {
    !nix::unistd::geteuid().is_root() && sysctl(APPARMOR).as_deref() == Some("1")
}

fn sysctl(name: &str) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/sys/{name}")).ok()?;
    Some(text.trim().to_owned())
}

fn dotted(name: &str) -> String {
    name.replace('/', ".")
}
