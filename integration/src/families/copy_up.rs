//! tmpcopyup: a tmpfs that starts with what it covers; and what any tmpfs takes over.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use serde_json::{Value, json};

use crate::bundle::Bundle;
use crate::context::{Context, Kind};
use crate::expect::MountInfo;
use crate::outcome::Outcome;
use crate::process::Run;
use crate::{check, check_eq, family};

family!("copy_up":
    tmpfs_has_the_mode_of_what_it_covers,
    copy_has_mode_and_owner_of_what_it_covers,
    everything_is_copied_as_it_was,
    extended_attributes_are_copied,
    large_tree_is_copied,
    size_and_flags_are_those_asked_for,
    nothing_is_copied_when_nothing_is_there,
    image_is_left_as_it_was,
    owners_are_right_in_a_user_namespace,
);

fn mode_and_owner(line: &Value) -> [u64; 3] {
    ["mode", "uid", "gid"].map(|name| line[name].as_u64().unwrap_or(u64::MAX))
}

fn tmpfs_has_the_mode_of_what_it_covers(ctx: &Context) -> Outcome {
    for (options, expected) in [
        (&["nosuid"][..], 0o2750),
        (&["size=1m"], 0o2750),
        (&["mode=700"], 0o700),
        (&["size=1m", "mode=1777"], 0o1777),
    ] {
        let bundle = Bundle::new(ctx)?
            .file("/there/file", "covered")?
            .mount("/there", "tmpfs", "tmpfs", options)
            .mount("/new/place", "tmpfs", "tmpfs", options);
        fs::set_permissions(bundle.rootfs().join("there"), fs::Permissions::from_mode(0o2750))?;
        let lines = bundle.reports(&["probe", "/there", "/new/place", "/there/file"])?;
        check_eq!(lines[0]["mode"], json!(expected), "mode with {options:?}");
        check_eq!(lines[2]["missing"], json!(2), "errno of the covered file");
        if !options.iter().any(|option| option.starts_with("mode")) {
            check_eq!(lines[1]["mode"], json!(0o1777), "mode in a new place");
        }
    }
    Ok(())
}

fn copy_has_mode_and_owner_of_what_it_covers(ctx: &Context) -> Outcome {
    for (options, expected) in [
        (&["tmpcopyup"][..], [0o751, 12, 34]),
        (&["tmpcopyup", "mode=711"], [0o711, 12, 34]),
        (&["tmpcopyup", "uid=5", "gid=6"], [0o751, 5, 6]),
    ] {
        let bundle =
            Bundle::new(ctx)?.file("/data/file", "x")?.mount("/data", "tmpfs", "tmpfs", options);
        let data = bundle.rootfs().join("data");
        fs::set_permissions(&data, fs::Permissions::from_mode(0o751))?;
        chown(&data, Some(12), Some(34))?;
        let lines = bundle.reports(&["probe", "/data", "/data/file"])?;
        check_eq!(lines[1]["kind"], "file", "kind of what is below");
        if ctx.kind == Kind::Tare {
            check_eq!(mode_and_owner(&lines[0]), expected, "mode and owner with {options:?}");
        } else {
            check_eq!(lines[0]["mode"], json!(expected[0]), "mode with {options:?}");
        }
    }
    Ok(())
}

fn everything_is_copied_as_it_was(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?
        .file("/data/plain", "plain")?
        .file("/data/program", "#!")?
        .file("/data/empty", "")?
        .file("/data/deep/er/file", "deep")?
        .symlink("/data/link", "deep/er/file")?
        .symlink("/data/dangling", "/not/there")?
        .mount("/data", "tmpfs", "tmpfs", &["tmpcopyup"]);
    let data = bundle.rootfs().join("data");
    let all = Mode::from_bits_truncate(0o640);
    mknod(&data.join("pipe"), SFlag::S_IFIFO, all, 0)?;
    mknod(&data.join("null"), SFlag::S_IFCHR, all, makedev(1, 3))?;
    for (name, owner, mode) in
        [("plain", 7, 0o604), ("program", 8, 0o4755), ("deep", 9, 0o2775), ("deep/er", 10, 0o1777)]
    {
        chown(data.join(name), Some(owner), Some(owner + 100))?;
        fs::set_permissions(data.join(name), fs::Permissions::from_mode(mode))?;
    }
    std::os::unix::fs::lchown(data.join("dangling"), Some(11), Some(111))?;
    let script = "cd /data && for f in plain program empty deep deep/er pipe null; do \
        busybox stat -c '%n %F %a %u:%g %s %t' $f; done; busybox stat -c '%n %u:%g' dangling; \
        busybox readlink link; busybox readlink dangling; cat link; busybox ls -A | busybox wc -l";
    let script = script.replace("busybox", "/bin/busybox");
    let said = bundle.args(&["/bin/busybox", "sh", "-c", &script]).output()?;
    let lines: Vec<&str> = said.lines().collect();
    check_eq!(
        lines,
        [
            "plain regular file 604 7:107 5 0",
            "program regular file 4755 8:108 2 0",
            "empty regular empty file 644 0:0 0 0",
            "deep directory 2775 9:109 60 0",
            "deep/er directory 1777 10:110 60 0",
            "pipe fifo 640 0:0 0 0",
            "null character special file 640 0:0 0 1",
            "dangling 11:111",
            "deep/er/file",
            "/not/there",
            "deep8",
        ],
        "what was copied"
    );
    Ok(())
}

fn extended_attributes_are_copied(ctx: &Context) -> Outcome {
    let bundle =
        Bundle::new(ctx)?.file("/data/ping", "x")?.mount("/data", "tmpfs", "tmpfs", &["tmpcopyup"]);
    // A capability set of version 2: CAP_NET_RAW permitted, effective.
    let value = [&0x0200_0001_u32.to_le_bytes()[..], &[0, 0x20, 0, 0], &[0; 12]].concat();
    crate::sys::set_attribute(&bundle.rootfs().join("data/ping"), c"security.capability", &value)?;
    let c = bundle.payload(&["sleep", "60000"]).container()?;
    c.up()?;
    let inside = format!("/proc/{}/root/data/ping", c.pid()?);
    let copied = crate::sys::attribute(inside.as_ref(), c"security.capability")?;
    check_eq!(copied, value, "capabilities of the copied file");
    Ok(())
}

fn large_tree_is_copied(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?.mount("/data", "tmpfs", "tmpfs", &["tmpcopyup"]);
    let data = bundle.rootfs().join("data");
    for directory in 0..30 {
        let deep = data.join(format!("d{directory}")).join("a/b/c/d/e");
        fs::create_dir_all(&deep)?;
        for file in 0..30 {
            fs::write(deep.join(format!("{}{file}", "long-name-".repeat(20))), file.to_string())?;
        }
    }
    fs::write(data.join("big"), vec![7_u8; 9 << 20])?;
    let look = "cd $0 && busybox find . -type f | busybox sort | busybox xargs busybox md5sum | \
        busybox md5sum";
    let of = |dir: &str| {
        ["sh".to_owned(), "-c".to_owned(), look.replace("busybox", "/bin/busybox"), dir.to_owned()]
    };
    let host = Run::new(Path::new("/bin/busybox"), &of(&data.to_string_lossy()), &ctx.dir)?.ok()?;
    let inside = of("/data");
    let inside: Vec<&str> =
        [&["/bin/busybox"][..], &inside.each_ref().map(String::as_str)].concat();
    check_eq!(bundle.args(&inside).output()?, host.stdout, "sum of all files");
    Ok(())
}

fn size_and_flags_are_those_asked_for(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?.file("/data/file", "below")?.mount(
        "/data",
        "tmpfs",
        "tmpfs",
        &["tmpcopyup", "ro", "nosuid", "noexec", "size=1m"],
    );
    let lines = bundle.reports(&["facts", ",", "cat", "/data/file", ",", "put", "/data/x", "x"])?;
    let table = MountInfo::table(&lines[0]);
    let there = MountInfo::found(&table, "/data")?;
    for word in ["ro", "nosuid", "noexec", "size=1024k"] {
        check!(there.has_anywhere(word), "{word} is missing: {there:?}");
    }
    check_eq!(lines[1]["text"], "below", "content");
    check_eq!(lines[2]["errno"], json!(libc::EROFS), "errno of a write");
    let bundle = Bundle::new(ctx)?.file("/data/file", &"x".repeat(3 << 20))?.mount(
        "/data",
        "tmpfs",
        "tmpfs",
        &["tmpcopyup", "size=1m"],
    );
    let c = bundle.container()?;
    c.run(&[])?.exits(1)?.says(&["no space left on device"])?.says(&["/data"]).map(drop)
}

fn nothing_is_copied_when_nothing_is_there(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?.mount("/not/there", "tmpfs", "tmpfs", &["tmpcopyup"]);
    let line = bundle.report(&["probe", "/not/there"])?;
    check_eq!(line["read"]["count"], json!(0), "entries");
    Ok(())
}

fn image_is_left_as_it_was(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?.file("/data/file", "below")?.mount(
        "/data",
        "tmpfs",
        "tmpfs",
        &["tmpcopyup"],
    );
    let file = bundle.rootfs().join("data/file");
    let lines = bundle.reports(&["put", "/data/file", "changed", ",", "put", "/data/new", "x"])?;
    check_eq!([&lines[0]["errno"], &lines[1]["errno"]], [&json!(0); 2], "errno of writes");
    check_eq!(fs::read_to_string(&file)?, "below", "content on the host");
    check!(!file.with_file_name("new").exists(), "a new file is on the host");
    Ok(())
}

fn owners_are_right_in_a_user_namespace(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?
        .file("/data/file", "below")?
        .file("/data/strange", "below")?
        .mount("/data", "tmpfs", "tmpfs", &["tmpcopyup"])
        .user_namespace()?;
    let data = bundle.rootfs().join("data");
    chown(data.join("file"), Some(100_005), Some(100_006))?;
    if ctx.kind == Kind::Tare {
        chown(data.join("strange"), Some(1), Some(1))?;
    }
    let lines = bundle.reports(&["probe", "/data/file", "/data", "/data/strange"])?;
    check_eq!(mode_and_owner(&lines[0]), [0o644, 5, 6], "the file");
    check_eq!(mode_and_owner(&lines[1])[1..], [0, 0], "owner of the directory");
    check_eq!(lines[2]["kind"], "file", "a file of nobody here");
    Ok(())
}
