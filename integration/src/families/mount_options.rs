//! What the words of a mount's options do.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use serde_json::{Value, json};

use crate::bundle::Bundle;
use crate::context::{Context, Kind};
use crate::expect::MountInfo;
use crate::host::{Holder, HostTree};
use crate::outcome::{Outcome, Stop};
use crate::{check, check_eq, family};

family!("mount_options":
    every_flag_is_set_on_a_filesystem_and_taken_back,
    every_flag_is_set_on_a_bind_mount_and_taken_off,
    every_flag_of_a_tree_is_set_and_taken_off,
    access_times_are_what_the_last_word_says,
    nosymfollow_keeps_links_from_being_followed,
    flags_of_a_filesystem_do_not_reach_through_a_bind_mount,
    data_of_a_bind_mount_is_overlooked_with_a_warning,
    words_of_fstab_stay_with_the_runtime,
    word_that_the_filesystem_does_not_know_is_named_by_the_kernel,
    filesystem_that_the_kernel_does_not_have_is_named,
    every_kind_of_propagation_is_set,
    propagation_changes_in_turn_and_for_all_below,
    remount_changes_what_is_mounted,
    bind_remount_changes_one_mount_and_keeps_the_rest,
    locked_flags_are_kept_and_cannot_be_cleared,
    source_that_is_a_link_is_copied_mounted_or_followed,
    destination_that_is_a_link_is_mounted_on_itself,
    copied_link_does_not_replace_another_file,
    options_longer_than_a_page_reach_the_filesystem,
    mount_label_is_given_to_filesystems,
    unknown_type_of_context_is_refused,
    proc_takes_the_files_that_lxcfs_emulates,
    proc_takes_a_procfs_and_no_other_directory,
);

/// A tmpfs of the host with these flags, for as long as the value lives.
struct Mounted(PathBuf);

impl Mounted {
    fn new(ctx: &Context, name: &str, flags: MsFlags) -> Outcome<Self> {
        let dir = ctx.dir.join(name);
        fs::create_dir_all(&dir)?;
        mount(Some(name), &dir, Some("tmpfs"), flags, None::<&str>)?;
        Ok(Self(dir))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // What stays mounted is reported as left behind.
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

/// Flags of a mount: the word that sets one, and the word that takes it off.
const PAIRS: [(&str, &str); 6] = [
    ("ro", "rw"),
    ("nosuid", "suid"),
    ("nodev", "dev"),
    ("noexec", "exec"),
    ("nosymfollow", "symfollow"),
    ("nodiratime", "diratime"),
];

fn every_flag_is_set_on_a_filesystem_and_taken_back(ctx: &Context) -> Outcome {
    let of_filesystem = [("sync", "async"), ("lazytime", "nolazytime"), ("dirsync", "")];
    for (on, off) in PAIRS.into_iter().chain(of_filesystem) {
        let table = MountInfo::seen(Bundle::new(ctx)?.mount("/m", "tmpfs", "tmpfs", &[on]))?;
        let there = MountInfo::found(&table, "/m")?;
        check!(there.has_anywhere(on), "{on}: {there:?}");
        if !off.is_empty() {
            let bundle = Bundle::new(ctx)?.mount("/m", "tmpfs", "tmpfs", &[on, off]);
            let table = MountInfo::seen(bundle)?;
            let there = MountInfo::found(&table, "/m")?;
            check!(!there.has_anywhere(on), "{on},{off}: {there:?}");
        }
    }
    // These show nowhere: the kernel must take them all the same.
    let words = ["iversion", "noiversion", "silent", "loud", "mand", "nomand", "defaults"];
    MountInfo::seen(Bundle::new(ctx)?.mount("/m", "tmpfs", "tmpfs", &words)).map(drop)
}

fn every_flag_is_set_on_a_bind_mount_and_taken_off(ctx: &Context) -> Outcome {
    let without = Mounted::new(ctx, "without", MsFlags::empty())?;
    let flags = MsFlags::MS_RDONLY
        | MsFlags::MS_NOSUID
        | MsFlags::MS_NODEV
        | MsFlags::MS_NOEXEC
        | MsFlags::from_bits_retain(libc::MS_NOSYMFOLLOW)
        | MsFlags::MS_NODIRATIME;
    let with = Mounted::new(ctx, "with", flags)?;
    // A filesystem that is read-only itself cannot become writable by its mounts.
    let writable = MsFlags::MS_REMOUNT | (flags - MsFlags::MS_RDONLY);
    mount(None::<&str>, &with.0, None::<&str>, writable, None::<&str>)?;
    let only_mount = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | flags;
    mount(None::<&str>, &with.0, None::<&str>, only_mount, None::<&str>)?;
    for (on, off) in PAIRS {
        for (source, option, expected) in
            [(&without, on, true), (&with, off, false), (&with, "bind", true)]
        {
            let table =
                MountInfo::seen(Bundle::new(ctx)?.bind(&source.0, "/m", &["bind", option]))?;
            let there = MountInfo::found(&table, "/m")?;
            check!(there.has(on) == expected, "{option}, {on} is to be {expected}: {there:?}");
        }
    }
    Ok(())
}

fn every_flag_of_a_tree_is_set_and_taken_off(ctx: &Context) -> Outcome {
    let tree = HostTree::new(ctx)?;
    for (on, off) in PAIRS {
        let (set, cleared) = (format!("r{on}"), format!("r{off}"));
        let same = format!("{on}=recursive");
        let options: [(&[&str], bool); 3] = [
            (&["rbind", &set], true),
            (&["rbind", &same], true),
            (&["rbind", &set, &cleared], false),
        ];
        for (options, expected) in options {
            if options.contains(&same.as_str()) && ctx.kind != Kind::Tare {
                continue;
            }
            let table = MountInfo::seen(Bundle::new(ctx)?.bind(&tree.dir, "/m", options))?;
            for point in ["/m", "/m/below"] {
                let there = MountInfo::found(&table, point)?;
                check!(there.has(on) == expected, "{options:?} at {point}: {there:?}");
            }
        }
    }
    Ok(())
}

fn access_times_are_what_the_last_word_says(ctx: &Context) -> Outcome {
    let tree = HostTree::new(ctx)?;
    let shown = |there: &MountInfo| {
        let words = ["noatime", "relatime"].into_iter().filter(|word| there.has(word));
        words.collect::<Vec<_>>().join(",")
    };
    for (options, expected) in [
        (["noatime", "relatime"], "relatime"),
        (["relatime", "noatime"], "noatime"),
        (["noatime", "strictatime"], ""),
        (["strictatime", "noatime"], "noatime"),
        (["noatime", "atime"], "relatime"),
        (["strictatime", "nostrictatime"], "relatime"),
        (["noatime", "norelatime"], "noatime"),
    ] {
        let bundle = Bundle::new(ctx)?.mount("/fs", "tmpfs", "tmpfs", &options).bind(
            &tree.dir,
            "/bind",
            &["bind", options[0], options[1]],
        );
        let tree_wide = options.map(|word| format!("r{word}"));
        let bundle = bundle.bind(&tree.dir, "/tree", &["rbind", &tree_wide[0], &tree_wide[1]]);
        let table = MountInfo::seen(bundle)?;
        for point in ["/fs", "/bind"] {
            let there = MountInfo::found(&table, point)?;
            check_eq!(shown(there), expected, "{options:?} at {point}");
        }
        if options[1] != "norelatime" {
            for point in ["/tree", "/tree/below"] {
                let there = MountInfo::found(&table, point)?;
                check_eq!(shown(there), expected, "{tree_wide:?} at {point}");
            }
        }
    }
    Ok(())
}

fn nosymfollow_keeps_links_from_being_followed(ctx: &Context) -> Outcome {
    let tree = HostTree::new(ctx)?;
    fs::write(tree.dir.join("file"), "text")?;
    symlink("file", tree.dir.join("link"))?;
    let bundle = Bundle::new(ctx)?.bind(&tree.dir, "/m", &["bind", "nosymfollow"]).bind(
        &tree.dir,
        "/n",
        &["bind", "nosymfollow", "symfollow"],
    );
    let lines = bundle.reports(&["cat", "/m/link", ",", "cat", "/n/link"])?;
    check_eq!(lines[0]["errno"], json!(libc::ELOOP), "errno of following a link");
    check_eq!(lines[1]["text"], "text", "content behind the link");
    Ok(())
}

fn flags_of_a_filesystem_do_not_reach_through_a_bind_mount(ctx: &Context) -> Outcome {
    let tree = HostTree::new(ctx)?;
    let options = ["bind", "sync", "dirsync", "lazytime", "iversion", "mand", "silent", "ro"];
    let table = MountInfo::seen(Bundle::new(ctx)?.bind(&tree.dir, "/m", &options))?;
    let there = MountInfo::found(&table, "/m")?;
    check!(there.has("ro"), "{there:?}");
    let host = fs::read_to_string("/proc/self/mountinfo")?;
    let own = tree.dir.to_string_lossy();
    let line = host.lines().find(|line| line.split(' ').nth(4) == Some(&own)).unwrap_or_default();
    for word in ["sync", "lazytime", " ro,"] {
        check!(!line.contains(word), "{word} has reached the host: {line}");
    }
    Ok(())
}

/// As the conformance tests of the OCI write their bind mounts.
fn data_of_a_bind_mount_is_overlooked_with_a_warning(ctx: &Context) -> Outcome {
    let tree = HostTree::new(ctx)?;
    let options = ["bind", "nosuid", "mode=755", "size=1k"];
    let c =
        Bundle::new(ctx)?.bind(&tree.dir, "/m", &options).payload(&["probe", "/m"]).container()?;
    let done = c.run(&[])?.ok()?;
    check_eq!(crate::bundle::parse_lines(&done.stdout)?[0]["mode"], json!(0o1777), "mode");
    if ctx.kind == Kind::Tare {
        done.says(&["mode=755,size=1k has no effect"])?;
    }
    Ok(())
}

fn words_of_fstab_stay_with_the_runtime(ctx: &Context) -> Outcome {
    let words =
        ["auto", "noauto", "nofail", "_netdev", "nouser", "comment=a", "x-a.b=c", "X-mount.mkdir"];
    let more = [&words[..], &["user", "exec", "size=1m"]].concat();
    let table = MountInfo::seen(Bundle::new(ctx)?.mount("/m", "tmpfs", "tmpfs", &more))?;
    let there = MountInfo::found(&table, "/m")?;
    check!(there.has("nosuid") && there.has("nodev") && !there.has("noexec"), "{there:?}");
    check!(there.has_anywhere("size=1024k"), "{there:?}");
    Ok(())
}

fn word_that_the_filesystem_does_not_know_is_named_by_the_kernel(ctx: &Context) -> Outcome {
    for (kind, options, phrase) in [
        ("tmpfs", &["nosuid", "size=1m", "fluffy"][..], "tmpfs: Unknown parameter 'fluffy'"),
        ("tmpfs", &["size=big"], "tmpfs: Bad value for 'size'"),
        ("overlay", &["lowerdir=/not/there"], "invalid"),
    ] {
        let c = Bundle::new(ctx)?.mount("/m", kind, kind, options).container()?;
        let done = c.run(&[])?.exits(1)?;
        let done = done.says(&["error mounting", "/m", "mount: "])?;
        if kind == "tmpfs" {
            done.says(&[phrase])?.says(&["invalid argument"])?.says(&["/mounts/7"])?;
        }
    }
    Ok(())
}

fn filesystem_that_the_kernel_does_not_have_is_named(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.mount("/m", "fluffyfs", "none", &[]).container()?;
    c.run(&[])?.exits(1)?.says(&["no such device"])?.says(&["fluffyfs"]).map(drop)
}

/// Whether the fields of the table tell of this kind.
fn is_of_kind(there: &MountInfo, kind: &str) -> bool {
    let has = |prefix: &str| there.propagation.iter().any(|field| field.starts_with(prefix));
    match kind {
        "shared" => has("shared:"),
        "slave" => has("master:") && !has("shared:"),
        "unbindable" => has("unbindable"),
        _ => there.propagation.is_empty(),
    }
}

fn every_kind_of_propagation_is_set(ctx: &Context) -> Outcome {
    let tree = HostTree::new(ctx)?;
    for point in [tree.dir.clone(), tree.dir.join("below")] {
        mount(None::<&str>, &point, None::<&str>, MsFlags::MS_SHARED, None::<&str>)?;
    }
    for kind in ["private", "shared", "slave", "unbindable"] {
        let recursive = format!("r{kind}");
        let bundle = Bundle::new(ctx)?
            .set("/linux/rootfsPropagation", json!("shared"))
            .mount("/fs", "tmpfs", "tmpfs", &[kind])
            .bind(&tree.dir, "/one", &["rbind", kind])
            .bind(&tree.dir, "/all", &["rbind", &recursive]);
        let table = MountInfo::seen(bundle)?;
        for point in ["/one", "/all", "/all/below"] {
            let there = MountInfo::found(&table, point)?;
            check!(is_of_kind(there, kind), "{kind} at {point}: {there:?}");
        }
        let below = MountInfo::found(&table, "/one/below")?;
        check!(kind == "shared" || is_of_kind(below, "shared"), "{kind} went too far: {below:?}");
        // A new filesystem has no peers, so nothing that it could be a slave of.
        let there = MountInfo::found(&table, "/fs")?;
        check!(kind == "slave" || is_of_kind(there, kind), "{kind} of a filesystem: {there:?}");
    }
    Ok(())
}

fn propagation_changes_in_turn_and_for_all_below(ctx: &Context) -> Outcome {
    let tree = HostTree::new(ctx)?;
    mount(None::<&str>, &tree.dir, None::<&str>, MsFlags::MS_SHARED, None::<&str>)?;
    let bundle = Bundle::new(ctx)?
        .set("/linux/rootfsPropagation", json!("shared"))
        .bind(&tree.dir, "/m", &["rbind", "rslave", "shared"])
        .bind(&tree.dir, "/n", &["rbind", "shared", "rprivate"]);
    let table = MountInfo::seen(bundle)?;
    let there = MountInfo::found(&table, "/m")?;
    let has = |prefix: &str| there.propagation.iter().any(|field| field.starts_with(prefix));
    check!(has("shared:") && has("master:"), "a slave that is shared again: {there:?}");
    let below = MountInfo::found(&table, "/m/below")?;
    check!(!below.propagation.iter().any(|field| field.starts_with("shared:")), "{below:?}");
    for point in ["/n", "/n/below"] {
        let there = MountInfo::found(&table, point)?;
        check!(is_of_kind(there, "private"), "{point}: {there:?}");
    }
    Ok(())
}

fn remount_changes_what_is_mounted(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?.mount("/m", "tmpfs", "tmpfs", &["size=1m", "nosuid"]).mount(
        "/m",
        "tmpfs",
        "tmpfs",
        &["remount", "ro", "size=2m"],
    );
    let table = MountInfo::seen(bundle)?;
    let there = MountInfo::found(&table, "/m")?;
    check!(there.has("ro") && there.has_anywhere("size=2048k"), "{there:?}");
    check_eq!(table.iter().filter(|one| one.point == "/m").count(), 1, "mounts at /m");
    Ok(())
}

fn bind_remount_changes_one_mount_and_keeps_the_rest(ctx: &Context) -> Outcome {
    let tree = HostTree::new(ctx)?;
    let source = tree.dir.to_string_lossy().into_owned();
    let bundle = Bundle::new(ctx)?.bind(&tree.dir, "/m", &["rbind", "nosuid"]).mount(
        "/m",
        "none",
        &source,
        &["bind", "remount", "ro", "noexec"],
    );
    let table = MountInfo::seen(bundle)?;
    let there = MountInfo::found(&table, "/m")?;
    check!(there.has("ro") && there.has("noexec"), "{there:?}");
    check!(!there.super_options.contains(&"ro".to_owned()), "the filesystem too: {there:?}");
    check_eq!(table.iter().filter(|one| one.point == "/m").count(), 1, "mounts at /m");
    if ctx.kind == Kind::Tare {
        check!(there.has("nodev") && there.has("nosuid"), "flags that were there: {there:?}");
    }
    Ok(())
}

/// The container's mount namespace belongs to a user namespace that is not the host's: what the
/// mounts copied from the host have is locked there.
fn locked_flags_are_kept_and_cannot_be_cleared(ctx: &Context) -> Outcome {
    let flags = MsFlags::MS_NODEV | MsFlags::MS_NOSUID | MsFlags::MS_NOATIME;
    let source = Mounted::new(ctx, "locked", flags)?;
    let bundle = |option: &str| -> Outcome<Bundle<'_>> {
        Ok(Bundle::new(ctx)?.bind(&source.0, "/m", &["bind", option]))
    };
    for option in ["ro", "nodev", "noexec"] {
        let bundle = bundle(option)?;
        let holder = Holder::new(ctx, &["user", "mount"])?;
        let table = MountInfo::seen(bundle.namespace("mount", Some(&holder.path("mount"))))?;
        let there = MountInfo::found(&table, "/m")?;
        for flag in [option, "nodev", "nosuid", "noatime"] {
            check!(there.has(flag), "{option} leaves no {flag}: {there:?}");
        }
    }
    for (option, phrase) in [
        ("dev", "cannot clear locked flags nodev"),
        ("suid", "cannot clear locked flags nosuid"),
        ("strictatime", "cannot clear locked flags noatime"),
    ] {
        let bundle = bundle(option)?;
        let holder = Holder::new(ctx, &["user", "mount"])?;
        let c = bundle.namespace("mount", Some(&holder.path("mount"))).container()?;
        c.run(&[])?.exits(1)?.says(&[phrase])?;
    }
    Ok(())
}

fn source_that_is_a_link_is_copied_mounted_or_followed(ctx: &Context) -> Outcome {
    let file = ctx.dir.join("file");
    fs::write(&file, "of the host")?;
    let link = ctx.dir.join("link");
    symlink(&file, &link)?;
    let bundle = Bundle::new(ctx)?
        .bind(&link, "/etc/followed", &["bind"])
        .bind(&link, "/etc/copied", &["bind", "copy-symlink"])
        .bind(&link, "/etc/mounted", &["bind", "src-nofollow"])
        .bind(&file, "/etc/plain", &["bind", "copy-symlink"])
        .args(&[
            "/bin/busybox",
            "sh",
            "-c",
            "for f in followed copied mounted plain; do \
             busybox readlink /etc/$f || cat /etc/$f; echo; done; grep -c /etc/copied /proc/mounts",
        ]);
    let said = bundle.container()?.run(&[])?.stdout;
    let to = file.to_string_lossy();
    let lines: Vec<&str> = said.lines().filter(|line| !line.is_empty()).collect();
    check_eq!(lines, ["of the host", &to, &to, "of the host", "0"], "what is there");
    Ok(())
}

fn destination_that_is_a_link_is_mounted_on_itself(ctx: &Context) -> Outcome {
    let file = ctx.dir.join("file");
    fs::write(&file, "of the host")?;
    let bundle = Bundle::new(ctx)?
        .file("/etc/target", "below")?
        .symlink("/etc/link", "target")?
        .bind(&file, "/etc/link", &["bind", "dest-nofollow"]);
    let lines = bundle.reports(&["cat", "/etc/link", ",", "cat", "/etc/target"])?;
    check_eq!(lines[0]["text"], "of the host", "content of what was the link");
    check_eq!(lines[1]["text"], "below", "content of what the link led to");
    Ok(())
}

fn copied_link_does_not_replace_another_file(ctx: &Context) -> Outcome {
    let link = ctx.dir.join("link");
    symlink("/etc/target", &link)?;
    let bundle = || Bundle::new(ctx)?.file("/etc/target", "the same");
    let same = bundle()?.symlink("/etc/link", "/etc/target")?;
    let line =
        same.bind(&link, "/etc/link", &["bind", "copy-symlink"]).report(&["cat", "/etc/link"])?;
    check_eq!(line["text"], "the same", "content behind a link that was there");
    let c = bundle()?
        .file("/etc/link", "a file")?
        .bind(&link, "/etc/link", &["bind", "copy-symlink"])
        .container()?;
    c.run(&[])?.exits(1)?.says(&["/etc/link", "symbolic link"]).map(drop)
}

/// mount(2) takes a page: an overlay of many layers has longer options.
fn options_longer_than_a_page_reach_the_filesystem(ctx: &Context) -> Outcome {
    let layers = Mounted::new(ctx, "layers", MsFlags::empty())?;
    let long = "a-layer-with-a-rather-long-name".repeat(3);
    let mut lower = Vec::new();
    for index in 0..60 {
        let dir = layers.0.join(format!("{long}{index}"));
        fs::create_dir(&dir)?;
        fs::write(dir.join(format!("file{index}")), index.to_string())?;
        lower.push(dir.to_string_lossy().into_owned());
    }
    let [upper, work] = ["upper", "work"].map(|name| layers.0.join(name));
    fs::create_dir(&upper)?;
    fs::create_dir(&work)?;
    let options = [
        format!("lowerdir={}", lower.join(":")),
        format!("upperdir={}", upper.display()),
        format!("workdir={}", work.display()),
        "nosuid".to_owned(),
    ];
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let bundle = Bundle::new(ctx)?.mount("/m", "overlay", "overlay", &options);
    let lines = bundle.reports(&[
        "cat",
        "/m/file0",
        ",",
        "cat",
        "/m/file59",
        ",",
        "put",
        "/m/new",
        "x",
        ",",
        "facts",
    ])?;
    check_eq!([&lines[0]["text"], &lines[1]["text"]], ["0", "59"], "files of first and last layer");
    check_eq!(lines[2]["errno"], json!(0), "errno of a write");
    let table = MountInfo::table(&lines[3]);
    check!(MountInfo::found(&table, "/m")?.has("nosuid"), "{table:?}");
    check!(upper.join("new").exists(), "nothing in the upper layer");
    Ok(())
}

fn has_selinux() -> bool {
    Path::new("/sys/fs/selinux/enforce").exists()
}

fn mount_label_is_given_to_filesystems(ctx: &Context) -> Outcome {
    if has_selinux() {
        return Err(Stop::skip("this kernel has SELinux, and the test does not know its policy"));
    }
    let label = "system_u:object_r:svirt_sandbox_file_t:s0:c1,c2";
    for context in ["context", "fscontext", "defcontext", "rootcontext"] {
        let mut bundle = Bundle::new(ctx)?.set("/linux/mountLabel", json!(label));
        if context != "context" {
            bundle = bundle.set("/annotations", json!({"run.oci.mount_context_type": context}));
        }
        let c = bundle.container()?;
        let done = c.run(&[])?.exits(1)?;
        let done = done.says(&["invalid argument"])?;
        if ctx.kind == Kind::Tare {
            done.says(&[&format!("Unknown parameter '{context}'")])?.says(&["SELinux"])?;
        }
    }
    Ok(())
}

fn unknown_type_of_context_is_refused(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?
        .set("/linux/mountLabel", json!("a:b:c"))
        .set("/annotations", json!({"run.oci.mount_context_type": "subcontext"}))
        .container()?;
    c.run(&[])?.exits(1)?.says(&["invalid mount context type"])?.says(&["subcontext"]).map(drop)
}

fn proc_takes_the_files_that_lxcfs_emulates(ctx: &Context) -> Outcome {
    let file = ctx.dir.join("emulated");
    fs::write(&file, "emulated")?;
    let names = [
        "cpuinfo",
        "diskstats",
        "meminfo",
        "stat",
        "swaps",
        "uptime",
        "loadavg",
        "slabinfo",
        "sys/kernel/ns_last_pid",
        "sys/crypto/fips_enabled",
    ];
    let mut bundle = Bundle::new(ctx)?;
    let mut commands = vec!["true".to_owned()];
    let there = names.iter().filter(|name| Path::new("/proc").join(name).exists());
    let paths: Vec<String> = there.map(|name| format!("/proc/{name}")).collect();
    check!(paths.len() >= 7, "this kernel has only {paths:?}");
    for path in &paths {
        bundle = bundle.bind(&file, path, &["bind", "ro"]);
        commands.extend([",".to_owned(), "cat".to_owned(), path.clone()]);
    }
    let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
    for line in bundle.reports(&commands)? {
        check_eq!(line["text"], "emulated", "content of {}", line["path"]);
    }
    Ok(())
}

fn proc_takes_a_procfs_and_no_other_directory(ctx: &Context) -> Outcome {
    let without_proc = |bundle: Bundle<'_>| -> Vec<Value> {
        let mounts = bundle.config["mounts"].as_array().cloned().unwrap_or_default();
        mounts.into_iter().filter(|mount| mount["destination"] != "/proc").collect()
    };
    let kept = without_proc(Bundle::new(ctx)?);
    let bundle = |source: &Path| -> Outcome<Bundle<'_>> {
        Ok(Bundle::new(ctx)?.set("/mounts", json!(kept)).without_namespace("pid").bind(
            source,
            "/proc",
            &["rbind"],
        ))
    };
    let table = MountInfo::seen(bundle(Path::new("/proc"))?)?;
    check_eq!(MountInfo::found(&table, "/proc")?.kind, "proc", "type");
    let other = ctx.dir.join("proc");
    fs::create_dir(&other)?;
    let c = bundle(&other)?.container()?;
    c.run(&[])?.exits(1)?.says(&["cannot be mounted because it is not of type proc"]).map(drop)
}
