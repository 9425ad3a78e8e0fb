//! What is kept of a container between calls: its directory below the state
//! root, with `state.json` and a copy of config.json.
//!
//! The record is written before anything that must be undone, and always whole
//! (a temporary file, renamed). Whoever creates a container holds a lock on its
//! directory; a record that says `creating` and is not locked is of a creator
//! that died.

use crate::error::{Context, Error, ErrorKind, Result};
use crate::plan::cgroup::Cgroup;
use crate::plan::resctrl::ResctrlGroup;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use oci_spec::runtime::LinuxResources;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const VERSION: u32 = 1;
const STATE: &str = "state.json";
const CONFIG: &str = "config.json";
/// What `update` made of `linux.resources`.
const RESOURCES: &str = "resources.json";
/// The socket that init listens on until `start`.
pub(crate) const GATE: &str = "start.sock";

/// How far creation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Phase {
    Creating,
    Created,
}

/// The content of `state.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record {
    pub(crate) version: u32,
    pub(crate) phase: Phase,
    pub(crate) oci_version: String,
    pub(crate) id: String,
    pub(crate) bundle: PathBuf,
    pub(crate) rootfs: PathBuf,
    /// RFC 3339, UTC.
    pub(crate) created: String,
    /// The uid that created it.
    pub(crate) owner: u32,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) cgroup: Option<Cgroup>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) resctrl: Option<ResctrlGroup>,
    /// Whether it has a pid namespace of its own: then all ends with its first process.
    pub(crate) own_pids: bool,
    /// Whether it has a mount namespace of its own: then its mounts end with it.
    pub(crate) own_mounts: bool,
    /// Whether its processes stay in the caller's session keyring.
    pub(crate) no_new_keyring: bool,
    /// How many descriptors beyond the standard streams its process was given.
    #[serde(default)]
    pub(crate) handed_on: u32,
    /// Whether criu is bringing it back, in a cgroup that was made for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) restoring: bool,
    /// How many steps its plan had.
    pub(crate) steps: usize,
    /// 0 as long as there is none.
    pub(crate) pid: i32,
    /// Clock ticks after boot at which the process started: tells a reused pid.
    pub(crate) start_time: u64,
}

impl Record {
    pub(crate) const VERSION: u32 = VERSION;
}

/// The directory of one container.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    /// Open, and locked by whoever changes the container until it is closed.
    fd: File,
}

/// A link in the state root is no container of ours, wherever it leads.
const AS_DIRECTORY: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

fn os(name: &'static str, path: &Path) -> impl Fn(nix::errno::Errno) -> Error {
    move |errno| Error::os(name, errno as i32).path(path)
}

impl Directory {
    /// Makes the directory of a new container, and locks it.
    pub(crate) fn create(root: &Path, id: &str) -> Result<Self> {
        let path = root.join(id);
        let mode = Mode::from_bits_retain(0o711);
        let made = match mkdirat(nix::fcntl::AT_FDCWD, &path, mode) {
            Err(nix::errno::Errno::ENOENT) => {
                make_root(root)?;
                mkdirat(nix::fcntl::AT_FDCWD, &path, mode)
            }
            answer => answer,
        };
        match made {
            Ok(()) => {}
            Err(nix::errno::Errno::EEXIST) => {
                return Err(Error::kind_only(ErrorKind::AlreadyExists));
            }
            Err(errno) => {
                return Err(os("mkdir", &path)(errno).hint("--root must be a writable directory"));
            }
        }
        let directory = Self::open_path(path)?;
        match directory.try_lock()? {
            true => Ok(directory),
            false => Err(Error::kind_only(ErrorKind::AlreadyExists)),
        }
    }

    /// Opens the directory of a container that is there.
    pub(crate) fn open(root: &Path, id: &str) -> Result<Self> {
        Self::open_path(root.join(id))
    }

    fn open_path(path: PathBuf) -> Result<Self> {
        match open(&path, AS_DIRECTORY, Mode::empty()) {
            Ok(fd) => Ok(Self { path, fd: File::from(fd) }),
            Err(
                nix::errno::Errno::ENOENT | nix::errno::Errno::ENOTDIR | nix::errno::Errno::ELOOP,
            ) => Err(Error::kind_only(ErrorKind::NotFound)),
            Err(errno) => Err(os("open", &path)(errno)),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A name for a file in the directory that is short enough for a socket's address.
    pub(crate) fn short_name(&self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{file}", self.fd.as_raw_fd()))
    }

    /// Takes the lock if nobody has it. It lasts as long as this is open.
    pub(crate) fn try_lock(&self) -> Result<bool> {
        match self.fd.try_lock() {
            Ok(()) => Ok(true),
            Err(std::fs::TryLockError::WouldBlock) => Ok(false),
            Err(std::fs::TryLockError::Error(error)) => {
                Err(Error::io("flock", &error).path(&self.path))
            }
        }
    }

    /// Takes the lock, waiting for it until `patience` ends.
    pub(crate) fn lock(&self, patience: Duration) -> Result<()> {
        let deadline = Instant::now() + patience;
        while !self.try_lock()? {
            if Instant::now() >= deadline {
                let text = "the container is being changed by another call";
                return Err(Error::new(ErrorKind::Timeout, text).path(&self.path));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Writes the record.
    pub(crate) fn save(&self, record: &Record) -> Result<()> {
        let bytes = serde_json::to_vec(record)
            .map_err(|error| Error::new(ErrorKind::System, format!("state record: {error}")))?;
        self.replace(STATE, &bytes).context(|| "saving the container's state".to_owned())
    }

    /// Keeps the configuration as it was read.
    pub(crate) fn save_config(&self, bytes: &[u8]) -> Result<()> {
        self.write(CONFIG, bytes).context(|| "saving the container's configuration".to_owned())
    }

    /// Keeps another configuration in the place of the one that is there.
    pub(crate) fn replace_config(&self, bytes: &[u8]) -> Result<()> {
        self.replace(CONFIG, bytes).context(|| "saving the container's configuration".to_owned())
    }

    /// Keeps the limits as they were changed to.
    pub(crate) fn save_resources(&self, resources: &LinuxResources) -> Result<()> {
        let bytes = serde_json::to_vec(resources)
            .map_err(|error| Error::new(ErrorKind::System, format!("limits: {error}")))?;
        self.replace(RESOURCES, &bytes).context(|| "saving the container's limits".to_owned())
    }

    /// The limits as they were changed to; `None` when they never were.
    pub(crate) fn load_resources(&self) -> Result<Option<Vec<u8>>> {
        if self.exists(RESOURCES) { self.read(RESOURCES).map(Some) } else { Ok(None) }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let flags = OFlag::O_WRONLY
            | OFlag::O_CREAT
            | OFlag::O_TRUNC
            | OFlag::O_NOFOLLOW
            | OFlag::O_CLOEXEC;
        let path = self.path.join(name);
        let failed = os("open", &path);
        let file = nix::fcntl::openat(&self.fd, name, flags, Mode::from_bits_retain(0o600))
            .map_err(failed)?;
        File::from(file).write_all(bytes).map_err(|error| Error::io("write", &error).path(&path))
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let fresh = format!(".{name}.new");
        self.write(&fresh, bytes)?;
        nix::fcntl::renameat(&self.fd, fresh.as_str(), &self.fd, name)
            .map_err(os("rename", &self.path.join(name)))
    }

    /// Whether there is a record, whatever is in it.
    pub(crate) fn has_record(&self) -> bool {
        self.exists(STATE)
    }

    /// Whether nothing has been made or removed in it for so long.
    pub(crate) fn is_older_than(&self, time: Duration) -> bool {
        let changed = self.fd.metadata().and_then(|metadata| metadata.modified());
        changed.is_ok_and(|changed| changed.elapsed().is_ok_and(|age| age > time))
    }

    /// Reads the record.
    pub(crate) fn load(&self) -> Result<Record> {
        let bytes = self.read(STATE)?;
        let corrupt = |why: String| {
            Error::new(ErrorKind::CorruptState, why)
                .path(self.path.join(STATE))
                .hint("`delete --force` removes what is left of the container")
        };
        let record: Record = serde_json::from_slice(&bytes)
            .map_err(|error| corrupt(format!("not a state record: {error}")))?;
        if record.version == VERSION {
            Ok(record)
        } else {
            Err(corrupt(format!("state record of version {}, this is {VERSION}", record.version)))
        }
    }

    /// The configuration as it was at creation.
    pub(crate) fn load_config(&self) -> Result<Vec<u8>> {
        self.read(CONFIG)
    }

    fn read(&self, name: &str) -> Result<Vec<u8>> {
        // What is no file of ours, a pipe say, must not be waited for.
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let path = self.path.join(name);
        let mut file = match nix::fcntl::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => File::from(fd),
            Err(nix::errno::Errno::ENOENT) => {
                return Err(Error::new(ErrorKind::CorruptState, format!("{name} is missing"))
                    .path(&self.path)
                    .hint("`delete --force` removes what is left of the container"));
            }
            Err(errno) => return Err(os("open", &path)(errno)),
        };
        let mut bytes = vec![0; 16 * 1024];
        let mut filled = 0;
        loop {
            let count = file
                .read(&mut bytes[filled..])
                .map_err(|error| Error::io("read", &error).path(&path))?;
            filled += count;
            if filled < bytes.len() {
                // A regular file gives less than asked for only at its end.
                bytes.truncate(filled);
                return Ok(bytes);
            }
            bytes.resize(filled * 2, 0);
        }
    }

    pub(crate) fn exists(&self, name: &str) -> bool {
        nix::sys::stat::fstatat(&self.fd, name, nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW).is_ok()
    }

    pub(crate) fn remove_file(&self, name: &str) -> Result<()> {
        match unlinkat(&self.fd, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(nix::errno::Errno::ENOENT) => Ok(()),
            Err(errno) => Err(os("unlink", &self.path.join(name))(errno)),
        }
    }

    /// Removes the directory with all that is in it; the last step of a container.
    pub(crate) fn remove(&self) -> Result<()> {
        for name in [CONFIG, STATE] {
            self.remove_file(name)?;
        }
        match unlinkat(nix::fcntl::AT_FDCWD, &self.path, UnlinkatFlags::RemoveDir) {
            Ok(()) | Err(nix::errno::Errno::ENOENT) => Ok(()),
            // The gate of one that was never started, something of an interrupted
            // call, or of nobody we know.
            Err(nix::errno::Errno::ENOTEMPTY) => match std::fs::remove_dir_all(&self.path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    Err(Error::io("remove", &error).path(&self.path))
                }
                _ => Ok(()),
            },
            Err(errno) => Err(os("rmdir", &self.path)(errno)),
        }
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn make_root(root: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(root).map_err(|error| {
        Error::io("mkdir", &error).path(root).hint("--root must be a writable directory")
    })
}
