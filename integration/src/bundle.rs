//! Building a bundle: a configuration to start from, changes to it, a root file system.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::container::Container;
use crate::context::{Context, Layout};
use crate::outcome::{Outcome, Stop};

/// The tools that busybox is linked as.
const TOOLS: [&str; 5] = ["sh", "true", "cat", "sleep", "ls"];

/// A bundle on its way to a container.
#[derive(Debug)]
pub struct Bundle<'c> {
    ctx: &'c Context,
    /// The bundle's directory, with `rootfs` in it.
    pub dir: PathBuf,
    /// The container's id.
    pub id: String,
    /// What will be written as config.json.
    pub config: Value,
}

impl<'c> Bundle<'c> {
    /// A container as `runc spec` would describe it, without a terminal, that runs the payload.
    pub fn new(ctx: &'c Context) -> Outcome<Self> {
        Self::from_config(ctx, default_config(ctx.layout))
    }

    /// A bundle with this configuration and its own cgroup.
    pub fn from_config(ctx: &'c Context, config: Value) -> Outcome<Self> {
        let number = ctx.number();
        let dir = ctx.dir.join(format!("bundle{number}"));
        make_rootfs(ctx, &dir.join("rootfs"))?;
        let id = format!("tare-it-{}-{number}", std::process::id());
        let cgroup = format!("{}/{number}", ctx.cgroup);
        Ok(Self { ctx, dir, id, config }.set("/linux/cgroupsPath", json!(cgroup)))
    }

    /// The root file system's directory.
    pub fn rootfs(&self) -> PathBuf {
        self.dir.join("rootfs")
    }

    /// Sets a value by its JSON pointer; objects on the way are made.
    #[must_use]
    pub fn set(mut self, pointer: &str, value: Value) -> Self {
        let mut place = &mut self.config;
        for key in pointer.split('/').skip(1) {
            place = match (place.is_array(), key.parse::<usize>()) {
                (true, Ok(index)) => &mut place[index],
                _ => &mut place[key],
            };
        }
        *place = value;
        self
    }

    /// Removes a member by the JSON pointer of its object and its name.
    #[must_use]
    pub fn remove(mut self, object: &str, name: &str) -> Self {
        if let Some(members) = self.config.pointer_mut(object).and_then(Value::as_object_mut) {
            members.remove(name);
        }
        self
    }

    /// Appends to a list, which is made if it is not there.
    #[must_use]
    pub fn push(mut self, pointer: &str, value: Value) -> Self {
        match self.config.pointer_mut(pointer).and_then(Value::as_array_mut) {
            Some(list) => {
                list.push(value);
                self
            }
            None => self.set(pointer, json!([value])),
        }
    }

    /// What the container runs.
    #[must_use]
    pub fn args(self, args: &[&str]) -> Self {
        self.set("/process/args", json!(args))
    }

    /// The container runs the payload with these commands.
    #[must_use]
    pub fn payload(self, commands: &[&str]) -> Self {
        let mut args = vec!["/bin/payload"];
        args.extend(commands);
        self.args(&args)
    }

    /// Adds a mount.
    #[must_use]
    pub fn mount(self, destination: &str, kind: &str, source: &str, options: &[&str]) -> Self {
        let mount = json!({
            "destination": destination, "type": kind, "source": source, "options": options,
        });
        self.push("/mounts", mount)
    }

    /// Adds a bind mount of a host path.
    #[must_use]
    pub fn bind(self, source: &Path, destination: &str, options: &[&str]) -> Self {
        let source = source.to_string_lossy().into_owned();
        self.mount(destination, "bind", &source, options)
    }

    /// Replaces or adds a namespace, to be made or joined by path.
    #[must_use]
    pub fn namespace(self, kind: &str, path: Option<&str>) -> Self {
        let mut namespace = json!({"type": kind});
        if let Some(path) = path {
            namespace["path"] = json!(path);
        }
        self.without_namespace(kind).push("/linux/namespaces", namespace)
    }

    /// Leaves a namespace out.
    #[must_use]
    pub fn without_namespace(mut self, kind: &str) -> Self {
        if let Some(list) =
            self.config.pointer_mut("/linux/namespaces").and_then(Value::as_array_mut)
        {
            list.retain(|n| n["type"] != kind);
        }
        self
    }

    /// Adds a user namespace of 65536 ids from 100000, and gives the root file system to its root.
    pub fn user_namespace(self) -> Outcome<Self> {
        let mapping = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
        let bundle = self
            .namespace("user", None)
            .set("/linux/uidMappings", mapping.clone())
            .set("/linux/gidMappings", mapping);
        bundle.give_rootfs_to(100_000)?;
        Ok(bundle)
    }

    /// Makes `owner` the owner of the root file system, whose programs become copies of its own.
    pub fn give_rootfs_to(&self, owner: u32) -> Outcome {
        for name in ["payload", "busybox"] {
            let path = self.rootfs().join("bin").join(name);
            let copy = path.with_extension("copy");
            fs::copy(&path, &copy)?;
            fs::rename(&copy, &path)?;
        }
        give(&self.rootfs(), owner)
    }

    /// Puts a file into the root file system.
    pub fn file(self, path: &str, text: &str) -> Outcome<Self> {
        let path = self.rootfs().join(path.trim_start_matches('/'));
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, text)?;
        Ok(self)
    }

    /// Puts a symbolic link into the root file system.
    pub fn symlink(self, path: &str, target: &str) -> Outcome<Self> {
        let path = self.rootfs().join(path.trim_start_matches('/'));
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        symlink(target, path)?;
        Ok(self)
    }

    /// Writes config.json; what follows is the container's business.
    pub fn container(self) -> Outcome<Container<'c>> {
        let text = serde_json::to_vec(&self.config)?;
        fs::write(self.dir.join("config.json"), text)?;
        Ok(Container::new(self.ctx, self))
    }

    /// Runs the container in the foreground, which must succeed, and gives what it printed.
    pub fn output(self) -> Outcome<String> {
        Ok(self.container()?.run(&[])?.ok()?.stdout)
    }

    /// Runs the payload's `commands` and gives the JSON line of the last.
    pub fn report(self, commands: &[&str]) -> Outcome<Value> {
        self.reports(commands)?.pop().ok_or_else(|| Stop::fail("the payload said nothing"))
    }

    /// Runs the payload's `commands` and gives the JSON lines.
    pub fn reports(self, commands: &[&str]) -> Outcome<Vec<Value>> {
        parse_lines(&self.payload(commands).output()?)
    }

    /// Runs the container to report its facts.
    pub fn facts(self) -> Outcome<Value> {
        self.report(&["facts"])
    }
}

/// The JSON lines among what a container printed.
pub fn parse_lines(output: &str) -> Outcome<Vec<Value>> {
    output
        .lines()
        .filter(|line| line.starts_with(['{', '[']))
        .map(|line| serde_json::from_str(line).map_err(|e| Stop::fail(format!("{line}: {e}"))))
        .collect()
}

fn make_rootfs(ctx: &Context, rootfs: &Path) -> Outcome {
    for dir in ["bin", "dev", "etc", "proc", "root", "sys", "tmp"] {
        fs::create_dir_all(rootfs.join(dir))?;
    }
    fs::set_permissions(rootfs.join("tmp"), fs::Permissions::from_mode(0o1777))?;
    fs::hard_link(&ctx.payload, rootfs.join("bin/payload"))?;
    fs::hard_link(&ctx.busybox, rootfs.join("bin/busybox"))?;
    for tool in TOOLS {
        symlink("busybox", rootfs.join("bin").join(tool))?;
    }
    fs::write(
        rootfs.join("etc/passwd"),
        "root:x:0:0::/root:/bin/sh\nada:x:1000:1000::/home/ada:\n",
    )?;
    Ok(())
}

fn give(path: &Path, owner: u32) -> Outcome {
    std::os::unix::fs::lchown(path, Some(owner), Some(owner))?;
    if fs::symlink_metadata(path)?.is_dir() {
        for entry in fs::read_dir(path)? {
            give(&entry?.path(), owner)?;
        }
    }
    Ok(())
}

/// Writes a program that a shell or another interpreter runs.
pub fn script(path: &Path, text: &str) -> Outcome {
    fs::write(path, text)?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o755))?)
}

/// Gives a host file to a user; tests use it for bind sources of user namespaces.
pub fn give_file(path: &Path, owner: u32) -> Outcome {
    Ok(chown(path, Some(owner), Some(owner))?)
}

/// What `runc spec` writes, without a terminal and with a writable root.
pub fn default_config(layout: Layout) -> Value {
    let caps = json!(["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]);
    let mut config = json!({
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": ["/bin/payload", "facts"],
            "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
            "cwd": "/",
            "capabilities": {"bounding": caps, "effective": caps, "permitted": caps},
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": true,
        },
        "root": {"path": "rootfs"},
        "hostname": "tare",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
             "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
             "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
             "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
            {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue",
             "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs",
             "options": ["nosuid", "noexec", "nodev", "ro"]},
            {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
             "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]},
        ],
        "linux": {
            "resources": {"devices": [{"allow": false, "access": "rwm"}]},
            "namespaces": [
                {"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"},
                {"type": "mount"},
            ],
            "maskedPaths": [
                "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
                "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware",
                "/proc/scsi",
            ],
            "readonlyPaths": [
                "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
            ],
        },
    });
    if layout == Layout::V2
        && let Some(list) = config["linux"]["namespaces"].as_array_mut()
    {
        list.push(json!({"type": "cgroup"}));
    }
    config
}
