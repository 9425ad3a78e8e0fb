//! Device nodes of every type: made, or bound from the host where they cannot be made.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::mkfifo;
use serde_json::{Value, json};

use crate::bundle::Bundle;
use crate::context::Context;
use crate::outcome::{Outcome, Stop};
use crate::{check, check_eq, family};

family!("device_nodes":
    pipe_is_made_in_a_user_namespace,
    device_of_the_host_is_shown_in_a_user_namespace,
    shown_device_can_neither_be_executed_nor_change_ids,
    block_device_of_the_host_is_shown_in_a_user_namespace,
    another_device_of_that_name_on_the_host_is_not_shown,
    device_stands_anywhere_in_the_file_system,
    device_without_a_mount_at_dev_is_made_in_the_image,
    node_that_is_there_gets_the_mode_and_owner_asked_for,
    node_that_is_another_device_is_refused,
    entry_for_a_default_device_replaces_it,
    same_entry_twice_is_one_device,
    device_of_type_a_is_refused,
    device_outside_of_a_dev_that_is_the_hosts_is_made,
);

fn device(path: &str, kind: &str, major: u64, minor: u64) -> Value {
    json!({"path": path, "type": kind, "major": major, "minor": minor})
}

/// A small shell's view of a file: type and numbers, octal mode, owner.
fn row(found: &Value, path: &str) -> Value {
    let node = &found[path];
    json!([node["type"], node["major"], node["minor"], node["mode"], node["uid"], node["gid"]])
}

fn pipe_is_made_in_a_user_namespace(ctx: &Context) -> Outcome {
    let pipe = json!({"path": "/dev/p", "type": "p", "fileMode": 0o640, "uid": 7, "gid": 8});
    let bundle = Bundle::new(ctx)?.user_namespace()?.push("/linux/devices", pipe);
    let found = bundle.report(&["devices"])?;
    check_eq!(row(&found, "/dev/p"), json!(["p", 0, 0, 0o640, 7, 8]), "/dev/p");
    Ok(())
}

fn device_of_the_host_is_shown_in_a_user_namespace(ctx: &Context) -> Outcome {
    if !Path::new("/dev/kmsg").exists() {
        return Err(Stop::skip("no /dev/kmsg here"));
    }
    let bundle = Bundle::new(ctx)?
        .user_namespace()?
        .push("/linux/devices", device("/dev/kmsg", "c", 1, 11))
        .push("/linux/devices", device("/dev/dir/zero", "u", 1, 5));
    // The second has another name on the host; only the links by number lead to it.
    let by_number = Path::new("/dev/char/1:5").exists();
    let c = bundle.payload(&["devices"]).container()?;
    let done = c.run(&[])?;
    if !by_number {
        check!(done.code != 0 && done.stderr.contains("/dev/dir/zero"), "{}", done.stderr);
        return Ok(());
    }
    let found = crate::bundle::parse_lines(&done.ok()?.stdout)?.remove(0);
    for (path, minor) in [("/dev/kmsg", 11), ("/dev/dir/zero", 5)] {
        let node = &found[path];
        check_eq!([&node["type"], &node["major"]], [&json!("c"), &json!(1)], "{path}");
        check_eq!(node["minor"], json!(minor), "minor of {path}");
    }
    Ok(())
}

fn shown_device_can_neither_be_executed_nor_change_ids(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?.user_namespace()?;
    let table = bundle.args(&["/bin/busybox", "cat", "/proc/self/mountinfo"]).output()?;
    let mut options = table.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(4);
        let (place, options) = (fields.next()?, fields.next()?);
        (place == "/dev/null").then(|| options.split(',').map(str::to_owned).collect::<Vec<_>>())
    });
    let options = options.next().ok_or_else(|| Stop::fail("/dev/null is no mount"))?;
    for flag in ["nosuid", "noexec"] {
        check!(options.iter().any(|option| option == flag), "{flag} of /dev/null: {options:?}");
    }
    Ok(())
}

fn block_device_of_the_host_is_shown_in_a_user_namespace(ctx: &Context) -> Outcome {
    let found = fs::read_dir("/dev")?.flatten().find_map(|entry| {
        let meta = entry.metadata().ok()?;
        meta.file_type().is_block_device().then(|| (entry.path(), meta.rdev()))
    });
    let (path, number) = found.ok_or_else(|| Stop::skip("no block device here"))?;
    let path = path.to_string_lossy().into_owned();
    let (major, minor) = (u64::from(libc::major(number)), u64::from(libc::minor(number)));
    let bundle = Bundle::new(ctx)?.user_namespace()?;
    let found =
        bundle.push("/linux/devices", device(&path, "b", major, minor)).report(&["devices"])?;
    let node = &found[&path];
    check_eq!([&node["type"], &node["major"]], [&json!("b"), &json!(major)], "{path}");
    check_eq!(node["minor"], json!(minor), "minor of {path}");
    Ok(())
}

fn another_device_of_that_name_on_the_host_is_not_shown(ctx: &Context) -> Outcome {
    // 1:250 is no device; the host's /dev/null is another.
    let c = Bundle::new(ctx)?
        .user_namespace()?
        .push("/linux/devices", device("/dev/null", "c", 1, 250))
        .container()?;
    let refused = c.try_create(&[])?;
    check!(refused.code != 0, "the container got the host's null as 1:250");
    check!(refused.stderr.contains("/dev/null"), "{}", refused.stderr);
    Ok(())
}

fn device_stands_anywhere_in_the_file_system(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?
        .push("/linux/devices", device("/srv/deep/zero", "c", 1, 5))
        .push("/linux/devices", json!({"path": "/srv/pipe", "type": "p"}))
        .payload(&["sleep", "60000"])
        .container()?;
    c.up()?;
    let node = fs::metadata(c.rootfs().join("srv/deep/zero"))?;
    check!(node.file_type().is_char_device(), "no character device");
    check_eq!((libc::major(node.rdev()), libc::minor(node.rdev())), (1, 5), "its numbers");
    check!(fs::metadata(c.rootfs().join("srv/pipe"))?.file_type().is_fifo(), "no pipe");
    Ok(())
}

fn device_without_a_mount_at_dev_is_made_in_the_image(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?
        .set("/mounts", json!([{"destination": "/proc", "type": "proc", "source": "proc"}]))
        .push(
            "/linux/devices",
            json!({"path": "/dev/kmsg", "type": "c", "major": 1, "minor": 11,
            "fileMode": 0o600}),
        );
    let rootfs = bundle.rootfs();
    let found = bundle.report(&["devices"])?;
    check_eq!(row(&found, "/dev/kmsg"), json!(["c", 1, 11, 0o600, 0, 0]), "/dev/kmsg");
    check!(fs::metadata(rootfs.join("dev/null"))?.file_type().is_char_device(), "no /dev/null");
    Ok(())
}

fn node_that_is_there_gets_the_mode_and_owner_asked_for(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?
        .set("/mounts", json!([{"destination": "/proc", "type": "proc", "source": "proc"}]))
        .push(
            "/linux/devices",
            json!({"path": "/dev/kmsg", "type": "c", "major": 1, "minor": 11,
            "fileMode": 0o640, "uid": 3, "gid": 4}),
        )
        .push("/linux/devices", json!({"path": "/dev/pipe", "type": "p", "fileMode": 0o622}));
    let dev = bundle.rootfs().join("dev");
    let mode = Mode::from_bits_truncate(0o666);
    mknod(&dev.join("kmsg"), SFlag::S_IFCHR, mode, makedev(1, 11))?;
    mknod(&dev.join("null"), SFlag::S_IFCHR, Mode::empty(), makedev(1, 3))?;
    mkfifo(&dev.join("pipe"), mode)?;
    std::os::unix::fs::chown(dev.join("pipe"), Some(9), Some(9))?;
    let found = bundle.report(&["devices"])?;
    check_eq!(row(&found, "/dev/kmsg"), json!(["c", 1, 11, 0o640, 3, 4]), "/dev/kmsg");
    check_eq!(row(&found, "/dev/null"), json!(["c", 1, 3, 0o666, 0, 0]), "/dev/null");
    check_eq!(row(&found, "/dev/pipe"), json!(["p", 0, 0, 0o622, 0, 0]), "/dev/pipe");
    Ok(())
}

fn node_that_is_another_device_is_refused(ctx: &Context) -> Outcome {
    for kind in ["device", "file", "pipe", "link"] {
        let bundle = Bundle::new(ctx)?
            .set("/mounts", json!([{"destination": "/proc", "type": "proc", "source": "proc"}]))
            .push("/linux/devices", device("/dev/kmsg", "c", 1, 11));
        let path = bundle.rootfs().join("dev/kmsg");
        let mode = Mode::from_bits_truncate(0o600);
        match kind {
            "device" => mknod(&path, SFlag::S_IFCHR, mode, makedev(1, 5))?,
            "pipe" => mkfifo(&path, mode)?,
            "file" => fs::write(&path, "words")?,
            _ => std::os::unix::fs::symlink("/dev/kmsg", &path)?,
        }
        let before = fs::symlink_metadata(&path)?;
        let refused = bundle.container()?.try_create(&[])?;
        check!(refused.code != 0, "a {kind} was taken for the device");
        check!(refused.stderr.contains("/dev/kmsg"), "{}", refused.stderr);
        let after = fs::symlink_metadata(&path)?;
        check_eq!((before.mode(), before.ino()), (after.mode(), after.ino()), "the {kind}");
    }
    Ok(())
}

fn entry_for_a_default_device_replaces_it(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?.push(
        "/linux/devices",
        json!({"path": "/dev/full", "type": "c", "major": 1, "minor": 7, "fileMode": 0o600, "gid": 5}),
    );
    let found = bundle.report(&["devices"])?;
    check_eq!(row(&found, "/dev/full"), json!(["c", 1, 7, 0o600, 0, 5]), "/dev/full");
    Ok(())
}

fn same_entry_twice_is_one_device(ctx: &Context) -> Outcome {
    let entry = device("/dev/kmsg", "c", 1, 11);
    let bundle =
        Bundle::new(ctx)?.push("/linux/devices", entry.clone()).push("/linux/devices", entry);
    let found = bundle.report(&["devices"])?;
    check_eq!(row(&found, "/dev/kmsg"), json!(["c", 1, 11, 0o666, 0, 0]), "/dev/kmsg");
    Ok(())
}

fn device_of_type_a_is_refused(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.push("/linux/devices", device("/dev/a", "a", 1, 3)).container()?;
    let refused = c.try_create(&[])?;
    check!(
        refused.code != 0 && refused.stderr.contains("invalid device type"),
        "{}",
        refused.stderr
    );
    Ok(())
}

fn device_outside_of_a_dev_that_is_the_hosts_is_made(ctx: &Context) -> Outcome {
    let mut bundle = Bundle::new(ctx)?;
    if let Some(mounts) = bundle.config["mounts"].as_array_mut() {
        mounts.retain(|m| !m["destination"].as_str().unwrap_or_default().starts_with("/dev"));
    }
    let c = bundle
        .bind(Path::new("/dev"), "/dev", &["rbind", "ro"])
        .push("/linux/devices", device("/srv/zero", "c", 1, 5))
        .push("/linux/devices", device("/dev/never", "c", 1, 5))
        .payload(&["sleep", "60000"])
        .container()?;
    c.up()?;
    check!(fs::metadata(c.rootfs().join("srv/zero"))?.file_type().is_char_device(), "no device");
    check!(!Path::new("/dev/never").exists(), "a device was made in the host's /dev");
    Ok(())
}
