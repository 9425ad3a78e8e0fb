//! The directories of a checkpoint: images, with what the standard streams were, and logs.

use crate::error::{Context, Error, ErrorKind, Result};
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// What the standard streams of the first process were, for whoever restores it: the
/// file that runc and crun write and read, too.
const DESCRIPTORS: &str = "descriptors.json";

/// What criu writes with every dump: without it there is none.
const INVENTORY: &str = "inventory.img";

/// A directory that criu gets by descriptor.
#[derive(Debug)]
pub(crate) struct WorkDirectory {
    path: PathBuf,
    open: File,
}

impl WorkDirectory {
    /// Opens it, and makes it where it is missing.
    pub(crate) fn make(path: &Path) -> Result<Self> {
        match DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(Error::io("mkdir", &error).path(path));
            }
            _ => {}
        }
        Self::open(path)
    }

    fn open(path: &Path) -> Result<Self> {
        let failed = |error| Error::io("open", &error).path(path);
        let path = path.canonicalize().map_err(failed)?;
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(libc::O_DIRECTORY);
        let open = options.open(&path).map_err(|error| Error::io("open", &error).path(&path))?;
        Ok(Self { path, open })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Its descriptor in this process, from which criu opens it.
    pub(crate) fn number(&self) -> RawFd {
        self.open.as_raw_fd()
    }
}

/// The images of a checkpoint.
#[derive(Debug)]
pub(crate) struct Images(WorkDirectory);

impl Images {
    /// Where a dump is to go.
    pub(crate) fn make(path: &Path) -> Result<Self> {
        WorkDirectory::make(path).map(Self).context(|| "opening the image path".to_owned())
    }

    /// Where a whole dump is.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let images = WorkDirectory::open(path).context(|| "opening the image path".to_owned())?;
        match images.path.join(INVENTORY).metadata() {
            Ok(found) if found.is_file() && found.len() > 0 => Ok(Self(images)),
            Ok(_) => Err(no_checkpoint(&images.path, &format!("{INVENTORY} is damaged"))),
            Err(_) => Err(no_checkpoint(&images.path, &format!("{INVENTORY} is missing"))),
        }
    }

    pub(crate) fn directory(&self) -> &WorkDirectory {
        &self.0
    }

    /// Lets the group `gid` of the host into the directory. In a user namespace criu opens images
    /// as the container's root, who can go where others can; the images themselves may be
    /// read by all, so that more would show them to everybody. A group that has rights there
    /// already keeps them.
    pub(crate) fn admit(&self, gid: u32) -> Result<()> {
        const SEARCH: u32 = 0o010;
        const OF_GROUP: u32 = 0o070;
        let directory = &self.0.open;
        let failed = |error: std::io::Error| Error::io("chmod", &error).path(&self.0.path);
        let found = directory.metadata().map_err(failed)?;
        let mode = found.mode() & 0o7777;
        let of_all = mode & 0o001 != 0;
        if of_all || (found.gid() == gid && mode & SEARCH != 0) || mode & OF_GROUP != 0 {
            return Ok(());
        }
        std::os::unix::fs::fchown(directory, None, Some(gid)).map_err(failed)?;
        directory.set_permissions(Permissions::from_mode(mode | SEARCH)).map_err(failed)
    }

    /// Refuses images whose memory is not all there.
    pub(crate) fn check_pages(&self) -> Result<()> {
        super::pages::check(&self.0.path)
    }

    /// Refuses a parent that there is not: `parent` is relative to the images.
    pub(crate) fn check_parent(&self, parent: &Path) -> Result<()> {
        let refuse = |text: String| Err(Error::new(ErrorKind::InvalidArgument, text));
        if parent.is_absolute() {
            return refuse("--parent-path must be relative".to_owned());
        }
        let place = self.0.path.join(parent);
        match place.metadata() {
            Ok(found) if found.is_dir() => Ok(()),
            Ok(_) => refuse(format!("invalid --parent-path: {}: not a directory", place.display())),
            Err(error) => {
                let reason = crate::error::errno_text(error.raw_os_error().unwrap_or(0));
                refuse(format!("invalid --parent-path: {}: {reason}", place.display()))
            }
        }
    }

    /// Keeps what the standard streams are.
    pub(crate) fn save_streams(&self, streams: &[String]) -> Result<()> {
        let path = self.0.path.join(DESCRIPTORS);
        let failed = |error: std::io::Error| Error::io("write", &error).path(&path);
        let text = serde_json::to_vec(streams).map_err(|error| failed(error.into()))?;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let mut file = options.open(&path).map_err(failed)?;
        file.write_all(&text).map_err(failed)
    }

    /// What the standard streams were.
    pub(crate) fn load_streams(&self) -> Result<Vec<String>> {
        const MOST: u64 = 64 << 10;
        let path = self.0.path.join(DESCRIPTORS);
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(libc::O_NONBLOCK);
        let mut text = Vec::new();
        let read = options.open(&path).and_then(|file| file.take(MOST).read_to_end(&mut text));
        match read {
            Ok(_) => serde_json::from_slice(&text).map_err(|error| {
                no_checkpoint(&self.0.path, &format!("{DESCRIPTORS} is damaged: {error}"))
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let why = format!("{DESCRIPTORS} is missing");
                Err(no_checkpoint(&self.0.path, &why).hint(
                    "images of --pre-dump are parents only; finish with a checkpoint without it",
                ))
            }
            Err(error) => Err(Error::io("read", &error).path(&path)),
        }
    }
}

pub(super) fn no_checkpoint(path: &Path, why: &str) -> Error {
    let text = format!("{} holds no checkpoint of a container: {why}", path.display());
    Error::new(ErrorKind::InvalidArgument, text)
        .hint("name the directory that `checkpoint` has written with --image-path")
}

/// What the standard streams of a process are.
pub(crate) fn streams_of(pid: i32) -> Result<Vec<String>> {
    let one = |fd| {
        let path = format!("/proc/{pid}/fd/{fd}");
        match std::fs::read_link(&path) {
            Ok(target) => Ok(target.to_string_lossy().into_owned()),
            // A program may close them.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Ok("/dev/null".to_owned())
            }
            Err(error) => Err(Error::io("readlink", &error).path(&path)),
        }
    };
    (0..3).map(one).collect()
}
