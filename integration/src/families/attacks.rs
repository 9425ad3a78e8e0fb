//! Images and configurations that try to break out, each named by what it imitates.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::bundle::Bundle;
use crate::context::Context;
use crate::outcome::Outcome;
use crate::{check, check_eq, family};

family!("attacks":
    cve_2019_19921_proc_that_is_a_symlink_is_refused,
    sys_that_is_a_symlink_is_refused,
    cve_2026_41579_dev_that_is_a_symlink_leaves_the_host_alone,
    cve_2025_31133_null_that_is_a_symlink_masks_nothing_else,
    cve_2025_52565_console_that_is_a_symlink_leaves_the_host_alone,
    cve_2024_21626_directory_of_a_descriptor_is_no_way_out,
    cve_2024_21626_exec_in_a_directory_of_a_descriptor_is_no_way_out,
    cve_2019_5736_entry_point_that_is_proc_self_exe_leaves_the_runtime_alone,
    cve_2016_9962_joining_process_shows_nothing_of_the_host,
    cve_2019_18837_destination_through_links_stays_inside,
    destination_behind_a_link_into_proc_is_refused,
    masked_path_behind_a_link_is_masked,
    mount_over_proc_is_refused,
    state_directories_are_not_open_to_others,
    passwd_that_is_a_device_does_not_block,
);

fn replace_by_link(bundle: &Bundle<'_>, name: &str, target: &str) -> Outcome {
    let path = bundle.rootfs().join(name);
    fs::remove_dir_all(&path)?;
    Ok(std::os::unix::fs::symlink(target, path)?)
}

fn cve_2019_19921_proc_that_is_a_symlink_is_refused(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?;
    replace_by_link(&bundle, "proc", "/tmp")?;
    bundle.container()?.run(&[])?.exits(1)?.says(&["proc"]).map(drop)
}

fn sys_that_is_a_symlink_is_refused(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?;
    replace_by_link(&bundle, "sys", "/tmp")?;
    bundle.container()?.run(&[])?.exits(1)?.says(&["sys"]).map(drop)
}

/// A directory of the host that must stay empty.
fn bait(ctx: &Context) -> Outcome<std::path::PathBuf> {
    let dir = ctx.dir.join("bait");
    fs::create_dir(&dir)?;
    Ok(dir)
}

fn untouched(dir: &std::path::Path) -> Outcome {
    let names: Vec<_> = fs::read_dir(dir)?.flatten().map(|e| e.file_name()).collect();
    check!(names.is_empty(), "files on the host: {names:?}");
    Ok(())
}

fn cve_2026_41579_dev_that_is_a_symlink_leaves_the_host_alone(ctx: &Context) -> Outcome {
    let dir = bait(ctx)?;
    let climbing = format!("../../../../../../../..{}", dir.display());
    for (target, mounted) in
        [(dir.to_string_lossy().into_owned(), true), (climbing.clone(), true), (climbing, false)]
    {
        let mut bundle = Bundle::new(ctx)?;
        replace_by_link(&bundle, "dev", &target)?;
        if !mounted {
            let keep = |m: &serde_json::Value| {
                !m["destination"].as_str().unwrap_or_default().starts_with("/dev")
            };
            if let Some(mounts) = bundle.config["mounts"].as_array_mut() {
                mounts.retain(keep);
            }
        }
        // Whether it runs is the runtime's choice; where it writes is not.
        bundle.payload(&["true"]).container()?.run(&[])?;
        untouched(&dir)?;
    }
    Ok(())
}

fn cve_2025_31133_null_that_is_a_symlink_masks_nothing_else(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?
        .file("/exposed", "a file that the image wants in the mask's place")?
        .symlink("/dev/null", "/exposed")?
        .remove("", "mounts")
        .mount("/proc", "proc", "proc", &[])
        .set("/linux/maskedPaths", json!(["/proc/kcore"]));
    let c = bundle.payload(&["probe", "/proc/kcore"]).container()?;
    let done = c.run(&[])?;
    if done.code == 0 {
        let lines = crate::bundle::parse_lines(&done.stdout)?;
        check!(!lines.is_empty(), "the output went to the file of the image");
        check_eq!(lines[0]["rdev"], json!([1, 3]), "device at the masked path");
    }
    Ok(())
}

fn cve_2025_52565_console_that_is_a_symlink_leaves_the_host_alone(ctx: &Context) -> Outcome {
    let dir = bait(ctx)?;
    let target = format!("../../../../../../../..{}/console", dir.display());
    let bundle = Bundle::new(ctx)?
        .symlink("/dev/console", &target)?
        .remove("", "mounts")
        .mount("/proc", "proc", "proc", &[])
        .mount("/dev/pts", "devpts", "devpts", &["newinstance", "ptmxmode=0666"])
        .set("/process/terminal", json!(true));
    let c = bundle.payload(&["true"]).container()?;
    let receiver = crate::console::Receiver::new(&ctx.dir.join("socket"))?;
    c.try_create(&["--console-socket", &receiver.path()])?;
    untouched(&dir)
}

fn cve_2024_21626_directory_of_a_descriptor_is_no_way_out(ctx: &Context) -> Outcome {
    for fd in 3..20 {
        let cwd = format!("/proc/self/fd/{fd}");
        let c = Bundle::new(ctx)?.set("/process/cwd", json!(cwd)).container()?;
        let done = c.run(&[])?;
        check!(done.code == 1, "cwd {cwd} was entered: {}", done.stdout);
    }
    Ok(())
}

fn cve_2024_21626_exec_in_a_directory_of_a_descriptor_is_no_way_out(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["sleep", "60000"]).container()?;
    c.up()?;
    for fd in 3..20 {
        let cwd = format!("/proc/self/fd/{fd}");
        let done = c.exec(&["--cwd", &cwd], &["/bin/payload", "facts"])?;
        if done.code == 0 {
            // A directory outside has no path here, and getcwd says so.
            let facts = crate::bundle::parse_lines(&done.stdout)?.remove(0);
            let inside = facts["cwd"].as_str().is_some_and(|path| path.starts_with('/'));
            check!(inside, "cwd {cwd} leads out: {}", facts["cwd"]);
        }
    }
    Ok(())
}

fn cve_2019_5736_entry_point_that_is_proc_self_exe_leaves_the_runtime_alone(
    ctx: &Context,
) -> Outcome {
    let before = fs::read(&ctx.runtime)?;
    let bundle = Bundle::new(ctx)?.file("/bin/trap", "#!/proc/self/exe\n")?;
    fs::set_permissions(bundle.rootfs().join("bin/trap"), fs::Permissions::from_mode(0o755))?;
    let c = bundle.args(&["/bin/trap"]).container()?;
    // It may fail or run something of the container's own.
    c.run(&[])?;
    let c = Bundle::new(ctx)?
        .file("/bin/trap", "#!/proc/self/exe\n")?
        .payload(&["sleep", "60000"])
        .container()?;
    fs::set_permissions(c.rootfs().join("bin/trap"), fs::Permissions::from_mode(0o755))?;
    c.up()?;
    c.exec(&[], &["/bin/trap"])?;
    check!(fs::read(&ctx.runtime)? == before, "the runtime's binary has changed");
    Ok(())
}

fn cve_2016_9962_joining_process_shows_nothing_of_the_host(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["spy", "4000"]).container()?;
    c.up()?;
    // As many as go while the spy looks, on a slow machine as well.
    let enough = std::time::Instant::now() + std::time::Duration::from_millis(1500);
    for _ in 0..10 {
        c.exec(&[], &["/bin/true"])?.ok()?;
        if std::time::Instant::now() > enough {
            break;
        }
    }
    c.exit_code()?;
    let seen = crate::bundle::parse_lines(&c.printed())?.remove(0);
    let strange = |list: &str| {
        let paths = seen[list].as_array().into_iter().flatten().filter_map(|p| p.as_str());
        let own = |p: &&str| {
            p.starts_with("/bin/")
                || p.starts_with("pipe:")
                || p.starts_with("/dev/null")
                || p.contains("/tare-it-")
        };
        paths.filter(|p| !own(p)).map(str::to_owned).collect::<Vec<_>>()
    };
    check_eq!(strange("programs"), Vec::<String>::new(), "programs that the container saw");
    check_eq!(strange("descriptors"), Vec::<String>::new(), "descriptors that the container saw");
    Ok(())
}

fn cve_2019_18837_destination_through_links_stays_inside(ctx: &Context) -> Outcome {
    let dir = bait(ctx)?;
    let target = format!("../../../../../../../..{}", dir.display());
    let bundle = Bundle::new(ctx)?.symlink("/a", "b")?.symlink("/b", &target)?.mount(
        "/a/deep/new",
        "tmpfs",
        "tmpfs",
        &[],
    );
    bundle.payload(&["true"]).container()?.run(&[])?;
    untouched(&dir)
}

/// As in CVE-2023-28642, with a new file system in the place of a bind mount.
fn destination_behind_a_link_into_proc_is_refused(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?.symlink("/a", "proc/sys")?.mount("/a", "tmpfs", "tmpfs", &[]);
    bundle.payload(&["true"]).container()?.run(&[])?.exits(1)?.says(&["proc"]).map(drop)
}

fn masked_path_behind_a_link_is_masked(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?
        .file("/secret/file", "hidden")?
        .symlink("/alias", "secret")?
        .set("/linux/maskedPaths", json!(["/alias"]));
    let line = bundle.report(&["probe", "/secret"])?;
    check_eq!(line["read"]["count"], json!(0), "entries of /secret");
    Ok(())
}

fn mount_over_proc_is_refused(ctx: &Context) -> Outcome {
    for point in ["/proc", "/proc/self", "/proc/sys/kernel"] {
        let c = Bundle::new(ctx)?.mount(point, "tmpfs", "tmpfs", &[]).container()?;
        let done = c.run(&[])?;
        check!(done.code == 1, "a tmpfs was mounted at {point}");
        done.says(&["proc"])?;
    }
    Ok(())
}

fn state_directories_are_not_open_to_others(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.container()?;
    c.create()?;
    let mode = fs::metadata(ctx.root().join(&c.id))?.permissions().mode() & 0o777;
    check!(mode & 0o066 == 0, "the container's state directory has mode {mode:o}");
    for entry in fs::read_dir(ctx.root().join(&c.id))?.flatten() {
        let meta = entry.metadata()?;
        let mode = meta.permissions().mode() & 0o777;
        // The start fifo is written by the container's user.
        let fifo = std::os::unix::fs::FileTypeExt::is_fifo(&meta.file_type());
        check!(fifo || mode & 0o022 == 0, "{} has mode {mode:o}", entry.path().display());
    }
    Ok(())
}

fn passwd_that_is_a_device_does_not_block(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?;
    let path = bundle.rootfs().join("etc/passwd");
    fs::remove_file(&path)?;
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRUSR)?;
    let c = bundle.payload(&["true"]).container()?;
    let run = c.command("run", &[])?.deadline(std::time::Duration::from_secs(5));
    run.done().map(drop)
}
