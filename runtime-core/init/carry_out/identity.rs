//! Who the process is: capabilities, user, groups, working directory.

use super::{State, masks, procfs};
use crate::host::{During, Fault};
use crate::ops::Call;
use crate::sys::{self, errno};
use core::ffi::CStr;

const PR_SET_KEEPCAPS: usize = 8;
const PR_CAPBSET_DROP: usize = 24;
const PR_CAP_AMBIENT: usize = 47;
const PR_CAP_AMBIENT_RAISE: usize = 2;
const PR_CAP_AMBIENT_CLEAR_ALL: usize = 4;

pub struct User {
    pub uid: u32,
    pub gid: u32,
    /// Native-endian 32-bit ids.
    pub groups: &'static [u8],
    pub set_groups: bool,
    pub umask: u32,
}

/// User and group 0 of the user namespace just entered.
pub fn become_root() -> Result<(), Fault> {
    sys::set_gid(0).during(Call::Setgid)?;
    sys::set_uid(0).during(Call::Setuid).map(drop)
}

pub fn bounding(drop: u64) -> Result<(), Fault> {
    for capability in (0..64).filter(|bit| drop & (1 << bit) != 0) {
        match sys::prctl(PR_CAPBSET_DROP, capability, 0) {
            // A capability that this kernel does not have yet.
            Ok(_) | Err(errno::EINVAL) => {}
            Err(errno) => return Err(Fault::new(Call::Prctl, errno)),
        }
    }
    Ok(())
}

impl State {
    /// From here on no descriptor leads anywhere: a path through /proc/self/fd
    /// could otherwise be the working directory (CVE-2024-21626).
    fn let_go(&mut self) -> Result<(), Fault> {
        let covers = [self.null.take(), self.mask.take()].map(|cover| cover.map(masks::Cover::into_tree));
        for held in covers.into_iter().chain([self.root.take()]).flatten() {
            held.keep();
        }
        for (_, held) in [self.directory.take(), self.beside.take()].into_iter().flatten() {
            held.keep();
        }
        super::program::close_strangers()
    }

    /// As root first: the directory may be closed to the user. When root is
    /// refused (a network filesystem), as the user.
    pub fn work_directory(&mut self, path: &'static CStr) -> Result<(), Fault> {
        self.let_go()?;
        match sys::chdir(path) {
            Ok(_) => inside(),
            Err(errno::EPERM | errno::EACCES) => {
                self.postponed_directory = Some(path);
                Ok(())
            }
            Err(errno) => Err(Fault::new(Call::Chdir, errno)),
        }
    }

    pub fn user(&mut self, user: &User) -> Result<(), Fault> {
        self.own_streams(user.uid)?;
        if user.set_groups {
            match sys::set_groups(user.groups) {
                // Those that the caller had stay: no runtime can change that.
                Err(errno::EPERM) if user.groups.is_empty() && procfs::denies_groups() => {}
                answer => answer.during(Call::Setgroups).map(drop)?,
            }
        }
        sys::set_gid(user.gid).during(Call::Setgid)?;
        sys::prctl(PR_SET_KEEPCAPS, 1, 0).during(Call::Prctl)?;
        sys::set_uid(user.uid).during(Call::Setuid)?;
        sys::umask(user.umask);
        if let Some(path) = self.postponed_directory.take() {
            sys::chdir(path).during(Call::Chdir)?;
            inside()?;
        }
        Ok(())
    }

    /// Pipes and sockets on the standard streams become the user's, so that
    /// /dev/stdout can be opened anew. Files and terminals of the host are left alone.
    fn own_streams(&self, uid: u32) -> Result<(), Fault> {
        if uid == 0 {
            return Ok(());
        }
        for stream in 0..3 {
            let Ok(stat) = sys::stat_fd(stream) else { continue };
            if stat.is_pipe_or_socket() && stat.uid != uid {
                match sys::fchown(stream, uid, u32::MAX) {
                    Ok(_) | Err(errno::EPERM | errno::EINVAL) => {}
                    Err(errno) => return Err(Fault::new(Call::Fchown, errno)),
                }
            }
        }
        Ok(())
    }

    /// Effective, permitted, inheritable in one call, then ambient one by one.
    pub fn capabilities(&mut self, sets: [u64; 3], ambient: u64, until_filter: u64) -> Result<(), Fault> {
        let [effective, permitted, inheritable] = sets;
        sys::capset(effective | until_filter, permitted | until_filter, inheritable).during(Call::Capset)?;
        sys::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0).during(Call::Prctl)?;
        for capability in (0..64).filter(|bit| ambient & (1 << bit) != 0) {
            sys::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability).during(Call::Prctl)?;
        }
        self.after_filter = (until_filter & !(effective & permitted) != 0).then_some(sets);
        Ok(())
    }
}

/// A working directory that was reached through a leaked descriptor lies
/// outside the root: the kernel then has no path for it (CVE-2024-21626).
fn inside() -> Result<(), Fault> {
    let mut path = [0u8; 4096];
    match sys::getcwd(&mut path) {
        Ok(_) if path[0] == b'/' => Ok(()),
        Ok(_) => Err(Fault::new(Call::Outside, 0)),
        Err(errno::ENOENT) => Err(Fault::new(Call::Outside, errno::ENOENT)),
        Err(errno) => Err(Fault::new(Call::Getcwd, errno)),
    }
}

