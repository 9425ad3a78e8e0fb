//! The host's systemd, and the runtime that has it make cgroups.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::bundle::{Bundle, script};
use crate::check;
use crate::container::Container;
use crate::context::{Context, Layout};
use crate::outcome::{Outcome, Stop};
use crate::process::{Run, Running, wait_for};
use crate::user::User;

/// What a unit is given to be gone for systemd.
const GRACE: Duration = Duration::from_secs(5);

/// The host's systemd, as one test uses it: its units have a prefix and a slice of their own.
#[derive(Debug)]
pub struct Systemd {
    /// Calls the runtime with `--systemd-cgroup`.
    pub ctx: Context,
    /// The prefix of its units, and the slice without its type.
    pub prefix: String,
}

/// Runs a test that has units made; none of them may be left, not even a failed one.
pub fn with_systemd(ctx: &Context, test: impl FnOnce(&Systemd) -> Outcome) -> Outcome {
    let systemd = Systemd::new(ctx)?;
    test(&systemd)?;
    systemd.has_nothing_left()
}

/// The same where the cgroups are v2, which has other files and properties.
pub fn with_systemd_on_v2(ctx: &Context, test: impl FnOnce(&Systemd) -> Outcome) -> Outcome {
    needs_v2(ctx)?;
    with_systemd(ctx, test)
}

/// The same where the limits are on v1.
pub fn with_systemd_on_v1(ctx: &Context, test: impl FnOnce(&Systemd) -> Outcome) -> Outcome {
    needs_systemd(ctx)?;
    if !is_on_v1() {
        return Err(Stop::skip("systemd has the limits on v2 here"));
    }
    with_systemd(ctx, test)
}

/// Skips the test where systemd does not run, or has other cgroups than the test.
pub fn needs_systemd(ctx: &Context) -> Outcome {
    if !Path::new("/run/systemd/system").exists() {
        return Err(Stop::skip("no systemd here"));
    }
    match (ctx.layout, is_on_v1()) {
        (Layout::V2, true) => Err(Stop::skip("systemd is on v1 here")),
        (Layout::V1, false) => Err(Stop::skip("systemd is on v2 here")),
        _ => Ok(()),
    }
}

/// Skips the test where the cgroups are not v2.
pub fn needs_v2(ctx: &Context) -> Outcome {
    match (ctx.layout, is_on_v1()) {
        (Layout::V2, _) | (Layout::Host, false) => Ok(()),
        _ => Err(Stop::skip("v1 has other files and properties")),
    }
}

/// Whether the host's systemd limits its units by v1, with or without a v2 hierarchy beside it.
fn is_on_v1() -> bool {
    let memberships = fs::read_to_string("/proc/1/cgroup").unwrap_or_default();
    memberships.lines().any(|line| line.contains(":pids:"))
}

/// The unit's cgroup of a process, below the top; crun makes another one in it.
pub fn place_of(pid: i32) -> Outcome<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
    let find = |part: &str| text.lines().find_map(|line| line.split_once(part));
    let (_, place) = find(":pids:").or_else(|| find("0::")).unwrap_or_default();
    Ok(place.strip_suffix("/container").unwrap_or(place).to_owned())
}

impl Systemd {
    fn new(ctx: &Context) -> Outcome<Self> {
        needs_systemd(ctx)?;
        let prefix = format!("tareit{}", std::process::id());
        Ok(Self { ctx: calling(ctx, "")?, prefix })
    }

    /// The same runtime, called once these shell commands have been carried out in a mount
    /// namespace of its own.
    pub fn after(&self, commands: &str) -> Outcome<Context> {
        apart(&self.ctx, commands)
    }

    /// A bundle with a unit of its own in the slice of the test.
    pub fn bundle(&self) -> Outcome<Bundle<'_>> {
        self.bundle_in(&self.ctx)
    }

    /// The same for another context.
    pub fn bundle_in<'c>(&self, ctx: &'c Context) -> Outcome<Bundle<'c>> {
        let bundle = Bundle::new(ctx)?.payload(&["sleep", "60000"]);
        let path = format!("{0}.slice:{0}:{1}", self.prefix, bundle.id);
        Ok(bundle.set("/linux/cgroupsPath", json!(path)))
    }

    /// The unit that the bundle's container will have.
    pub fn unit(&self, id: &str) -> String {
        format!("{}-{id}.scope", self.prefix)
    }

    /// A property as `systemctl show` prints it.
    pub fn property(&self, unit: &str, name: &str) -> Outcome<String> {
        let done = self.systemctl(&["show", "--property", name, "--value", unit])?;
        Ok(done.trim().to_owned())
    }

    /// Runs `systemctl`, which must succeed.
    pub fn systemctl(&self, args: &[&str]) -> Outcome<String> {
        Ok(Run::new(Path::new("/usr/bin/systemctl"), args, &self.ctx.dir)?.ok()?.stdout)
    }

    /// The content of a file of the container's cgroup, which is where systemd makes it; on v1
    /// that of the controller before the first point.
    pub fn file(&self, c: &Container<'_>, name: &str) -> Outcome<String> {
        let controller = name.split('.').next().filter(|name| *name != "cgroup");
        let path = self.cgroup_in(controller.unwrap_or("pids"), &c.id).join(name);
        let text = fs::read_to_string(&path);
        Ok(text.map_err(|e| Stop::fail(format!("{}: {e}", path.display())))?.trim().to_owned())
    }

    /// The directory of the container's cgroup, which on v1 is one of many.
    pub fn cgroup(&self, id: &str) -> PathBuf {
        self.cgroup_in("pids", id)
    }

    /// That of a hierarchy of v1, by its name below the usual place.
    pub fn cgroup_in(&self, hierarchy: &str, id: &str) -> PathBuf {
        let top = Path::new("/sys/fs/cgroup").join(if is_on_v1() { hierarchy } else { "" });
        top.join(format!("{}.slice", self.prefix)).join(self.unit(id))
    }

    /// Starts a scope of somebody else's, which sleeps, and waits until it is there.
    pub fn foreign_scope(&self, unit: &str, flags: &[&str]) -> Outcome<Running> {
        let (unit, slice) = (format!("--unit={unit}"), format!("--slice={}.slice", self.prefix));
        let args = [&["--scope", "--quiet", &unit, &slice], flags, &["sleep", "60"]].concat();
        let run = Run::new(Path::new("/usr/bin/systemd-run"), &args, &self.ctx.dir)?.start()?;
        let name = unit.trim_start_matches("--unit=");
        wait_for(
            "a scope",
            || Ok((self.property(name, "ActiveState")? == "active").then_some(())),
        )?;
        Ok(run)
    }

    /// The units of the test that systemd has in memory.
    pub fn units(&self) -> Outcome<Vec<String>> {
        let pattern = format!("{}-*", self.prefix);
        let all = ["list-units", "--all", "--plain", "--no-legend", "--full", pattern.as_str()];
        Ok(self.systemctl(&all)?.lines().map(|line| line.trim().to_owned()).collect())
    }

    /// Waits until none of the test's units is left.
    pub fn has_nothing_left(&self) -> Outcome {
        let until = Instant::now() + GRACE;
        let mut left = self.units()?;
        while !left.is_empty() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(50));
            left = self.units()?;
        }
        check!(left.is_empty(), "left behind: {}", left.join("; "));
        // crun keeps a cache beside its records.
        let records = fs::read_dir(self.ctx.root())?.flatten().map(|entry| entry.file_name());
        let left: Vec<_> =
            records.filter(|name| !name.as_encoded_bytes().starts_with(b".")).collect();
        check!(left.is_empty(), "left behind: {left:?}");
        Ok(())
    }
}

/// What a failed test has left must not reach the next one.
impl Drop for Systemd {
    fn drop(&mut self) {
        let units = [format!("{}.slice", self.prefix), format!("{}-*", self.prefix)];
        for verb in ["kill --signal=KILL", "stop", "reset-failed"] {
            let words = verb.split(' ').chain(units.iter().map(String::as_str));
            let _ = Command::new("systemctl").arg("--quiet").args(words).output();
        }
    }
}

/// The runtime with `--systemd-cgroup`, after shell commands.
fn calling(ctx: &Context, commands: &str) -> Outcome<Context> {
    let program = ctx.dir.join(format!("systemd{}", ctx.number()));
    let runtime = ctx.runtime.display();
    script(&program, &format!("#!/bin/sh\n{commands}\nexec {runtime} --systemd-cgroup \"$@\"\n"))?;
    ctx.through(program)
}

/// The runtime with `--systemd-cgroup`, after commands in a mount namespace of its own.
pub fn apart(ctx: &Context, commands: &str) -> Outcome<Context> {
    let apart =
        format!("[ -n \"$APART\" ] || APART=1 exec unshare --mount \"$0\" \"$@\"\n{commands}");
    calling(ctx, &apart)
}

/// Commands that hide directories of the host, where they are, behind an empty one.
pub fn hiding(ctx: &Context, directories: &[&str]) -> Outcome<String> {
    let empty = ctx.dir.join("empty");
    fs::create_dir_all(&empty)?;
    let hide = |dir: &&str| format!("[ ! -e {dir} ] || mount --bind {} {dir}\n", empty.display());
    Ok(directories.iter().map(hide).collect())
}

/// A user of this machine whom a manager of its own serves, calling the runtime from where that
/// manager's processes are; `through` may be a program that starts the runtime.
pub fn user_with_manager(ctx: &Context, through: &str) -> Outcome<User> {
    needs_systemd(ctx)?;
    needs_v2(ctx)?;
    let users = fs::read_dir("/run/user")?.flatten();
    let ids = users.filter(|dir| dir.path().join("systemd/private").exists());
    let id = ids.filter_map(|dir| dir.file_name().to_str()?.parse().ok()).find(|id| *id != 0);
    let id: u32 = id.ok_or_else(|| Stop::skip("no user has a systemd of its own here"))?;
    let program = ctx.dir.join("program");
    fs::copy(&ctx.runtime, &program)?;
    let ctx = ctx.through(program)?;
    let commands = format!(
        "[ -n \"$USERS\" ] || {{\n\
         echo 0 >/sys/fs/cgroup/user.slice/user-{id}.slice/user@{id}.service/init.scope/cgroup.procs\n\
         export USERS=1 XDG_RUNTIME_DIR=/run/user/{id} DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/{id}/bus\n\
         exec setpriv --reuid {id} --regid {id} --clear-groups {through} \"$0\" \"$@\"\n}}"
    );
    User::of_the_host(calling(&ctx, &commands)?, id)
}
