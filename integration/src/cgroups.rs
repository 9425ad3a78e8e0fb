//! Where a cgroup's directories are, in any layout.

use std::fs;
use std::path::{Path, PathBuf};

use crate::context::Layout;
use crate::outcome::{Outcome, Stop};

const MOUNT: &str = "/sys/fs/cgroup";

/// The mount points of all hierarchies.
pub fn hierarchies(layout: Layout) -> Vec<PathBuf> {
    if layout == Layout::V2 {
        return vec![PathBuf::from(MOUNT)];
    }
    let entries = fs::read_dir(MOUNT).into_iter().flatten().flatten();
    let paths = entries.map(|e| e.path()).filter(|p| !p.is_symlink());
    paths.filter(|p| p.join("cgroup.procs").exists()).collect()
}

/// The directories of a cgroup that exist.
pub fn directories(layout: Layout, cgroup: &str) -> Vec<PathBuf> {
    let inside = cgroup.trim_start_matches('/');
    hierarchies(layout).into_iter().map(|h| h.join(inside)).filter(|d| d.exists()).collect()
}

/// Whether a controller can limit anything: mounted on v1, enabled at the top on v2.
pub fn has(layout: Layout, controller: &str) -> bool {
    if layout == Layout::V2 {
        let available = fs::read_to_string(format!("{MOUNT}/cgroup.controllers"));
        return available.is_ok_and(|c| c.split_whitespace().any(|name| name == controller));
    }
    Path::new(MOUNT).join(v1_name(controller)).is_dir()
}

/// The text of a file of a cgroup; `controller` picks the hierarchy on v1.
pub fn read(layout: Layout, controller: &str, cgroup: &str, file: &str) -> Outcome<String> {
    let hierarchy = match layout {
        Layout::V2 => PathBuf::from(MOUNT),
        _ => Path::new(MOUNT).join(v1_name(controller)),
    };
    let path = hierarchy.join(cgroup.trim_start_matches('/')).join(file);
    let text =
        fs::read_to_string(&path).map_err(|e| Stop::fail(format!("{}: {e}", path.display())))?;
    Ok(text.trim().to_owned())
}

/// Whether a controller has a file, which kernels may be built without.
pub fn knows(layout: Layout, controller: &str, file: &str) -> bool {
    if !controller.is_empty() && !has(layout, controller) {
        return false;
    }
    let top = match layout {
        Layout::V2 => PathBuf::from(MOUNT),
        _ => Path::new(MOUNT).join(v1_name(controller)),
    };
    // The root has few of the files.
    let entries = fs::read_dir(&top).into_iter().flatten().flatten();
    entries.map(|e| e.path()).chain([top.clone()]).any(|dir| dir.join(file).exists())
}

/// Skips the test where a controller is missing.
pub fn needs(layout: Layout, controller: &str) -> Outcome {
    if has(layout, controller) {
        return Ok(());
    }
    Err(Stop::skip(format!("no {controller} controller here")))
}

/// Makes a v2 cgroup to which every controller is passed on that can be, and gives its directory.
pub fn make_v2(cgroup: &str) -> Outcome<PathBuf> {
    let mut dir = PathBuf::from(MOUNT);
    for name in cgroup.split('/').filter(|name| !name.is_empty()) {
        let controllers = fs::read_to_string(dir.join("cgroup.controllers"))?;
        for controller in controllers.split_whitespace() {
            // One that is in use elsewhere stays there.
            let _ = fs::write(dir.join("cgroup.subtree_control"), format!("+{controller}"));
        }
        dir.push(name);
        fs::create_dir_all(&dir)?;
    }
    Ok(dir)
}

/// Removes a cgroup and what is below it, as far as it is empty.
pub fn remove(layout: Layout, cgroup: &str) {
    for dir in directories(layout, cgroup) {
        remove_tree(&dir);
    }
}

/// Removes a directory of a cgroup and those below it, as far as they are empty.
pub fn remove_tree(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            remove_tree(&entry.path());
        }
    }
    // A cgroup in use stays, and the runner reports it.
    let _ = fs::remove_dir(dir);
}

/// v2's name of a controller in v1's spelling.
fn v1_name(controller: &str) -> &str {
    if controller == "io" { "blkio" } else { controller }
}
