//! A bundle: a directory that holds config.json, read and checked.

mod hooks;
mod objects;
mod paths;
mod places;
mod pointer;
mod read;
mod receiver;
mod relax;
mod template;
mod unreadable;
pub mod validate;

use std::io::{ErrorKind as Io, Read};
use std::path::{Path, PathBuf};

use oci_spec::runtime::Spec;

pub use read::{parse_mounts, parse_process, parse_resources, parse_spec};
pub use template::template;
pub(crate) use unreadable::check_types;

use crate::error::{Error, ErrorKind, Notice, Result};

pub(crate) use hooks::{HOOK_KINDS, hook_lists};
pub(crate) use paths::below_root;
pub(crate) use pointer::{item, member};
pub(crate) use receiver::seccomp_receiver;

/// The version of the runtime-spec that this implements.
pub const SPEC_VERSION: &str = "1.3.0";

/// The first version of the runtime-spec that can be read.
pub(crate) const SPEC_VERSION_MIN: &str = "1.0.0";

/// The name of the specification in its bundle.
pub const CONFIG: &str = "config.json";

/// A bundle as it was when read; later changes on disk are not seen.
#[derive(Clone, Debug)]
pub struct Bundle {
    dir: PathBuf,
    rootfs: PathBuf,
    spec: Spec,
    raw: Vec<u8>,
    notices: Vec<Notice>,
}

impl Bundle {
    /// Reads the bundle in `dir`. Its specification is parsed, not yet
    /// checked: see [`Bundle::validate`].
    pub fn load(dir: impl AsRef<Path>) -> Result<Self> {
        let dir = canonical(dir.as_ref())?;
        let raw = read_config(&dir.join(CONFIG))?;
        Self::with_text(dir, raw)
    }

    /// The same with the specification in `file`, which may be anywhere.
    pub fn load_with(dir: impl AsRef<Path>, file: impl AsRef<Path>) -> Result<Self> {
        let raw = read_config(file.as_ref())?;
        Self::from_bytes(dir, raw)
    }

    /// A bundle of the config.json `raw`, whose relative paths are relative to `dir`.
    ///
    /// # Errors
    /// What is wrong in the text, with its place.
    pub fn from_bytes(dir: impl AsRef<Path>, raw: Vec<u8>) -> Result<Self> {
        Self::with_text(canonical(dir.as_ref())?, raw)
    }

    fn with_text(dir: PathBuf, raw: Vec<u8>) -> Result<Self> {
        let (spec, notices) = parse_spec(&raw)?;
        Ok(Self { rootfs: resolve_rootfs(&dir, &spec), dir, spec, raw, notices })
    }

    /// A bundle of `spec`, whose relative paths are relative to `dir`.
    pub fn from_parts(dir: impl AsRef<Path>, spec: Spec) -> Result<Self> {
        let dir = canonical(dir.as_ref())?;
        let raw = serde_json::to_vec(&spec).map_err(|error| {
            Error::new(ErrorKind::InvalidConfig, format!("writing the specification: {error}"))
        })?;
        Ok(Self { rootfs: resolve_rootfs(&dir, &spec), dir, spec, raw, notices: Vec::new() })
    }

    /// The directory, absolute and without symbolic links.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The specification.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// The root file system, absolute; without symbolic links if it exists.
    pub fn rootfs(&self) -> &Path {
        &self.rootfs
    }

    /// The text of config.json as it was read.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// What was overlooked when reading.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// Everything that is wrong with the bundle, in the order in which
    /// [`Bundle::validate`] would find it.
    pub fn check(&self) -> Vec<Error> {
        let mut faults = validate::check_text(&self.raw);
        faults.extend(validate::check(&self.spec));
        faults.extend(validate::check_host(&self.spec, &self.rootfs));
        faults
    }

    /// Refuses a bundle that no container can be made of, with the first of
    /// [`Bundle::check`].
    pub fn validate(&self) -> Result<()> {
        match self.check().into_iter().next() {
            Some(fault) => Err(fault),
            None => Ok(()),
        }
    }
}

fn canonical(dir: &Path) -> Result<PathBuf> {
    let resolved = dir.canonicalize();
    resolved.map_err(|error| Error::io("realpath", &error).path(dir).context("opening the bundle"))
}

fn read_config(path: &Path) -> Result<Vec<u8>> {
    read_file(path).map_err(|error| match (error.kind(), path.file_name(), path.parent()) {
        (Io::NotFound, Some(name), Some(dir)) => {
            let message = format!("JSON specification file {} not found", name.display());
            Error::new(ErrorKind::InvalidConfig, message)
                .path(dir)
                .hint("name the directory that holds it with --bundle, or write one with `spec`")
        }
        _ => Error::io("read", &error).path(path),
    })
}

/// Only a regular file: nothing that would have to be waited for.
fn read_file(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut file =
        std::fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let length = match file.metadata()? {
        found if found.is_file() => found.len(),
        found if found.is_dir() => return Err(std::io::Error::from_raw_os_error(libc::EISDIR)),
        _ => return Err(std::io::Error::other("not a regular file")),
    };
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0).saturating_add(1));
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A root that cannot be resolved stays as written: validation refuses it.
fn resolve_rootfs(dir: &Path, spec: &Spec) -> PathBuf {
    let path = spec.root().as_ref().map_or(Path::new(""), |root| root.path());
    let joined = dir.join(path);
    joined.canonicalize().unwrap_or(joined)
}
