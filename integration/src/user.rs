//! An ordinary user: who it is, what it is granted, and the runtime as it calls it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::bundle::Bundle;
use crate::cgroups;
use crate::context::{Context, Layout};
use crate::outcome::{Outcome, Stop};

/// The user's and its group's id: nobody's on any machine.
pub const ID: u32 = 54_321;
/// The first of the ids that a user with ranges is granted.
pub const FIRST: u32 = 700_000;
/// How many those are.
pub const COUNT: u32 = 65_536;

/// An ordinary user of the runtime.
#[derive(Debug)]
pub struct User {
    /// The runtime, called by the user.
    pub ctx: Context,
    layout: Layout,
    id: u32,
    cgroup: Option<String>,
    ranges: bool,
}

impl User {
    /// A user who may map its own id only, or `FIRST` and what follows too.
    pub fn new(ctx: &Context, ranges: bool) -> Outcome<Self> {
        Self::with(ctx, ranges, None)
    }

    /// The same with a v2 cgroup that is the user's, in which it calls the runtime from `caller`.
    pub fn with_cgroup(ctx: &Context) -> Outcome<Self> {
        if ctx.layout != Layout::V2 {
            return Err(Stop::skip("only cgroup v2 is given to ordinary users"));
        }
        let cgroup = format!("{}/user", ctx.cgroup);
        let dir = cgroups::make_v2(&cgroup)?;
        fs::create_dir(dir.join("caller"))?;
        own(&dir)?;
        own(&dir.join("caller"))?;
        Self::with(ctx, false, Some(cgroup))
    }

    /// A user of this machine, in whose name the context calls the runtime, with its own id only.
    pub fn of_the_host(ctx: Context, id: u32) -> Outcome<Self> {
        for dir in [&ctx.dir, &ctx.root()] {
            chown(dir, Some(id), Some(id))?;
        }
        let layout = ctx.layout;
        Ok(Self { ctx, layout, id, cgroup: None, ranges: false })
    }

    fn with(ctx: &Context, ranges: bool, cgroup: Option<String>) -> Outcome<Self> {
        let wrapper = ctx.dir.join(format!("user{}", ctx.number()));
        let user = ctx.through(wrapper.join("runtime"))?;
        let etc = wrapper.join("etc");
        fs::create_dir_all(&etc)?;
        let passwd = fs::read_to_string("/etc/passwd")?;
        let line = format!("tareuser:x:{ID}:{ID}::/:/bin/sh\n");
        fs::write(etc.join("passwd"), passwd + &line)?;
        let granted = if ranges { format!("tareuser:{FIRST}:{COUNT}\n") } else { String::new() };
        for file in ["subuid", "subgid"] {
            if !Path::new("/etc").join(file).exists() {
                return Err(Stop::skip(format!("no /etc/{file} here")));
            }
            fs::write(etc.join(file), &granted)?;
        }
        let program = wrapper.join("program");
        fs::copy(&ctx.runtime, &program)?;
        let home = wrapper.join("home");
        fs::create_dir(&home)?;
        let place = cgroup.as_ref().map(|c| format!("/sys/fs/cgroup{c}/caller"));
        let script = format!(
            "#!/bin/sh\nexport XDG_RUNTIME_DIR={0} HOME={0}\nexec {1} as-user {ID} {2} '{3}' {4} \"$@\"\n",
            home.display(),
            ctx.payload.display(),
            etc.display(),
            place.unwrap_or_default(),
            program.display(),
        );
        fs::write(&user.runtime, script)?;
        fs::set_permissions(&user.runtime, fs::Permissions::from_mode(0o755))?;
        for dir in [&home, &user.dir, &user.root()] {
            chown(dir, Some(ID), Some(ID))?;
        }
        Ok(Self { ctx: user, layout: ctx.layout, id: ID, cgroup, ranges })
    }

    /// Where the user's XDG_RUNTIME_DIR is.
    pub fn home(&self) -> PathBuf {
        self.ctx.runtime.with_file_name("home")
    }

    /// The user's cgroup, as cgroupsPath would name it.
    pub fn cgroup(&self) -> &str {
        self.cgroup.as_deref().unwrap_or_default()
    }

    /// A bundle of the user's, of what `spec --rootless` describes: its own id is root inside, and
    /// the ids from 1 on are its ranges.
    pub fn bundle(&self) -> Outcome<Bundle<'_>> {
        let mut map = vec![json!({"containerID": 0, "hostID": self.id, "size": 1})];
        if self.ranges {
            map.push(json!({"containerID": 1, "hostID": FIRST, "size": COUNT}));
        }
        let mut bundle = Bundle::new(&self.ctx)?
            .namespace("user", None)
            .without_namespace("network")
            .set("/linux/uidMappings", json!(map))
            .set("/linux/gidMappings", json!(map))
            .remove("/linux", "resources")
            .remove("/linux", "cgroupsPath");
        if let Some(mounts) = bundle.config["mounts"].as_array_mut() {
            for mount in mounts {
                adapt(mount);
            }
        }
        bundle.give_rootfs_to(self.id)?;
        chown(&bundle.dir, Some(self.id), Some(self.id))?;
        Ok(bundle)
    }
}

/// Without what only root, or who has a network namespace, can have mounted.
fn adapt(mount: &mut Value) {
    match mount["destination"].as_str() {
        Some("/dev/pts") => {
            if let Some(options) = mount["options"].as_array_mut() {
                options.retain(|option| option != "gid=5");
            }
        }
        Some("/sys") => {
            *mount = json!({"destination": "/sys", "type": "none", "source": "/sys",
                "options": ["rbind", "nosuid", "noexec", "nodev", "ro"]});
        }
        _ => {}
    }
}

/// Gives a cgroup to the user: what cgroups(7) lists under delegation.
fn own(cgroup: &Path) -> Outcome {
    for file in ["", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control"] {
        chown(cgroup.join(file), Some(ID), Some(ID))?;
    }
    Ok(())
}

impl Drop for User {
    fn drop(&mut self) {
        if let Some(cgroup) = &self.cgroup {
            cgroups::remove(self.layout, cgroup);
        }
    }
}
