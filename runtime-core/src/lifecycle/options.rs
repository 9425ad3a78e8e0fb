//! What a caller may ask of a call, besides the configuration.

use crate::plan::criu::{CriuSwitches, DumpSwitches, RestoreSwitches};
use oci_spec::runtime::{LinuxResources, Process};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

/// Who makes cgroups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CgroupDriver {
    /// This library, in the cgroup filesystem.
    #[default]
    Cgroupfs,
    /// systemd, asked over D-Bus.
    Systemd,
    /// Nobody: containers stay in the caller's cgroup, and nothing limits them.
    Disabled,
}

/// Options of `create` and `run`.
#[derive(Debug, Default)]
pub struct CreateOptions {
    /// A listening stream socket to which the terminal's master is sent.
    pub console_socket: Option<PathBuf>,
    /// A listening stream socket to which the process's pidfd is sent.
    pub pidfd_socket: Option<PathBuf>,
    /// A file for the pid, in decimal.
    pub pid_file: Option<PathBuf>,
    /// Move the rootfs over / instead of pivot_root: for an initramfs.
    pub no_pivot: bool,
    /// Stay in the caller's session keyring.
    pub no_new_keyring: bool,
    /// How many descriptors of this process, from 3 on, are handed on in place, but for those
    /// that close at execve: their numbers are left out.
    pub inherit_fds: u32,
    /// Descriptors handed on as 3, 4, … in the place of inherited ones.
    pub fds: Vec<OwnedFd>,
    /// How many of those are of socket activation (LISTEN_FDS).
    pub listen_fds: u32,
    /// The supervisor's socket for readiness (NOTIFY_SOCKET).
    pub notify_socket: Option<PathBuf>,
    /// Standard streams; the caller's own when absent.
    pub stdio: Option<[OwnedFd; 3]>,
    /// With a terminal and without a console socket: hand its master back in
    /// the [`Process`](super::Process).
    pub foreground_console: bool,
    /// Rows and columns of the terminal where the configuration has none.
    pub console_size: Option<(u16, u16)>,
    /// Whether to do without what only root can do; decided from the caller's uid when absent.
    pub rootless: Option<bool>,
}

/// Options of `start`.
#[derive(Clone, Debug, Default)]
pub struct StartOptions {
    /// The supervisor's socket for readiness (NOTIFY_SOCKET).
    pub notify_socket: Option<PathBuf>,
}

/// Options of `exec`.
#[derive(Debug, Default)]
pub struct ExecOptions {
    /// As of [`CreateOptions`].
    pub console_socket: Option<PathBuf>,
    /// As of [`CreateOptions`].
    pub pidfd_socket: Option<PathBuf>,
    /// As of [`CreateOptions`].
    pub pid_file: Option<PathBuf>,
    /// As of [`CreateOptions`].
    pub inherit_fds: u32,
    /// As of [`CreateOptions`].
    pub fds: Vec<OwnedFd>,
    /// As of [`CreateOptions`].
    pub stdio: Option<[OwnedFd; 3]>,
    /// As of [`CreateOptions`].
    pub foreground_console: bool,
    /// As of [`CreateOptions`].
    pub console_size: Option<(u16, u16)>,
    /// Go ahead in a paused container; the process starts when it is resumed.
    pub ignore_paused: bool,
    /// Sub-cgroups of the container's to run in: `PATH`, or `CONTROLLER[,…]:PATH` on v1.
    pub cgroup: Vec<String>,
}

/// Options of `checkpoint`.
#[derive(Debug)]
pub struct CheckpointOptions {
    /// Where the images go; it is made where it is missing.
    pub image_path: PathBuf,
    /// Where criu logs and works; the images' directory when absent.
    pub work_path: Option<PathBuf>,
    /// What is chosen as for a restore.
    pub switches: CriuSwitches,
    /// What is chosen for a checkpoint alone.
    pub dump: DumpSwitches,
    /// With lazy pages: gets a zero byte once pages are served.
    pub status: Option<OwnedFd>,
    /// How long criu may do nothing before it is killed.
    pub patience: Duration,
}

/// Options of `restore`.
#[derive(Debug)]
pub struct RestoreOptions {
    /// Where the images are.
    pub image_path: PathBuf,
    /// Where criu logs and works; the images' directory when absent.
    pub work_path: Option<PathBuf>,
    /// What is chosen as for a checkpoint.
    pub switches: CriuSwitches,
    /// What is chosen for a restore alone.
    pub restore: RestoreSwitches,
    /// How long criu may do nothing before it is killed.
    pub patience: Duration,
    /// What a restore has in common with `run`. Descriptors beyond the standard streams are
    /// not handed on.
    pub create: CreateOptions,
}

impl CheckpointOptions {
    /// How long criu may do nothing, unless another time is chosen.
    pub const PATIENCE: Duration = Duration::from_secs(120);

    /// A plain checkpoint into `image_path`, after which the container is gone.
    pub fn new(image_path: impl Into<PathBuf>) -> Self {
        Self {
            image_path: image_path.into(),
            work_path: None,
            switches: CriuSwitches::default(),
            dump: DumpSwitches::default(),
            status: None,
            patience: Self::PATIENCE,
        }
    }
}

impl RestoreOptions {
    /// A plain restore from `image_path`.
    pub fn new(image_path: impl Into<PathBuf>) -> Self {
        Self {
            image_path: image_path.into(),
            work_path: None,
            switches: CriuSwitches::default(),
            restore: RestoreSwitches::default(),
            patience: CheckpointOptions::PATIENCE,
            create: CreateOptions::default(),
        }
    }
}

/// What `update` changes. What is left out stays as it is.
#[derive(Clone, Debug, Default)]
pub struct Update {
    /// Limits of the cgroup; device rules in it are overlooked.
    pub resources: LinuxResources,
    /// A line of resctrl's schemata for the L3 cache.
    pub l3_cache_schema: Option<String>,
    /// A line of resctrl's schemata for memory bandwidth.
    pub mem_bw_schema: Option<String>,
}

/// What to execute.
#[derive(Debug)]
pub enum ExecProcess {
    /// A whole process object: nothing comes from the container's own.
    Document(Box<Process>),
    /// A command, the rest being as the container's process has it.
    Command(ExecCommand),
}

/// A command with what differs from the container's own process.
#[derive(Clone, Debug, Default)]
pub struct ExecCommand {
    /// The program and its arguments.
    pub args: Vec<String>,
    /// Its working directory.
    pub cwd: Option<String>,
    /// Variables added to the container's environment.
    pub env: Vec<String>,
    /// Whether it gets a terminal.
    pub terminal: bool,
    /// User, and group.
    pub user: Option<(u32, Option<u32>)>,
    /// Groups added to the container's.
    pub additional_gids: Vec<u32>,
    /// SELinux label.
    pub selinux_label: Option<String>,
    /// AppArmor profile.
    pub apparmor: Option<String>,
    /// Sets no_new_privs; it cannot be taken away.
    pub no_new_privs: bool,
    /// Capabilities added to the container's.
    pub caps: Vec<String>,
}
