//! Rules for seccomp that hold for every processor.

use oci_spec::runtime::{LinuxSeccomp, LinuxSeccompAction as Action, LinuxSyscall, Spec};

use super::{Faults, list};
use crate::bundle::{item, member, seccomp_receiver};

const BASE: &str = "/linux/seccomp";
/// A system call has six arguments.
const LAST_ARGUMENT: usize = 5;

/// config-linux.md, Seccomp.
pub(super) fn rules(spec: &Spec, faults: &mut Faults) {
    let seccomp = spec.linux().as_ref().and_then(|linux| linux.seccomp().as_ref());
    let Some(seccomp) = seccomp else { return };
    let pointer = || member(BASE, "defaultErrnoRet");
    errno(seccomp.default_action(), seccomp.default_errno_ret(), pointer, faults);
    for (index, rule) in list(seccomp.syscalls()).iter().enumerate() {
        syscalls(rule, &|| item(&member(BASE, "syscalls"), index), faults);
    }
    listener(spec, seccomp, faults);
}

fn syscalls(rule: &LinuxSyscall, base: &impl Fn() -> String, faults: &mut Faults) {
    if rule.names().is_empty() {
        let remedy = "name at least one system call, or remove the rule";
        faults.add(member(&base(), "names"), "names must not be empty", remedy);
    }
    errno(rule.action(), rule.errno_ret(), || member(&base(), "errnoRet"), faults);
    for (index, argument) in list(rule.args()).iter().enumerate() {
        if argument.index() > LAST_ARGUMENT {
            let pointer = member(&item(&member(&base(), "args"), index), "index");
            let message = format!("system calls have no argument {}", argument.index());
            faults.add(pointer, message, "use 0 to 5");
        }
    }
    if rule.action() == Action::ScmpActNotify && rule.names().iter().any(|name| name == "write") {
        // The listener's descriptor is handed out with the filter in place.
        let message = "SCMP_ACT_NOTIFY cannot be used for the write syscall";
        faults.add(member(&base(), "names"), message, "let write through");
    }
}

/// "When the action doesn't support an errno, the runtime MUST print an error
/// and fail"; the kernel returns at most 4095 and traces 16 bits (seccomp(2)).
fn errno(action: Action, errno: Option<u32>, pointer: impl Fn() -> String, faults: &mut Faults) {
    let Some(errno) = errno else { return };
    let most = match action {
        Action::ScmpActErrno => 4095,
        Action::ScmpActTrace => u32::from(u16::MAX),
        _ => {
            let message = format!("action {action} does not take an errno");
            return faults.add(pointer(), message, "remove it, or use SCMP_ACT_ERRNO");
        }
    };
    if errno > most {
        let message = format!("errno {errno} is out of range");
        faults.add(pointer(), message, &format!("use 0 to {most}"));
    }
}

fn listener(spec: &Spec, seccomp: &LinuxSeccomp, faults: &mut Faults) {
    if seccomp.default_action() == Action::ScmpActNotify {
        let message = "SCMP_ACT_NOTIFY cannot be used as default action";
        faults.add(member(BASE, "defaultAction"), message, "notify about named calls only");
    }
    let notify = |rule: &LinuxSyscall| rule.action() == Action::ScmpActNotify;
    let notifies = list(seccomp.syscalls()).iter().any(notify);
    let receiver = seccomp_receiver(spec);
    match receiver {
        None if notifies => {
            let message = "seccomp listenerPath is not set";
            faults.add(member(BASE, "listenerPath"), message, "name the agent's socket");
        }
        Some((pointer, path)) if notifies && !path.is_absolute() => {
            let message = format!("seccomp listenerPath {path:?} is not absolute");
            faults.add(pointer, message, "give the path from /");
        }
        _ => {}
    }
    let metadata = seccomp.listener_metadata().as_ref().is_some_and(|data| !data.is_empty());
    if receiver.is_none() && metadata {
        let message = "listenerMetadata is set without listenerPath";
        faults.add(member(BASE, "listenerMetadata"), message, "set both or none");
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::faults;

    fn seccomp(text: &str) -> Vec<String> {
        faults(&format!(r#"{{"linux":{{"seccomp":{text}}}}}"#))
    }

    #[test]
    fn an_errno_belongs_to_an_action_that_has_one() {
        assert_eq!(
            seccomp(
                r#"{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":38,"syscalls":[
                    {"names":["a"],"action":"SCMP_ACT_ALLOW","errnoRet":1},
                    {"names":["b"],"action":"SCMP_ACT_ERRNO","errnoRet":70000}]}"#
            ),
            [
                "/linux/seccomp/syscalls/0/errnoRet: action SCMP_ACT_ALLOW does not take an errno",
                "/linux/seccomp/syscalls/1/errnoRet: errno 70000 is out of range",
            ]
        );
    }

    #[test]
    fn a_rule_names_calls_and_their_arguments() {
        assert_eq!(
            seccomp(
                r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":[],
                    "action":"SCMP_ACT_LOG","args":[{"index":6,"value":1,"op":"SCMP_CMP_EQ"}]}]}"#
            ),
            [
                "/linux/seccomp/syscalls/0/names: names must not be empty",
                "/linux/seccomp/syscalls/0/args/0/index: system calls have no argument 6",
            ]
        );
    }

    #[test]
    fn notification_needs_a_listener_and_leaves_write_alone() {
        assert_eq!(
            seccomp(
                r#"{"defaultAction":"SCMP_ACT_NOTIFY","listenerMetadata":"m","syscalls":[
                    {"names":["write"],"action":"SCMP_ACT_NOTIFY"}]}"#
            ),
            [
                "/linux/seccomp/syscalls/0/names: SCMP_ACT_NOTIFY cannot be used for the write \
                 syscall",
                "/linux/seccomp/defaultAction: SCMP_ACT_NOTIFY cannot be used as default action",
                "/linux/seccomp/listenerPath: seccomp listenerPath is not set",
                "/linux/seccomp/listenerMetadata: listenerMetadata is set without listenerPath",
            ]
        );
    }
}
