//! Where the mounts of a configuration lead to, and what is mounted there.

use crate::error::{Error, Result};
use crate::host::walk::{Missing, walk};
use crate::plan::criu::{Mounted, Place, mount_table};
use std::path::{Path, PathBuf};

/// What is mounted in the mount namespace of process `pid`.
pub(crate) fn mounted_in(pid: i32) -> Result<Vec<Mounted>> {
    read(&format!("/proc/{pid}/mountinfo"))
}

/// What is mounted here.
pub(crate) fn mounted_here() -> Result<Vec<Mounted>> {
    read("/proc/self/mountinfo")
}

fn read(path: &str) -> Result<Vec<Mounted>> {
    let text =
        std::fs::read_to_string(path).map_err(|error| Error::io("read", &error).path(path))?;
    Ok(mount_table(&text))
}

/// Where each of `places` leads to below `rootfs`. Looked up on the host: what runs in the
/// container has no part in it. With `make`, mount points that are missing are made, as creation
/// makes them; what lies below a file system that criu mounts is criu's.
pub(crate) fn destinations(rootfs: &Path, places: &[Place], make: bool) -> Result<Vec<PathBuf>> {
    let mut found: Vec<PathBuf> = Vec::with_capacity(places.len());
    for place in places {
        let destination = one(rootfs, place, &places[..found.len()], &found, make)
            .map_err(|error| error.at(place.pointer.as_str()))?;
        found.push(destination);
    }
    Ok(found)
}

fn one(
    rootfs: &Path,
    place: &Place,
    earlier: &[Place],
    found: &[PathBuf],
    make: bool,
) -> Result<PathBuf> {
    let missing = match (&place.source, make) {
        (_, false) => Missing::Leave,
        (Some(source), true) if source.metadata().is_ok_and(|source| !source.is_dir()) => {
            Missing::File
        }
        (_, true) => Missing::Directory,
    };
    let written = walk(rootfs, &place.destination, Missing::Leave)?;
    let around = earlier.iter().zip(found).filter(|(_, point)| {
        written.starts_with(point) && written != **point && point.as_path() != Path::new("/")
    });
    // The last of the nearest is the one that shows.
    match around.max_by_key(|(_, point)| point.as_os_str().len()) {
        None => walk(rootfs, &written, missing),
        Some((Place { source: None, .. }, _)) => Ok(written),
        Some((Place { source: Some(source), .. }, point)) => {
            let rest = written.strip_prefix(point).unwrap_or(&written);
            let below = walk(source, rest, missing)?;
            Ok(point.join(below.strip_prefix("/").unwrap_or(&below)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(destination: &str, source: Option<&Path>) -> Place {
        Place {
            destination: destination.into(),
            source: source.map(Path::to_owned),
            pointer: String::new(),
        }
    }

    #[test]
    fn mount_points_are_made_in_what_shows_there() {
        let dir = std::env::temp_dir().join(format!("tare-places-{}", std::process::id()));
        let (rootfs, source) = (dir.join("rootfs"), dir.join("source"));
        std::fs::create_dir_all(rootfs.join("real")).unwrap();
        std::fs::create_dir_all(&source).unwrap();
        std::fs::write(dir.join("file"), "").unwrap();
        std::os::unix::fs::symlink("/real", rootfs.join("data")).unwrap();
        let places = [
            place("/dev", None),
            place("/dev/pts", None),
            place("/data", Some(&source)),
            place("/data/below/file", Some(&dir.join("file"))),
        ];
        let found = destinations(&rootfs, &places, true);
        let made = (source.join("below/file").is_file(), rootfs.join("dev/pts").exists());
        std::fs::remove_dir_all(&dir).unwrap();
        let expected = ["/dev", "/dev/pts", "/real", "/real/below/file"];
        assert_eq!(found.unwrap(), expected.map(PathBuf::from));
        assert_eq!(made, (true, false));
    }
}
