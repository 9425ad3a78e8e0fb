//! Whether a profile notifies an agent, and where it must not.

use oci_spec::runtime::{LinuxSeccomp, LinuxSeccompAction, LinuxSyscall};

use super::POINTER;
use crate::error::{Error, Result};

/// Whether some rule of `profile` notifies.
///
/// Neither the default action nor `write` may: between loading the filter and
/// handing the listener to the agent init still has calls to make, and `write`
/// is the one that announces the listener. It would wait for ever.
pub(super) fn check(profile: &LinuxSeccomp) -> Result<bool> {
    if notifies(profile.default_action()) {
        let message = "SCMP_ACT_NOTIFY cannot be used as default action";
        return Err(Error::config(format!("{POINTER}/defaultAction"), message));
    }
    let mut notify = false;
    for (index, call) in profile.syscalls().iter().flatten().enumerate() {
        if notifies(call.action()) {
            refuse_write(index, call)?;
            notify |= !call.names().is_empty();
        }
    }
    Ok(notify)
}

fn notifies(action: LinuxSeccompAction) -> bool {
    action == LinuxSeccompAction::ScmpActNotify
}

fn refuse_write(index: usize, call: &LinuxSyscall) -> Result<()> {
    match call.names().iter().position(|name| name == "write") {
        None => Ok(()),
        Some(name) => Err(Error::config(
            format!("{POINTER}/syscalls/{index}/names/{name}"),
            "SCMP_ACT_NOTIFY cannot be used for the write syscall",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_of(default: &str, names: &[&str]) -> Result<bool> {
        let rule = serde_json::json!({ "names": names, "action": "SCMP_ACT_NOTIFY" });
        let json = serde_json::json!({ "defaultAction": default, "syscalls": [rule] });
        check(&serde_json::from_value(json).unwrap())
    }

    #[test]
    fn a_rule_that_notifies_is_found() {
        assert!(check_of("SCMP_ACT_ERRNO", &["mkdir"]).unwrap());
        assert!(!check_of("SCMP_ACT_ERRNO", &[]).unwrap());
    }

    #[test]
    fn the_default_action_and_write_cannot_notify() {
        let error = check_of("SCMP_ACT_NOTIFY", &[]).unwrap_err();
        assert_eq!(error.pointer(), Some("/linux/seccomp/defaultAction"));
        let error = check_of("SCMP_ACT_ERRNO", &["mkdir", "write"]).unwrap_err();
        assert_eq!(error.pointer(), Some("/linux/seccomp/syscalls/0/names/1"));
    }
}
