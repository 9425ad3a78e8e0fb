//! Programs and services that some commands need.

use super::{Finding, is_root};
use crate::host::criu::fitness;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

const AREA: &str = "tools";

pub(super) fn check() -> Vec<Finding> {
    vec![criu(), systemd()]
}

/// By its own word, which it gives to root alone.
fn criu() -> Finding {
    const SUBJECT: &str = "CRIU";
    let Some(path) = find("criu") else {
        return Finding::note(
            AREA,
            SUBJECT,
            "not in $PATH: no checkpoint and restore",
            "install criu, if containers are to be checkpointed",
        );
    };
    let path = path.display();
    if !is_root() {
        return Finding::fine(AREA, SUBJECT, path.to_string());
    }
    match fitness() {
        Ok(version) => {
            let (major, minor, patch) = (version / 10_000, version / 100 % 100, version % 100);
            Finding::fine(AREA, SUBJECT, format!("{path}, version {major}.{minor}.{patch}"))
        }
        Err(error) => Finding::note(
            AREA,
            SUBJECT,
            format!("{path}: {error}"),
            "`criu check` tells more; no checkpoint and restore until it is content",
        ),
    }
}

/// By connecting to its socket, and saying nothing.
fn systemd() -> Finding {
    const SUBJECT: &str = "systemd";
    let remedy = "--systemd-cgroup needs it; without that option nothing does";
    if !Path::new("/run/systemd/system").is_dir() {
        return Finding::note(AREA, SUBJECT, "does not run here", remedy);
    }
    let sockets = match (is_root(), std::env::var_os("XDG_RUNTIME_DIR")) {
        (true, _) => {
            vec!["/run/systemd/private".into(), "/run/dbus/system_bus_socket".into()]
        }
        (false, Some(directory)) => {
            let directory = PathBuf::from(directory);
            vec![directory.join("systemd/private"), directory.join("bus")]
        }
        (false, None) => Vec::new(),
    };
    match sockets.iter().find(|path| UnixStream::connect(path).is_ok()) {
        Some(path) => Finding::fine(AREA, SUBJECT, format!("answers at {}", path.display())),
        None => Finding::note(
            AREA,
            SUBJECT,
            "runs, but none of its sockets can be reached",
            "log in with a session of your own, so that XDG_RUNTIME_DIR is set",
        ),
    }
}

/// A program in $PATH.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(name)).find(|candidate| {
        candidate.metadata().is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
    })
}
