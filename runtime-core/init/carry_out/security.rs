//! Keyring, no_new_privs, seccomp.

use super::State;
use crate::host::{During, Fault, Host};
use crate::ops::{Call, Fact};
use crate::sys::{self, Fd, errno};
use core::ffi::CStr;

/// A session keyring of the container's own; a kernel without keyrings is fine.
pub fn keyring(name: &CStr, label: &CStr) -> Result<(), Fault> {
    if !label.is_empty() {
        super::procfs::write(c"self/attr/keycreate", label)?;
    }
    // Possessor: all; user: view, read and search, so that root can look after it.
    const PERMISSIONS: u32 = 0x3f0b_0000;
    let joined = match sys::join_session_keyring(name) {
        Ok(key) => sys::key_permissions(key, PERMISSIONS).during(Call::Keyctl).map(drop),
        Err(errno::ENOSYS) => Ok(()),
        Err(errno) => Err(Fault::new(Call::Keyctl, errno)),
    };
    if !label.is_empty() {
        super::procfs::write(c"self/attr/keycreate", c"")?;
    }
    joined
}

pub fn no_new_privileges() -> Result<(), Fault> {
    const PR_SET_NO_NEW_PRIVS: usize = 38;
    sys::prctl(PR_SET_NO_NEW_PRIVS, 1, 0).during(Call::Prctl).map(drop)
}

const FLAG_SPEC_ALLOW: u64 = 4;
const FLAG_NEW_LISTENER: u64 = 8;

impl State {
    /// The host side cannot be told of the listener by a process that the filter
    /// may keep from speaking, so it is told beforehand which descriptor it will be.
    pub fn seccomp(&mut self, program: &[u8], flags: u64, notify: bool, host: &Host) -> Result<(), Fault> {
        let flags = if notify { flags | FLAG_NEW_LISTENER } else { flags };
        if notify {
            host.tell(Fact::Listener, sys::next_descriptor(host.socket()).during(Call::Fcntl)? as u64)?;
        }
        let answer = match sys::seccomp_filter(program, flags) {
            // Linux before 4.17 knows no SPEC_ALLOW.
            Err(errno::EINVAL) if flags & FLAG_SPEC_ALLOW != 0 => {
                sys::seccomp_filter(program, flags & !FLAG_SPEC_ALLOW)
            }
            answer => answer,
        };
        let answer = answer.during(Call::Seccomp)?;
        if let Some([effective, permitted, inheritable]) = self.after_filter.take() {
            sys::capset(effective, permitted, inheritable).during(Call::Capset)?;
        }
        if notify {
            // Closed by execve; the host side has its own by then.
            let _ = Fd::from_raw(answer as i32).keep();
            // Execve would close it before it is fetched. A filter that forbids to
            // wait is obeyed: then fetching has to be faster.
            let _ = host.wait();
        }
        Ok(())
    }
}
