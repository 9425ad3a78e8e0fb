//! Carrying out operations, a family a file.

mod attributes;
mod cgroup;
mod configure;
mod console;
mod copy_up;
mod devices;
mod filesystem;
mod hooks;
mod identity;
mod masks;
mod mounts;
mod namespaces;
mod procfs;
pub mod program;
mod rootfs;
mod scheduling;
mod security;

use crate::host::{During, Fault, Host};
use crate::ops::{Call, Fact, Op};
use crate::path::Buffer;
use crate::sys::{self, Fd, errno};

use core::ffi::CStr;

/// What one operation leaves for later ones.
pub struct State {
    root: Option<Fd>,
    /// The root of the host, kept while this process joins a container.
    host: Option<Fd>,
    pivoted: bool,
    /// The directory that the last device or link was made in, reached without links.
    directory: Option<(&'static [u8], Fd)>,
    /// The directory that the last bind mount's target was made in.
    beside: Option<(&'static [u8], Fd)>,
    /// The host's /dev/null, which hides files.
    null: Option<masks::Cover>,
    /// The empty tmpfs that hides directories.
    mask: Option<masks::Cover>,
    /// The capability sets to have once the filter is loaded.
    after_filter: Option<[u64; 3]>,
    postponed_directory: Option<&'static CStr>,
    program: Option<&'static CStr>,
    home: Buffer,
    hook_output: hooks::Output,
}

impl State {
    pub fn new() -> Self {
        Self {
            root: None,
            host: None,
            pivoted: false,
            directory: None,
            beside: None,
            null: None,
            mask: None,
            after_filter: None,
            postponed_directory: None,
            program: None,
            home: Buffer::new(),
            hook_output: hooks::Output::default(),
        }
    }

    fn root(&self) -> Result<i32, Fault> {
        self.root.as_ref().map(Fd::raw).ok_or(Fault::new(Call::Plan, errno::EINVAL))
    }

    /// Carries out one operation.
    pub fn carry_out(&mut self, op: Op, host: &mut Host) -> Result<(), Fault> {
        match op {
            Op::JoinProcess { slot, flags, pid } => namespaces::join_process(slot, flags, pid),
            Op::JoinNamespace { slot, kind } => namespaces::join(slot, kind),
            Op::Unshare { flags } => sys::unshare(flags).during(Call::Unshare).map(drop),
            Op::TimeOffsets { text } => namespaces::time_offsets(text),
            Op::Fork { flags } => namespaces::fork(flags, host),
            Op::BecomeRoot {} => identity::become_root(),
            Op::Sync { point } => {
                host.tell(Fact::Reached, point)?;
                host.wait()
            }
            Op::Session {} => sys::setsid().during(Call::Setsid).map(drop),
            Op::Keyring { name, label } => security::keyring(name, label),
            Op::LoopbackUp {} => sys::loopback_up().during(Call::Ioctl).map(drop),
            Op::RootPropagation { flags, parent, rootfs } => rootfs::root_propagation(flags, parent, rootfs),
            Op::OpenRootfs { path } => self.open_rootfs(path),
            Op::OpenRoot { path } => self.open_root(path),
            Op::HostRoot { back } => self.host_root(back != 0),
            Op::Unmount { target } => self.unmount(target),
            Op::MountFs {
                target,
                source,
                fstype,
                flags,
                data,
                propagation,
                attr_set,
                attr_clear,
                copy_up,
                inherit,
            } => self.mount_filesystem(
                &filesystem::Filesystem {
                    target,
                    source,
                    fstype,
                    flags,
                    data,
                    after: mounts::After { propagation, set: attr_set, clear: attr_clear },
                    copy_up: copy_up != 0,
                    inherit,
                },
                host,
            ),
            Op::MountBind {
                target,
                source,
                slot,
                recursive,
                directory,
                links,
                set,
                clear,
                propagation,
                attr_set,
                attr_clear,
            } => self.mount_bind(&mounts::Bind {
                target,
                source,
                slot,
                recursive: recursive != 0,
                directory: directory != 0,
                may_be_missing: directory == 2,
                links,
                set,
                clear,
                after: mounts::After { propagation, set: attr_set, clear: attr_clear },
            }),
            Op::MountCgroup2 { target, flags, data, propagation, attr_set, attr_clear, fallback, mask } => {
                let after = mounts::After { propagation, set: attr_set, clear: attr_clear };
                self.mount_cgroup2(cgroup::Cgroup2 { target, flags, data, after, fallback, mask: mask != 0 }, host)
            }
            Op::RemountBind { target, set, clear, propagation, attr_set, attr_clear } => {
                let after = mounts::After { propagation, set: attr_set, clear: attr_clear };
                self.remount_bind(target, set, clear, &after)
            }
            Op::Remount { target, flags, data } => self.remount(target, flags, data),
            Op::TreeFlags { target, below, flags } => self.tree_flags(target, below, flags),
            Op::Rlimit { resource, soft, hard } => {
                sys::set_limit(resource, soft, hard).during(Call::Prlimit).map(drop)
            }
            Op::JoinCgroups { tasks, slot, may_be_denied } => {
                namespaces::join_cgroups(tasks, slot, may_be_denied != 0)
            }
            Op::Reachable { on } => sys::set_dumpable(on != 0).during(Call::Prctl).map(drop),
            Op::OomScore { score } => procfs::write_own(c"/proc/self/oom_score_adj", score),
            Op::Symlink { path, content, replace } => self.symlink(path, content, replace != 0),
            Op::EmptyFile { path } => {
                let (directory, name) = self.place(path)?;
                devices::empty_file(directory, name.as_text()).map(drop)
            }
            Op::Device { path, mode, major, minor, uid, gid, bind } => self.device(&devices::Node {
                path,
                mode: mode as u32,
                major: major as u32,
                minor: minor as u32,
                uid: uid as u32,
                gid: gid as u32,
                bind: bind != 0,
            }),
            Op::Console { mount, width, height, uid } => {
                self.console(mount != 0, (width as u16, height as u16), uid as u32, host)
            }
            Op::Hook { path, args, env, home, timeout_ms, state_head, state_tail } => {
                if home != 0 {
                    env.replace_last(self.home.as_text());
                }
                let hook = hooks::Hook { path, args, env, timeout_ms, state_head, state_tail };
                let directory = if self.pivoted { None } else { Some(self.root()?) };
                hooks::run(&hook, directory, &self.hook_output, host)
            }
            Op::HookOutput { stdout, stderr } => {
                self.hook_output = hooks::Output::new(stdout, stderr);
                Ok(())
            }
            Op::PivotRoot {} => self.pivot_root(),
            Op::MoveRoot {} => self.move_root(),
            Op::Chroot {} => self.chroot(),
            Op::RootfsPropagation { flags } => rootfs::propagation(flags),
            Op::RootReadonly {} => rootfs::readonly(),
            Op::ReopenNull {} => self.reopen_null(),
            Op::MakeDirectory { path, mode } => self.make_directory(path, mode as u32),
            Op::Hostname { name } => sys::set_hostname(name).during(Call::Sethostname).map(drop),
            Op::Domainname { name } => sys::set_domainname(name).during(Call::Setdomainname).map(drop),
            Op::Sysctl { path, value } => procfs::write(path, value),
            Op::ExecLabel { path, fallback, value } => procfs::write_label(path, fallback, value),
            Op::OpenNull {} => self.open_null(),
            Op::MaskPath { path, label } => self.mask_path(path, label),
            Op::ReadonlyPath { path } => self.readonly_path(path),
            Op::NoNewPrivileges {} => security::no_new_privileges(),
            Op::Scheduler { attr } => sys::sched_setattr(attr).during(Call::SchedSetattr).map(drop),
            Op::IoPriority { priority } => sys::ioprio_set(priority).during(Call::IoprioSet).map(drop),
            Op::Personality { persona } => sys::personality(persona).during(Call::Personality).map(drop),
            Op::MemoryPolicy { mode, nodes, max_node } => {
                sys::set_mempolicy(mode, nodes, max_node).during(Call::SetMempolicy).map(drop)
            }
            Op::Affinity { mask } => sys::sched_setaffinity(mask).during(Call::SchedSetaffinity).map(drop),
            Op::EveryCpu {} => {
                scheduling::every_cpu();
                Ok(())
            }
            Op::Bounding { drop } => identity::bounding(drop),
            Op::WorkDirectory { path } => self.work_directory(path),
            Op::User { uid, gid, groups, set_groups, umask } => self.user(&identity::User {
                uid: uid as u32,
                gid: gid as u32,
                groups,
                set_groups: set_groups != 0,
                umask: umask as u32,
            }),
            Op::Capabilities { effective, permitted, inheritable, ambient, until_filter } => {
                self.capabilities([effective, permitted, inheritable], ambient, until_filter)
            }
            Op::Home { uid } => self.find_home(uid as u32),
            Op::FindExecutable { candidates, searched } => self.find_executable(candidates, searched != 0),
            Op::Stdio {} => program::stdio(),
            Op::PassDescriptors { first, count } => program::pass_descriptors(first, count),
            Op::Seccomp { program, flags, notify } => self.seccomp(program, flags, notify != 0, host),
            Op::HoldSignals { on } => program::hold_signals(on != 0),
            Op::Gate {} => program::gate(host),
            Op::CloseOnExec { from } => program::close_range(from as u32, u32::MAX, true),
            Op::Signals { reset } => program::signals(reset),
            Op::Exec { args, env, home } => self.execute(args, env, home != 0),
        }
    }
}
