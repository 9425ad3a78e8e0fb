//! A bundle with busybox in it, and the places it uses, removed at the end.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use integration::cgroups;
use integration::context::Layout;
use runtime_core::{Bundle, ExecCommand, ExecProcess, Runtime};
use serde_json::{Value, json};

pub(crate) const BUSYBOX: &str = "/bin/busybox";

/// A root file system, a state directory and a parent cgroup.
pub(crate) struct Fixture {
    dir: PathBuf,
    cgroup: String,
    layout: Layout,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tare-embed-{}-{number}", std::process::id());
        let dir = std::env::temp_dir().join(&name);
        let bin = dir.join("rootfs/bin");
        fs::create_dir_all(&bin).unwrap();
        fs::create_dir(dir.join("rootfs/proc")).unwrap();
        for name in ["busybox", "sh"] {
            fs::copy(BUSYBOX, bin.join(name)).unwrap();
            fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        let v1 = std::path::Path::new("/sys/fs/cgroup/memory").is_dir();
        Self { dir, cgroup: format!("/{name}"), layout: if v1 { Layout::Host } else { Layout::V2 } }
    }

    pub(crate) fn runtime(&self) -> Runtime {
        Runtime::new(self.dir.join("state"))
    }

    /// What runs `script`, in a cgroup and a bundle directory named `name`.
    pub(crate) fn config(&self, name: &str, script: &str) -> Value {
        let mut config = json!({
            "ociVersion": "1.2.0",
            "process": {
                "user": {"uid": 0, "gid": 0},
                "args": ["/bin/sh", "-c", script],
                "env": ["PATH=/bin"],
                "cwd": "/",
            },
            // Without a mount at /dev: all containers make their devices in the same directory.
            "root": {"path": self.dir.join("rootfs"), "readonly": true},
            "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
            "linux": {
                "cgroupsPath": format!("{}/{name}", self.cgroup),
                "resources": {},
                "namespaces": [
                    {"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"},
                    {"type": "network"},
                ],
            },
        });
        if cgroups::has(self.layout, "memory") {
            config["linux"]["resources"]["memory"] = json!({"limit": 64 << 20});
        }
        config
    }

    pub(crate) fn bundle(&self, name: &str, config: &Value) -> Bundle {
        let dir = self.dir.join("bundles").join(name);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("config.json"), config.to_string()).unwrap();
        Bundle::load(&dir).unwrap()
    }

    /// The directories of containers that still exist.
    pub(crate) fn leftovers(&self) -> Vec<PathBuf> {
        let mut places = cgroups::directories(self.layout, &self.cgroup);
        places.push(self.dir.join("state"));
        let entries = places.iter().flat_map(|place| fs::read_dir(place).into_iter().flatten());
        entries.flatten().filter(|e| e.path().is_dir()).map(|e| e.path()).collect()
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        for (id, _) in self.runtime().list().unwrap_or_default() {
            let _ = self.runtime().delete(&id, true);
        }
        cgroups::remove(self.layout, &self.cgroup);
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// A shell's `script`, to be executed in a container.
pub(crate) fn script(script: &str) -> ExecProcess {
    let args = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
    ExecProcess::Command(ExecCommand { args, ..ExecCommand::default() })
}
