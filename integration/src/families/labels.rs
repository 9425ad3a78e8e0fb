//! AppArmor profiles and SELinux labels.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::bundle::Bundle;
use crate::container::Container;
use crate::context::Context;
use crate::outcome::{Outcome, Stop};
use crate::process::Run;
use crate::{check, check_eq, family};

family!("labels":
    profile_confines_every_process,
    profile_goes_with_no_new_privileges_and_without,
    profile_of_an_exec_is_its_own,
    profile_that_is_not_loaded_is_named,
    profile_without_apparmor_is_refused,
    profile_needs_a_procfs_of_its_own,
    label_without_selinux_is_refused,
);

fn has_apparmor() -> bool {
    fs::read("/sys/module/apparmor/parameters/enabled")
        .is_ok_and(|answer| answer.first() == Some(&b'Y'))
}

/// A profile that allows everything, loaded for as long as the value lives.
struct Profile {
    name: String,
    file: std::path::PathBuf,
}

impl Profile {
    fn load(ctx: &Context, name: &str) -> Outcome<Self> {
        let parser = Path::new("/usr/sbin/apparmor_parser");
        if !has_apparmor() || !parser.exists() {
            return Err(Stop::skip("no AppArmor here"));
        }
        let name = format!("tare-it-{}-{name}", std::process::id());
        let file = ctx.dir.join(&name);
        let rules = "capability, file, network, mount, umount, pivot_root, signal, ptrace, unix,";
        let text = format!(
            "profile {name} flags=(attach_disconnected,mediate_deleted) {{ {} \n deny /etc/passwd w,\n}}\n",
            rules.replace(',', ",\n")
        );
        fs::write(&file, text)?;
        let path = file.to_string_lossy();
        Run::new(parser, &["--replace", "--skip-cache", &path], &ctx.dir)?.ok()?;
        Ok(Self { name, file })
    }

    /// The label of a process that it confines.
    fn enforced(&self) -> Value {
        json!(format!("{} (enforce)", self.name))
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        // One that cannot be unloaded confines nothing any more.
        let _ = std::process::Command::new("/usr/sbin/apparmor_parser")
            .arg("--remove")
            .arg(&self.file)
            .status();
    }
}

fn idle(bundle: Bundle<'_>) -> Outcome<Container<'_>> {
    let c = bundle.payload(&["facts", ",", "sleep", "60000"]).container()?;
    c.up()?;
    c.prints("}\n")?;
    Ok(c)
}

fn first(c: &Container<'_>) -> Outcome<Value> {
    Ok(crate::bundle::parse_lines(&c.printed())?.remove(0)["label"].clone())
}

fn profile_confines_every_process(ctx: &Context) -> Outcome {
    let profile = Profile::load(ctx, "own")?;
    let bundle = Bundle::new(ctx)?.set("/process/apparmorProfile", json!(profile.name));
    let c = idle(bundle)?;
    check_eq!(first(&c)?, profile.enforced(), "label of the container");
    let label = c.exec_report(&[], &["facts"])?["label"].clone();
    check_eq!(label, profile.enforced(), "label of an executed process");
    // A document that says nothing of it is no way out.
    let file = ctx.dir.join("process.json");
    let process = json!({"args": ["/bin/payload", "facts"], "cwd": "/"});
    fs::write(&file, process.to_string())?;
    let done = ctx.ok(&["exec", "--process", &file.to_string_lossy(), &c.id])?;
    let label = crate::bundle::parse_lines(&done.stdout)?.remove(0)["label"].clone();
    check_eq!(label, profile.enforced(), "label of a document's process");
    let put = c.exec_report(&[], &["put", "/etc/passwd", "root::0:0::/:"])?;
    check_eq!(put["errno"], json!(13), "errno of what the profile denies");
    Ok(())
}

fn profile_goes_with_no_new_privileges_and_without(ctx: &Context) -> Outcome {
    let profile = Profile::load(ctx, "nnp")?;
    for no_new_privileges in [true, false] {
        let bundle = Bundle::new(ctx)?
            .set("/process/apparmorProfile", json!(profile.name))
            .set("/process/noNewPrivileges", json!(no_new_privileges));
        let c = idle(bundle)?;
        check_eq!(first(&c)?, profile.enforced(), "label, no_new_privs {no_new_privileges}");
    }
    Ok(())
}

fn profile_of_an_exec_is_its_own(ctx: &Context) -> Outcome {
    let (own, other) = (Profile::load(ctx, "own")?, Profile::load(ctx, "other")?);
    let c = idle(Bundle::new(ctx)?.set("/process/apparmorProfile", json!(own.name)))?;
    let facts = c.exec_report(&["--apparmor", &other.name], &["facts"])?;
    check_eq!(facts["label"], other.enforced(), "label by the flag");
    let c = idle(Bundle::new(ctx)?)?;
    let own_label = fs::read_to_string("/proc/self/attr/current")?;
    check_eq!(first(&c)?, json!(own_label.trim_end()), "label where none is asked for");
    Ok(())
}

fn profile_that_is_not_loaded_is_named(ctx: &Context) -> Outcome {
    if !has_apparmor() {
        return Err(Stop::skip("no AppArmor here"));
    }
    let c =
        Bundle::new(ctx)?.set("/process/apparmorProfile", json!("tare-it-missing")).container()?;
    let done = c.run(&[])?.exits(1)?.says(&["/process/apparmorProfile", "apparmor"])?;
    // podman looks for a path of /proc in back quotes.
    done.says(&["`/proc/", "/attr/"]).map(drop)
}

fn profile_without_apparmor_is_refused(ctx: &Context) -> Outcome {
    if has_apparmor() {
        return Err(Stop::skip("AppArmor is here"));
    }
    let c = Bundle::new(ctx)?.set("/process/apparmorProfile", json!("any")).container()?;
    let done = c.run(&[])?.exits(1)?.says(&["apparmor not supported"])?;
    done.says(&["/process/apparmorProfile"])?;
    let c = idle(Bundle::new(ctx)?)?;
    c.exec(&["--apparmor", "any"], &["/bin/payload", "true"])?
        .exits(255)?
        .says(&["apparmor not supported"])
        .map(drop)
}

/// CVE-2019-16884: a file of the image in the place of procfs would swallow the profile.
fn profile_needs_a_procfs_of_its_own(ctx: &Context) -> Outcome {
    let profile = Profile::load(ctx, "proc")?;
    let mut bundle = Bundle::new(ctx)?
        .file("/proc/self/attr/apparmor/exec", "")?
        .set("/process/apparmorProfile", json!(profile.name));
    if let Some(mounts) = bundle.config["mounts"].as_array_mut() {
        mounts.retain(|mount| mount["destination"] != "/proc");
    }
    let bundle = bundle.set("/linux/maskedPaths", json!([])).set("/linux/readonlyPaths", json!([]));
    let swallowed = bundle.rootfs().join("proc/self/attr/apparmor/exec");
    let done = bundle.container()?.run(&[])?.exits(1)?;
    check!(fs::read(&swallowed)?.is_empty(), "the image's file was written to");
    done.says(&["procfs", "proc"]).map(drop)
}

fn label_without_selinux_is_refused(ctx: &Context) -> Outcome {
    if Path::new("/sys/fs/selinux/enforce").exists() {
        return Err(Stop::skip("SELinux is here"));
    }
    const WORDS: &str = "selinux is disabled or not supported";
    let label = "system_u:system_r:container_t:s0";
    let c = Bundle::new(ctx)?.set("/process/selinuxLabel", json!(label)).container()?;
    c.run(&[])?.exits(1)?.says(&[WORDS])?.says(&["/process/selinuxLabel"])?;
    let c = idle(Bundle::new(ctx)?)?;
    c.exec(&["--process-label", label], &["/bin/payload", "true"])?
        .exits(255)?
        .says(&[WORDS])
        .map(drop)
}
