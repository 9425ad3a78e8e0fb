//! Mounts, the root file system, device nodes, masked and read-only paths.

use std::fs;

use serde_json::{Value, json};

use crate::bundle::{Bundle, parse_lines};
use crate::context::Context;
use crate::expect::MountInfo;
use crate::host::HostTree;
use crate::outcome::Outcome;
use crate::{check, check_eq, family};

family!("mounts":
    options_of_a_tmpfs_show_in_the_mount_table,
    later_options_win_over_earlier_ones,
    recursive_attributes_reach_submounts,
    bind_mount_shows_a_file,
    bind_mount_of_a_directory_makes_its_destination,
    read_only_bind_mount_cannot_be_written,
    recursive_bind_brings_submounts_along,
    plain_bind_leaves_submounts_behind,
    bind_keeps_flags_of_its_source,
    relative_bind_source_is_taken_from_the_bundle,
    missing_bind_source_is_an_error_that_names_it,
    file_on_a_directory_is_an_error,
    mounts_are_made_in_order,
    destination_through_a_symlink_stays_inside,
    tmpcopyup_copies_what_it_covers,
    read_only_root_cannot_be_written,
    propagation_of_a_mount_is_set,
    slave_mount_receives_from_the_host_and_gives_nothing_back,
    rootfs_propagation_is_private_on_request,
    rootfs_propagation_is_shared_on_request,
    old_root_is_gone,
    no_pivot_works,
    device_nodes_are_made,
    default_devices_can_be_used,
    masked_paths_hide_and_missing_ones_are_ignored,
    readonly_paths_refuse_writes,
    readonly_path_may_be_the_root,
    cgroup_mount_shows_the_containers_own_tree,
    mqueue_and_devpts_are_new,
    lower_case_type_none_with_bind_is_a_bind,
    overlay_mounts_with_data,
);

fn options_of_a_tmpfs_show_in_the_mount_table(ctx: &Context) -> Outcome {
    for option in ["ro", "nosuid", "nodev", "noexec", "noatime", "nodiratime", "relatime", "sync"] {
        let table = MountInfo::seen(Bundle::new(ctx)?.mount("/m", "tmpfs", "tmpfs", &[option]))?;
        let mount = MountInfo::found(&table, "/m")?;
        let set = mount.has(option) || mount.super_options.iter().any(|o| o == option);
        check!(set, "{option}: {:?} {:?}", mount.options, mount.super_options);
    }
    let table =
        MountInfo::seen(Bundle::new(ctx)?.mount("/m", "tmpfs", "x", &["size=1m", "mode=700"]))?;
    let data = &MountInfo::found(&table, "/m")?.super_options;
    check!(
        data.contains(&"size=1024k".to_owned()) && data.contains(&"mode=700".to_owned()),
        "{data:?}"
    );
    Ok(())
}

fn later_options_win_over_earlier_ones(ctx: &Context) -> Outcome {
    let options = ["ro", "rw", "noexec", "exec", "nodev", "dev", "nosuid", "suid"];
    let table = MountInfo::seen(Bundle::new(ctx)?.mount("/m", "tmpfs", "tmpfs", &options))?;
    let mount = MountInfo::found(&table, "/m")?;
    for flag in ["ro", "noexec", "nodev", "nosuid"] {
        check!(!mount.has(flag), "{flag} is set: {:?}", mount.options);
    }
    Ok(())
}

fn recursive_attributes_reach_submounts(ctx: &Context) -> Outcome {
    let tree = HostTree::new(ctx)?;
    let table =
        MountInfo::seen(Bundle::new(ctx)?.bind(&tree.dir, "/m", &["rbind", "rro", "rnosuid"]))?;
    for point in ["/m", "/m/below"] {
        let mount = MountInfo::found(&table, point)?;
        check!(mount.has("ro") && mount.has("nosuid"), "{point}: {:?}", mount.options);
    }
    Ok(())
}

fn bind_mount_shows_a_file(ctx: &Context) -> Outcome {
    let source = ctx.dir.join("file");
    fs::write(&source, "from the host")?;
    let line =
        Bundle::new(ctx)?.bind(&source, "/etc/made", &["bind"]).report(&["cat", "/etc/made"])?;
    check_eq!(line["text"], "from the host", "content");
    Ok(())
}

fn bind_mount_of_a_directory_makes_its_destination(ctx: &Context) -> Outcome {
    let source = ctx.dir.join("source");
    fs::create_dir(&source)?;
    fs::write(source.join("file"), "deep")?;
    let bundle = Bundle::new(ctx)?.bind(&source, "/not/there/yet", &["bind"]);
    check_eq!(bundle.report(&["cat", "/not/there/yet/file"])?["text"], "deep", "content");
    Ok(())
}

fn read_only_bind_mount_cannot_be_written(ctx: &Context) -> Outcome {
    let source = ctx.dir.join("source");
    fs::create_dir(&source)?;
    let bundle = Bundle::new(ctx)?.bind(&source, "/m", &["bind", "ro"]);
    check_eq!(bundle.report(&["probe", "/m"])?["write"], json!(30), "errno of a write");
    Ok(())
}

fn recursive_bind_brings_submounts_along(ctx: &Context) -> Outcome {
    let tree = HostTree::new(ctx)?;
    let line = Bundle::new(ctx)?.bind(&tree.dir, "/m", &["rbind", "ro"]).reports(&[
        "cat",
        "/m/below/file",
        ",",
        "probe",
        "/m",
        ",",
        "probe",
        "/m/below",
    ])?;
    check_eq!(line[0]["text"], "below", "content");
    check_eq!(line[1]["write"], json!(30), "errno of a write");
    check_eq!(line[2]["write"], json!(0), "errno of a write below, which ro does not reach");
    Ok(())
}

fn plain_bind_leaves_submounts_behind(ctx: &Context) -> Outcome {
    let tree = HostTree::new(ctx)?;
    let line =
        Bundle::new(ctx)?.bind(&tree.dir, "/m", &["bind"]).report(&["cat", "/m/below/file"])?;
    check_eq!(line["errno"], json!(2), "errno");
    Ok(())
}

fn bind_keeps_flags_of_its_source(ctx: &Context) -> Outcome {
    let tree = HostTree::new(ctx)?;
    let bundle = Bundle::new(ctx)?.bind(&tree.dir, "/m", &["rbind", "ro"]).user_namespace()?;
    let table = MountInfo::seen(bundle)?;
    let mount = MountInfo::found(&table, "/m")?;
    check!(mount.has("nodev") && mount.has("ro"), "locked nodev and asked ro: {:?}", mount.options);
    Ok(())
}

fn relative_bind_source_is_taken_from_the_bundle(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?.mount("/m", "bind", "data", &["bind"]);
    fs::write(bundle.dir.join("data"), "of the bundle")?;
    check_eq!(bundle.report(&["cat", "/m"])?["text"], "of the bundle", "content");
    Ok(())
}

fn missing_bind_source_is_an_error_that_names_it(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.mount("/m", "bind", "/not/there", &["bind"]).container()?;
    c.run(&[])?.exits(1)?.says(&["/not/there"])?.says(&["no such file or directory"]).map(drop)
}

fn file_on_a_directory_is_an_error(ctx: &Context) -> Outcome {
    let source = ctx.dir.join("file");
    fs::write(&source, "")?;
    let c = Bundle::new(ctx)?.bind(&source, "/tmp", &["bind"]).container()?;
    c.run(&[])?.exits(1)?.says(&["not a directory"]).map(drop)
}

fn mounts_are_made_in_order(ctx: &Context) -> Outcome {
    let source = ctx.dir.join("file");
    fs::write(&source, "on top")?;
    let bundle = Bundle::new(ctx)?
        .mount("/m", "tmpfs", "first", &[])
        .bind(&source, "/m/file", &["bind"])
        .mount("/m/deep", "tmpfs", "second", &[])
        .mount("/m/deep", "tmpfs", "third", &["size=1m"]);
    let lines = bundle.reports(&["facts", ",", "cat", "/m/file"])?;
    let table = MountInfo::table(&lines[0]);
    check!(
        MountInfo::found(&table, "/m/deep")?.super_options.contains(&"size=1024k".to_owned()),
        "{table:?}"
    );
    check_eq!(lines[1]["text"], "on top", "content");
    Ok(())
}

fn destination_through_a_symlink_stays_inside(ctx: &Context) -> Outcome {
    let outside = ctx.dir.join("outside");
    fs::create_dir(&outside)?;
    let target = outside.to_string_lossy().into_owned();
    let source = ctx.dir.join("file");
    fs::write(&source, "inside")?;
    let bundle = Bundle::new(ctx)?
        .symlink("/link", &target)?
        .symlink("/up", "../../../../../tmp")?
        .bind(&source, "/link/file", &["bind"])
        .bind(&source, "/up/file", &["bind"]);
    let lines = bundle.reports(&["cat", "/link/file", ",", "cat", "/tmp/file"])?;
    check_eq!(lines[0]["text"], "inside", "content through an absolute link");
    check_eq!(lines[1]["text"], "inside", "content through a climbing link");
    check_eq!(fs::read_dir(&outside)?.count(), 0, "files outside");
    Ok(())
}

fn tmpcopyup_copies_what_it_covers(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?
        .file("/data/file", "below")?
        .file("/data/deep/file", "deep below")?
        .symlink("/data/link", "file")?
        .mount("/data", "tmpfs", "tmpfs", &["tmpcopyup", "mode=1777"]);
    let lines = bundle.reports(&[
        "cat",
        "/data/file",
        ",",
        "cat",
        "/data/deep/file",
        ",",
        "cat",
        "/data/link",
        ",",
        "put",
        "/data/new",
        "x",
    ])?;
    for (line, text) in lines.iter().zip(["below", "deep below", "below"]) {
        check_eq!(line["text"], text, "{}", line["path"]);
    }
    check_eq!(lines[3]["errno"], json!(0), "errno of a write");
    Ok(())
}

fn read_only_root_cannot_be_written(ctx: &Context) -> Outcome {
    let bundle =
        Bundle::new(ctx)?.set("/root/readonly", json!(true)).mount("/m", "tmpfs", "t", &[]);
    let lines = bundle.reports(&["probe", "/", ",", "probe", "/m", ",", "probe", "/dev/shm"])?;
    check_eq!(lines[0]["write"], json!(30), "errno of a write to /");
    check_eq!(lines[1]["write"], json!(0), "errno of a write to a tmpfs");
    check_eq!(lines[2]["write"], json!(0), "errno of a write to /dev/shm");
    Ok(())
}

fn propagation_of_a_mount_is_set(ctx: &Context) -> Outcome {
    let source = ctx.dir.join("source");
    fs::create_dir(&source)?;
    for (option, prefix) in
        [("rshared", Some("shared:")), ("rprivate", None), ("unbindable", Some("unbindable"))]
    {
        let table = MountInfo::seen(Bundle::new(ctx)?.bind(&source, "/m", &["bind", option]))?;
        let seen = &MountInfo::found(&table, "/m")?.propagation;
        let holds = match prefix {
            Some(prefix) => seen.iter().any(|p| p.starts_with(prefix)),
            None => seen.is_empty(),
        };
        check!(holds, "{option} gives {seen:?}");
    }
    Ok(())
}

fn slave_mount_receives_from_the_host_and_gives_nothing_back(ctx: &Context) -> Outcome {
    use nix::mount::{MntFlags, MsFlags, mount, umount2};
    let none: Option<&str> = None;
    let tree = HostTree::new(ctx)?;
    mount(none, &tree.dir, none, MsFlags::MS_SHARED, none)?;
    let c = Bundle::new(ctx)?
        .set("/linux/rootfsPropagation", json!("rslave"))
        .bind(&tree.dir, "/m", &["rbind", "rslave"])
        .payload(&["sleep", "60000"])
        .container()?;
    c.up()?;
    let late = tree.dir.join("late");
    fs::create_dir(&late)?;
    mount(Some("late"), &late, Some("tmpfs"), MsFlags::empty(), none)?;
    fs::write(late.join("file"), "late")?;
    let seen = c.exec_report(&[], &["cat", "/m/late/file"]);
    umount2(&late, MntFlags::MNT_DETACH)?;
    check_eq!(seen?["text"], "late", "content of a mount made later");
    Ok(())
}

fn rootfs_propagation_is_private_on_request(ctx: &Context) -> Outcome {
    let table =
        MountInfo::seen(Bundle::new(ctx)?.set("/linux/rootfsPropagation", json!("private")))?;
    check!(
        MountInfo::found(&table, "/")?.propagation.is_empty(),
        "{:?}",
        MountInfo::found(&table, "/")?.propagation
    );
    Ok(())
}

fn rootfs_propagation_is_shared_on_request(ctx: &Context) -> Outcome {
    let table =
        MountInfo::seen(Bundle::new(ctx)?.set("/linux/rootfsPropagation", json!("shared")))?;
    let seen = &MountInfo::found(&table, "/")?.propagation;
    check!(seen.iter().any(|p| p.starts_with("shared:")), "{seen:?}");
    Ok(())
}

fn old_root_is_gone(ctx: &Context) -> Outcome {
    let lines = Bundle::new(ctx)?.reports(&["facts", ",", "probe", "/"])?;
    let table = MountInfo::table(&lines[0]);
    let roots = table.iter().filter(|m| m.point == "/").count();
    check_eq!(roots, 1, "mounts at /");
    let wrong: Vec<_> = table.iter().filter(|m| m.root.contains("deleted")).collect();
    check!(wrong.is_empty(), "{wrong:?}");
    Ok(())
}

fn no_pivot_works(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["probe", "/bin/payload"]).container()?;
    let lines = parse_lines(&c.run(&["--no-pivot"])?.ok()?.stdout)?;
    check_eq!(lines[0]["kind"], "file", "kind of /bin/payload");
    Ok(())
}

fn device_nodes_are_made(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?
        .push("/linux/devices", json!({"path": "/dev/a", "type": "c", "major": 1, "minor": 3}))
        .push(
            "/linux/devices",
            json!({
                "path": "/dev/dir/b", "type": "b", "major": 7, "minor": 0, "fileMode": 0o640,
                "uid": 12, "gid": 34,
            }),
        )
        .push("/linux/devices", json!({"path": "/dev/p", "type": "p", "fileMode": 0o600}))
        .push("/linux/devices", json!({"path": "/dev/u", "type": "u", "major": 1, "minor": 5}));
    let found = bundle.report(&["devices"])?;
    let row = |path: &str| {
        let node = &found[path];
        json!([node["type"], node["major"], node["minor"], node["mode"], node["uid"], node["gid"]])
    };
    check_eq!(row("/dev/a"), json!(["c", 1, 3, 0o666, 0, 0]), "/dev/a");
    check_eq!(row("/dev/dir/b"), json!(["b", 7, 0, 0o640, 12, 34]), "/dev/dir/b");
    check_eq!(found["/dev/p"]["type"], "p", "type of /dev/p");
    check_eq!(row("/dev/u"), json!(["c", 1, 5, 0o666, 0, 0]), "/dev/u");
    Ok(())
}

fn default_devices_can_be_used(ctx: &Context) -> Outcome {
    for userns in [false, true] {
        let mut bundle = Bundle::new(ctx)?;
        if userns {
            bundle = bundle.user_namespace()?;
        }
        let lines = bundle.reports(&[
            "probe",
            "/dev/null",
            "/dev/zero",
            "/dev/urandom",
            ",",
            "put",
            "/dev/null",
            "x",
            ",",
            "put",
            "/dev/full",
            "x",
        ])?;
        let counts: Vec<&Value> = lines[..3].iter().map(|l| &l["read"]["count"]).collect();
        check_eq!(counts, [&json!(0), &json!(64), &json!(64)], "bytes read");
        check_eq!(lines[3]["errno"], json!(0), "errno of a write to /dev/null");
        check_eq!(lines[4]["errno"], json!(28), "errno of a write to /dev/full");
    }
    Ok(())
}

fn masked_paths_hide_and_missing_ones_are_ignored(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?
        .file("/secret/file", "hidden")?
        .file("/secret-file", "hidden")?
        .set("/linux/maskedPaths", json!(["/secret", "/secret-file", "/not/there"]));
    let lines = bundle.reports(&["probe", "/secret", "/secret-file", "/not/there"])?;
    check_eq!(lines[0]["read"]["count"], json!(0), "entries of the directory");
    check!(lines[0]["write"] != 0, "the masked directory can be written");
    check_eq!(lines[1]["read"]["count"], json!(0), "bytes of the file");
    check_eq!(lines[2]["missing"], json!(2), "errno of the missing path");
    Ok(())
}

fn readonly_paths_refuse_writes(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?
        .file("/data/file", "text")?
        .set("/linux/readonlyPaths", json!(["/data", "/proc/sys", "/not/there"]));
    let lines = bundle.reports(&["probe", "/data", "/data/file", "/proc/sys/kernel/hostname"])?;
    let errnos: Vec<&Value> = lines.iter().map(|l| &l["write"]).collect();
    check_eq!(errnos, [&json!(30); 3], "errno of writes");
    Ok(())
}

fn readonly_path_may_be_the_root(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?.set("/linux/readonlyPaths", json!(["/"]));
    let line = bundle.report(&["probe", "/etc"])?;
    check_eq!(line["write"], json!(30), "errno of a write below the root");
    Ok(())
}

fn cgroup_mount_shows_the_containers_own_tree(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?.namespace("cgroup", None);
    let lines = bundle.reports(&["facts", ",", "probe", "/sys/fs/cgroup"])?;
    check!(lines[1]["read"]["count"].as_u64() > Some(0), "/sys/fs/cgroup is empty");
    for mount in MountInfo::table(&lines[0]).iter().filter(|m| m.kind.starts_with("cgroup")) {
        check_eq!(mount.root, "/", "root of {}", mount.point);
        check!(mount.has("ro"), "{} is {:?}", mount.point, mount.options);
    }
    Ok(())
}

fn mqueue_and_devpts_are_new(ctx: &Context) -> Outcome {
    let lines = Bundle::new(ctx)?.reports(&["probe", "/dev/pts", "/dev/mqueue", ",", "devices"])?;
    // The only entry of a new devpts is ptmx.
    check_eq!(lines[0]["read"]["count"], json!(1), "entries of /dev/pts");
    check_eq!(lines[1]["read"]["count"], json!(0), "entries of /dev/mqueue");
    let ptmx = &lines[2]["/dev/pts/ptmx"];
    check_eq!([&ptmx["major"], &ptmx["minor"]], [&json!(5), &json!(2)], "/dev/pts/ptmx");
    check_eq!(ptmx["mode"], json!(0o666), "mode of /dev/pts/ptmx");
    Ok(())
}

fn lower_case_type_none_with_bind_is_a_bind(ctx: &Context) -> Outcome {
    let source = ctx.dir.join("file");
    fs::write(&source, "text")?;
    let path = source.to_string_lossy();
    let line =
        Bundle::new(ctx)?.mount("/m", "none", &path, &["bind", "ro"]).report(&["cat", "/m"])?;
    check_eq!(line["text"], "text", "content");
    Ok(())
}

fn overlay_mounts_with_data(ctx: &Context) -> Outcome {
    let base = ctx.dir.join("overlay");
    let layers = base.to_string_lossy();
    use nix::mount::{MntFlags, MsFlags, mount, umount2};
    fs::create_dir(&base)?;
    let none: Option<&str> = None;
    mount(Some("overlay"), &base, Some("tmpfs"), MsFlags::empty(), none)?;
    for dir in ["lower", "upper", "work"] {
        fs::create_dir(base.join(dir))?;
    }
    fs::write(base.join("lower/file"), "lower")?;
    let data = [
        format!("lowerdir={layers}/lower"),
        format!("upperdir={layers}/upper"),
        format!("workdir={layers}/work"),
    ];
    let options: Vec<&str> = data.iter().map(String::as_str).collect();
    let line =
        Bundle::new(ctx)?.mount("/m", "overlay", "overlay", &options).report(&["cat", "/m/file"]);
    umount2(&base, MntFlags::MNT_DETACH)?;
    check_eq!(line?["text"], "lower", "content");
    Ok(())
}
