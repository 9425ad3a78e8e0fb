//! Actions of a profile → the values a filter returns.

use oci_spec::runtime::LinuxSeccompAction as Action;

use crate::error::{Error, Notice, Result};

pub(super) const RET_KILL_THREAD: u32 = libc::SECCOMP_RET_KILL_THREAD;
pub(super) const RET_ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
/// `SECCOMP_RET_ERRNO` with ENOSYS.
pub(super) const RET_ENOSYS: u32 = libc::SECCOMP_RET_ERRNO | ENOSYS;

const EPERM: u32 = libc::EPERM.unsigned_abs();
const ENOSYS: u32 = libc::ENOSYS.unsigned_abs();

/// The largest errno the kernel can return (`MAX_ERRNO`).
const MAX_ERRNO: u32 = 4095;
/// The largest value a tracer can be given: the low 16 bits.
const MAX_TRACE: u32 = 0xffff;

/// The return value of `action`. `errno_ret`, of the place `pointer`, is the
/// errno of `SCMP_ACT_ERRNO` and the message of `SCMP_ACT_TRACE`, EPERM when
/// absent.
pub(super) fn value(
    action: Action,
    errno_ret: Option<u32>,
    pointer: impl Fn() -> String,
) -> Result<u32> {
    let data = |max| match errno_ret.unwrap_or(EPERM) {
        data if data <= max => Ok(data),
        data => Err(Error::config(pointer(), format!("{data} is not between 0 and {max}"))),
    };
    Ok(match action {
        Action::ScmpActKill | Action::ScmpActKillThread => RET_KILL_THREAD,
        Action::ScmpActKillProcess => libc::SECCOMP_RET_KILL_PROCESS,
        Action::ScmpActTrap => libc::SECCOMP_RET_TRAP,
        Action::ScmpActErrno => libc::SECCOMP_RET_ERRNO | data(MAX_ERRNO)?,
        Action::ScmpActNotify => libc::SECCOMP_RET_USER_NOTIF,
        Action::ScmpActTrace => libc::SECCOMP_RET_TRACE | data(MAX_TRACE)?,
        Action::ScmpActLog => libc::SECCOMP_RET_LOG,
        Action::ScmpActAllow => RET_ALLOW,
    })
}

/// Tells of an `errnoRet` that `action` cannot carry. The spec wants this
/// refused (config-linux.md, seccomp); runc takes no notice of it, and so
/// containers exist that have one.
pub(super) fn notice_useless_errno(
    action: Action,
    errno_ret: Option<u32>,
    pointer: impl Fn() -> String,
    notices: &mut Vec<Notice>,
) {
    let carries = matches!(action, Action::ScmpActErrno | Action::ScmpActTrace);
    if errno_ret.is_some() && !carries {
        notices.push(Notice::new(pointer(), format!("{action} has no errno: ignored")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> String {
        "/here".to_owned()
    }

    #[test]
    fn errno_and_trace_carry_data_and_default_to_eperm() {
        assert_eq!(value(Action::ScmpActErrno, None, place).unwrap(), 0x0005_0001);
        assert_eq!(value(Action::ScmpActErrno, Some(38), place).unwrap(), RET_ENOSYS);
        assert_eq!(value(Action::ScmpActTrace, None, place).unwrap(), 0x7ff0_0001);
        assert_eq!(value(Action::ScmpActTrace, Some(0xffff), place).unwrap(), 0x7ff0_ffff);
    }

    #[test]
    fn data_out_of_range_cannot_turn_into_another_action() {
        let error = value(Action::ScmpActErrno, Some(0x7fff_0000), place).unwrap_err();
        assert_eq!(error.pointer(), Some("/here"));
        assert!(value(Action::ScmpActErrno, Some(4096), place).is_err());
        assert!(value(Action::ScmpActTrace, Some(0x1_0000), place).is_err());
    }

    #[test]
    fn kill_is_kill_thread() {
        let kill = value(Action::ScmpActKill, None, place).unwrap();
        assert_eq!(kill, value(Action::ScmpActKillThread, None, place).unwrap());
        assert_ne!(kill, value(Action::ScmpActKillProcess, None, place).unwrap());
    }

    #[test]
    fn an_errno_that_the_action_cannot_carry_is_told_of() {
        let mut notices = Vec::new();
        notice_useless_errno(Action::ScmpActErrno, Some(1), place, &mut notices);
        assert!(notices.is_empty());
        notice_useless_errno(Action::ScmpActAllow, Some(1), place, &mut notices);
        assert_eq!(notices[0].pointer, "/here");
    }
}
