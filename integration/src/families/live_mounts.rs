//! Mounts that are added to a container that is there, and removed from it.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::bundle::{Bundle, give_file};
use crate::container::Container;
use crate::context::{Context, Kind};
use crate::outcome::{Outcome, Stop};
use crate::process::Done;
use crate::{check, check_eq, family};

family!("live_mounts":
    bind_mount_is_seen_by_the_container_alone,
    read_only_bind_mount_cannot_be_written,
    filesystem_has_its_options,
    list_comes_from_a_file_or_standard_input,
    mount_by_options_is_relative_to_where_it_was_typed,
    mount_is_removed_with_what_is_below_it,
    mount_of_the_configuration_is_removed,
    last_of_two_at_one_place_is_removed_first,
    file_is_mounted_on_a_file,
    created_and_paused_containers_take_mounts,
    container_in_a_user_namespace_takes_mounts,
    ids_of_a_mount_are_mapped,
    tree_comes_with_what_is_mounted_below_it,
    several_are_mounted_or_none,
    configuration_that_is_kept_has_what_is_mounted,
    destination_through_a_link_stays_inside,
    destination_that_is_exchanged_for_a_link_stays_inside,
    mount_that_a_link_leads_to_is_not_removed,
    processes_of_the_container_see_nothing_of_the_host,
    container_without_proc_takes_mounts,
    mounts_that_cannot_be_are_refused,
    containers_that_take_none_are_told_of,
    container_without_a_mount_namespace_takes_none,
    wrong_arguments_are_refused,
);

/// A container that runs, to mount in.
fn running(bundle: Bundle<'_>) -> Outcome<Container<'_>> {
    let c = bundle.payload(&["sleep", "60000"]).container()?;
    c.up()?;
    Ok(c)
}

fn has_command(ctx: &Context) -> Outcome {
    match ctx.kind {
        Kind::Tare => Ok(()),
        Kind::Runc => Err(Stop::skip("runc has no such command")),
        Kind::Crun if ctx.done(&["mounts", "--help"])?.code == 0 => Ok(()),
        Kind::Crun => Err(Stop::skip("crun 1.8 has no such command")),
        Kind::Youki => Err(Stop::skip("youki has no such command")),
    }
}

fn tare_only(ctx: &Context) -> Outcome {
    if ctx.kind == Kind::Tare {
        return Ok(());
    }
    Err(Stop::skip("crun leaves it to its caller"))
}

/// `mounts add` or `mounts remove` with this list.
fn change(ctx: &Context, c: &Container<'_>, action: &str, list: &Value) -> Outcome<Done> {
    has_command(ctx)?;
    let file = ctx.dir.join(format!("mounts{}.json", ctx.number()));
    fs::write(&file, list.to_string())?;
    ctx.done(&["mounts", action, &c.id, &file.to_string_lossy()])
}

fn bind(source: &Path, destination: &str, options: &[&str]) -> Value {
    let options = [&["bind"], options].concat();
    json!({"destination": destination, "type": "bind", "source": source, "options": options})
}

fn tmpfs(destination: &str) -> Value {
    json!({"destination": destination, "type": "tmpfs", "source": "tmpfs"})
}

/// A directory of the host with a file in it.
fn source(ctx: &Context) -> Outcome<std::path::PathBuf> {
    let dir = ctx.dir.join(format!("source{}", ctx.number()));
    fs::create_dir(&dir)?;
    fs::write(dir.join("file"), "of the host")?;
    Ok(dir)
}

/// What the container's /bin/cat says of a file.
fn cat(c: &Container<'_>, path: &str) -> Outcome<Done> {
    c.exec(&[], &["/bin/cat", path])
}

fn has(c: &Container<'_>, path: &str, text: &str) -> Outcome {
    check_eq!(cat(c, path)?.ok()?.stdout, text, "{path}");
    Ok(())
}

fn mounted_on_host(ctx: &Context) -> Outcome<Vec<String>> {
    let table = fs::read_to_string("/proc/self/mountinfo")?;
    let points = table.lines().filter_map(|line| line.split(' ').nth(4));
    let dir = ctx.dir.to_string_lossy().into_owned();
    Ok(points.filter(|point| point.starts_with(&dir)).map(str::to_owned).collect())
}

/// The mount points of a container, as its first process sees them.
fn points(c: &Container<'_>) -> Outcome<Vec<String>> {
    let table = fs::read_to_string(format!("/proc/{}/mountinfo", c.pid()?))?;
    Ok(table.lines().filter_map(|line| line.split(' ').nth(4)).map(str::to_owned).collect())
}

fn bind_mount_is_seen_by_the_container_alone(ctx: &Context) -> Outcome {
    let (c, source) = (running(Bundle::new(ctx)?)?, source(ctx)?);
    change(ctx, &c, "add", &json!([bind(&source, "/data/deep", &[])]))?.ok()?;
    has(&c, "/data/deep/file", "of the host")?;
    c.exec(&[], &["/bin/sh", "-c", "echo -n inside >/data/deep/new"])?.ok()?;
    check_eq!(fs::read_to_string(source.join("new"))?, "inside", "the same directory");
    check_eq!(mounted_on_host(ctx)?, [""; 0], "mounts of the host");
    Ok(())
}

fn read_only_bind_mount_cannot_be_written(ctx: &Context) -> Outcome {
    let (c, source) = (running(Bundle::new(ctx)?)?, source(ctx)?);
    let options = ["ro", "nosuid", "noexec"];
    change(ctx, &c, "add", &json!([bind(&source, "/data", &options)]))?.ok()?;
    let done = c.exec(&[], &["/bin/sh", "-c", "echo >/data/file"])?;
    check!(done.code != 0 && done.stderr.contains("Read-only"), "{done:?}");
    let table = fs::read_to_string(format!("/proc/{}/mountinfo", c.pid()?))?;
    let line = table.lines().find(|line| line.contains(" /data ")).unwrap_or_default();
    let flags = line.split(' ').nth(5).unwrap_or_default();
    for option in options {
        check!(flags.split(',').any(|flag| flag == option), "{option} is not in {flags}");
    }
    Ok(())
}

fn filesystem_has_its_options(ctx: &Context) -> Outcome {
    let c = running(Bundle::new(ctx)?)?;
    let mut mount = tmpfs("/scratch");
    mount["options"] = json!(["nosuid", "nodev", "size=128k", "mode=750"]);
    change(ctx, &c, "add", &json!([mount]))?.ok()?;
    let table = fs::read_to_string(format!("/proc/{}/mountinfo", c.pid()?))?;
    let line = table.lines().find(|line| line.contains(" /scratch ")).unwrap_or_default();
    for option in ["nosuid", "nodev", "size=128k", "mode=750"] {
        check!(line.contains(option), "{option} is not in {line}");
    }
    Ok(())
}

fn list_comes_from_a_file_or_standard_input(ctx: &Context) -> Outcome {
    tare_only(ctx)?;
    let c = running(Bundle::new(ctx)?)?;
    let file = ctx.dir.join("list");
    for (index, name) in ["-", &*file.to_string_lossy()].iter().enumerate() {
        let place = format!("/place{index}");
        fs::write(&file, json!([tmpfs(&place)]).to_string())?;
        let run = ctx.cmd(&["mounts", "add", &c.id, name])?;
        run.stdin(fs::File::open(&file)?).ok()?;
        check!(points(&c)?.contains(&place), "{place} is not mounted");
    }
    Ok(())
}

fn mount_by_options_is_relative_to_where_it_was_typed(ctx: &Context) -> Outcome {
    tare_only(ctx)?;
    let (c, source) = (running(Bundle::new(ctx)?)?, source(ctx)?);
    let name = source.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let what = ["--type", "bind", "--source", &name, "--destination", "/data", "-o", "ro,nodev"];
    let args = [&["mounts", "add"], &what[..], &[&c.id]].concat();
    ctx.cmd(&args)?.cwd(&ctx.dir).ok()?;
    has(&c, "/data/file", "of the host")?;
    ctx.ok(&["mounts", "remove", &c.id, "--destination", "/data"])?;
    check!(!points(&c)?.contains(&"/data".to_owned()), "it is still mounted");
    Ok(())
}

fn mount_is_removed_with_what_is_below_it(ctx: &Context) -> Outcome {
    let c = running(Bundle::new(ctx)?)?;
    change(ctx, &c, "add", &json!([tmpfs("/a"), tmpfs("/a/b"), tmpfs("/c")]))?.ok()?;
    change(ctx, &c, "remove", &json!([{"destination": "/a"}]))?.ok()?;
    let left: Vec<String> = points(&c)?;
    check!(!left.iter().any(|point| point.starts_with("/a")), "still mounted: {left:?}");
    check!(left.contains(&"/c".to_owned()), "/c is gone");
    Ok(())
}

fn mount_of_the_configuration_is_removed(ctx: &Context) -> Outcome {
    let source = source(ctx)?;
    let c = running(Bundle::new(ctx)?.bind(&source, "/data", &["bind"]))?;
    has(&c, "/data/file", "of the host")?;
    change(ctx, &c, "remove", &json!([{"destination": "/data"}]))?.ok()?;
    check!(cat(&c, "/data/file")?.code != 0, "it is still there");
    Ok(())
}

fn last_of_two_at_one_place_is_removed_first(ctx: &Context) -> Outcome {
    let (c, one, two) = (running(Bundle::new(ctx)?)?, source(ctx)?, source(ctx)?);
    fs::write(two.join("file"), "second")?;
    for source in [&one, &two] {
        change(ctx, &c, "add", &json!([bind(source, "/data", &[])]))?.ok()?;
    }
    has(&c, "/data/file", "second")?;
    change(ctx, &c, "remove", &json!([{"destination": "data/."}]))?.ok()?;
    has(&c, "/data/file", "of the host")
}

fn file_is_mounted_on_a_file(ctx: &Context) -> Outcome {
    let (c, source) = (running(Bundle::new(ctx)?)?, source(ctx)?);
    let file = source.join("file");
    let list = json!([bind(&file, "/etc/passwd", &["ro"]), bind(&file, "/etc/new/file", &[])]);
    change(ctx, &c, "add", &list)?.ok()?;
    has(&c, "/etc/passwd", "of the host")?;
    has(&c, "/etc/new/file", "of the host")?;
    change(ctx, &c, "remove", &json!([{"destination": "/etc/passwd"}]))?.ok()?;
    check!(cat(&c, "/etc/passwd")?.ok()?.stdout.starts_with("root:"), "the own file is not back");
    Ok(())
}

fn created_and_paused_containers_take_mounts(ctx: &Context) -> Outcome {
    let (source, bundle) = (source(ctx)?, Bundle::new(ctx)?);
    let c = bundle.payload(&["cat", "/data/file", ",", "sleep", "60000"]).container()?;
    c.create()?;
    change(ctx, &c, "add", &json!([bind(&source, "/data", &[])]))?.ok()?;
    c.has_status("created")?;
    c.start()?;
    c.prints("of the host")?;
    c.verb("pause")?.ok()?;
    change(ctx, &c, "add", &json!([tmpfs("/paused")]))?.ok()?;
    c.has_status("paused")?;
    check!(points(&c)?.contains(&"/paused".to_owned()), "not mounted");
    c.verb("resume")?.ok().map(drop)
}

fn container_in_a_user_namespace_takes_mounts(ctx: &Context) -> Outcome {
    let source = source(ctx)?;
    // Only root of the host may look into it.
    let closed = ctx.dir.join("closed");
    fs::create_dir(&closed)?;
    fs::set_permissions(&closed, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    fs::rename(&source, closed.join("source"))?;
    let c = running(Bundle::new(ctx)?.user_namespace()?)?;
    let list = json!([bind(&closed.join("source"), "/data", &["ro"]), tmpfs("/scratch")]);
    change(ctx, &c, "add", &list)?.ok()?;
    has(&c, "/data/file", "of the host")?;
    let script = "echo mine >/scratch/file && cat /scratch/file";
    check_eq!(c.exec(&[], &["/bin/sh", "-c", script])?.ok()?.stdout, "mine\n", "its own");
    let owner = fs::metadata(format!("/proc/{}/root/scratch/file", c.pid()?))?.uid();
    check_eq!(owner, 100_000, "owner of what the container made");
    change(ctx, &c, "remove", &json!([{"destination": "/scratch"}]))?.ok().map(drop)
}

fn ids_of_a_mount_are_mapped(ctx: &Context) -> Outcome {
    let source = source(ctx)?;
    give_file(&source.join("file"), 0)?;
    let c = running(Bundle::new(ctx)?.user_namespace()?)?;
    let done = change(ctx, &c, "add", &json!([bind(&source, "/data", &["idmap"])]))?;
    if done.stderr.contains("does not support id-mapped") {
        return Err(Stop::skip("this file system cannot be mapped"));
    }
    done.ok()?;
    let facts = c.exec_report(&[], &["probe", "/data/file"])?;
    check_eq!(facts["uid"], 0, "owner inside: {facts}");
    Ok(())
}

fn tree_comes_with_what_is_mounted_below_it(ctx: &Context) -> Outcome {
    let tree = crate::host::HostTree::new(ctx)?;
    let c = running(Bundle::new(ctx)?)?;
    let list = json!([
        bind(&tree.dir, "/flat", &[]),
        {"destination": "/deep", "type": "bind", "source": tree.dir, "options": ["rbind"]},
    ]);
    change(ctx, &c, "add", &list)?.ok()?;
    has(&c, "/deep/below/file", "below")?;
    check!(cat(&c, "/flat/below/file")?.code != 0, "bind took along what is below");
    Ok(())
}

fn several_are_mounted_or_none(ctx: &Context) -> Outcome {
    tare_only(ctx)?;
    let c = running(Bundle::new(ctx)?)?;
    let before = points(&c)?;
    let list = json!([tmpfs("/a"), tmpfs("/b"), bind("/not/there".as_ref(), "/c", &[])]);
    let done = change(ctx, &c, "add", &list)?.exits(1)?.in_one_line()?;
    done.says(&["/not/there: no such file or directory"])?;
    check_eq!(points(&c)?, before, "mounts after a failure");
    Ok(())
}

fn configuration_that_is_kept_has_what_is_mounted(ctx: &Context) -> Outcome {
    tare_only(ctx)?;
    let c = running(Bundle::new(ctx)?)?;
    let listed = || -> Outcome<Vec<String>> {
        let config = fs::read(ctx.root().join(&c.id).join("config.json"))?;
        let config: Value = serde_json::from_slice(&config)?;
        let mounts = config["mounts"].as_array().cloned().unwrap_or_default();
        let places = mounts.iter().map(|mount| mount["destination"].as_str().map(str::to_owned));
        Ok(places.flatten().collect())
    };
    let before = listed()?;
    change(ctx, &c, "add", &json!([tmpfs("/a"), tmpfs("/b")]))?.ok()?;
    check_eq!(listed()?, [&before[..], &["/a".to_owned(), "/b".to_owned()]].concat(), "mounts");
    change(ctx, &c, "remove", &json!([{"destination": "/a"}]))?.ok()?;
    check_eq!(listed()?, [&before[..], &["/b".to_owned()]].concat(), "mounts");
    check!(change(ctx, &c, "remove", &json!([{"destination": "/a"}]))?.code == 1, "twice");
    ctx.ok(&["delete", "--force", &c.id]).map(drop)
}

fn destination_through_a_link_stays_inside(ctx: &Context) -> Outcome {
    let (source, outside) = (source(ctx)?, ctx.dir.join("outside"));
    fs::create_dir(&outside)?;
    let bundle = Bundle::new(ctx)?;
    symlink(&outside, bundle.rootfs().join("absolute"))?;
    let up = "../".repeat(20) + outside.to_string_lossy().trim_start_matches('/');
    symlink(up, bundle.rootfs().join("relative"))?;
    let c = running(bundle)?;
    let list = json!([
        bind(&source, "/absolute/a", &[]),
        bind(&source, "/relative/b", &[]),
        tmpfs("/absolute/c"),
    ]);
    change(ctx, &c, "add", &list)?.ok()?;
    check_eq!(fs::read_dir(&outside)?.count(), 0, "files made outside");
    check_eq!(mounted_on_host(ctx)?, [""; 0], "mounts of the host");
    has(&c, &format!("{}/a/file", outside.display()), "of the host")
}

/// What keeps the container from files of its own is a mount, too: a mask, or a read-only path.
fn mount_that_a_link_leads_to_is_not_removed(ctx: &Context) -> Outcome {
    let source = source(ctx)?;
    let bundle = Bundle::new(ctx)?.bind(&source, "/kept", &["bind"]);
    let rootfs = bundle.rootfs();
    let c = running(bundle)?;
    change(ctx, &c, "add", &json!([tmpfs("/added/kept")]))?.ok()?;
    fs::rename(rootfs.join("added"), rootfs.join("elsewhere"))?;
    symlink("/", rootfs.join("added"))?;
    let run = change(ctx, &c, "remove", &json!([{"destination": "/added/kept"}]))?;
    check!(run.code == 1 && run.stderr.contains("links of the container"), "{run:?}");
    has(&c, "/kept/file", "of the host")?;
    let anew = json!([{"destination": "/added/kept", "options": ["bind", "remount", "rw"]}]);
    let run = change(ctx, &c, "add", &anew)?;
    check!(run.code == 1 && run.stderr.contains("keeps its options"), "{run:?}");
    Ok(())
}

fn destination_that_is_exchanged_for_a_link_stays_inside(ctx: &Context) -> Outcome {
    let (source, outside) = (source(ctx)?, ctx.dir.join("outside"));
    fs::create_dir(&outside)?;
    let bundle = Bundle::new(ctx)?;
    fs::create_dir_all(bundle.rootfs().join("place/a"))?;
    let script = format!(
        "cd /place; while :; do mv a b; ln -s {out} a; rm a; mv b a; done 2>/dev/null",
        out = outside.display()
    );
    for tool in ["mv", "ln", "rm"] {
        symlink("busybox", bundle.rootfs().join("bin").join(tool))?;
    }
    let c = bundle.args(&["/bin/sh", "-c", &script]).container()?;
    c.up()?;
    for number in 0..30 {
        // It may fail; it must not lead out.
        let place = format!("/place/a/{number}");
        change(ctx, &c, "add", &json!([bind(&source, &place, &[]), tmpfs(&(place + "t"))]))?;
    }
    check_eq!(fs::read_dir(&outside)?.count(), 0, "files made outside");
    check_eq!(mounted_on_host(ctx)?, [""; 0], "mounts of the host");
    Ok(())
}

fn processes_of_the_container_see_nothing_of_the_host(ctx: &Context) -> Outcome {
    let source = source(ctx)?;
    let caps = json!(["CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"]);
    let sets = json!({"bounding": caps, "effective": caps, "permitted": caps});
    let c = Bundle::new(ctx)?.set("/process/capabilities", sets).payload(&["spy", "3000"]);
    let c = c.container()?;
    c.up()?;
    let enough = std::time::Instant::now() + std::time::Duration::from_millis(1500);
    for number in 0..20 {
        change(ctx, &c, "add", &json!([bind(&source, &format!("/data{number}"), &[])]))?.ok()?;
        if std::time::Instant::now() > enough {
            break;
        }
    }
    c.exit_code()?;
    let seen = crate::bundle::parse_lines(&c.printed())?.remove(0);
    check_eq!(seen["programs"], json!([]), "programs that the container saw: {seen}");
    check_eq!(seen["descriptors"], json!([]), "descriptors that the container saw");
    Ok(())
}

/// No path of /proc is taken from the container, which may have none, or one that lies.
fn container_without_proc_takes_mounts(ctx: &Context) -> Outcome {
    let mut bundle = Bundle::new(ctx)?;
    if let Some(mounts) = bundle.config["mounts"].as_array_mut() {
        mounts.retain(|mount| mount["destination"] != "/proc");
    }
    let bundle = bundle.set("/linux/maskedPaths", json!([])).set("/linux/readonlyPaths", json!([]));
    fs::create_dir_all(bundle.rootfs().join("proc/self"))?;
    symlink("/trap", bundle.rootfs().join("proc/self/fd"))?;
    fs::create_dir(bundle.rootfs().join("trap"))?;
    for number in 0..40 {
        fs::create_dir(bundle.rootfs().join(format!("trap/{number}")))?;
    }
    let (c, source) = (running(bundle)?, source(ctx)?);
    let list = json!([bind(&source, "/data", &["ro", "rprivate"]), tmpfs("/scratch")]);
    change(ctx, &c, "add", &list)?.ok()?;
    let points = points(&c)?;
    for place in ["/data", "/scratch"] {
        check!(points.iter().any(|point| point == place), "{place} is not mounted: {points:?}");
    }
    check!(!points.iter().any(|point| point.starts_with("/trap")), "in the trap: {points:?}");
    change(ctx, &c, "remove", &json!([{"destination": "/scratch"}]))?.ok().map(drop)
}

fn mounts_that_cannot_be_are_refused(ctx: &Context) -> Outcome {
    tare_only(ctx)?;
    let source = source(ctx)?;
    let c = running(Bundle::new(ctx)?.set("/root/readonly", json!(true)))?;
    let before = points(&c)?;
    let cases = [
        (json!([{"destination": "/p", "type": "proc"}]), "/mounts/0/type"),
        (json!([{"destination": "/p", "type": "cgroup"}]), "/mounts/0/type"),
        (json!([{"destination": "/tmp", "type": "nofs"}]), "this kernel has no filesystem nofs"),
        (json!([{"destination": "/"}]), "/mounts/0/destination"),
        (json!([{"destination": ""}]), "/mounts/0/destination"),
        (json!([tmpfs("/tmp"), {"destination": "/p"}]), "/mounts/1/type"),
        (json!([bind(&source, "/proc/self", &[])]), "inside /proc"),
        (
            json!([bind("/not/there".as_ref(), "/tmp", &[])]),
            "the source of a bind mount must exist",
        ),
        (json!([bind(&source, "/new/place", &[])]), "read-only file system"),
        (json!([bind(&source.join("file"), "/tmp", &[])]), "a file on a file"),
        (json!([{"destination": "/tmp", "type": "bind", "options": ["bind"]}]), "needs a source"),
        (json!([{"destination": "/tmp", "type": "tmpfs", "options": ["frob"]}]), "frob"),
        (json!([{"destination": "/tmp\u{0}x", "type": "tmpfs"}]), "NUL"),
        (json!({"destination": "/tmp"}), "expected a sequence"),
        (json!([{"destination": 7}]), "/0/destination"),
        (json!([["/tmp"]]), "expected an object"),
        (json!("x"), "expected a sequence"),
    ];
    for (list, words) in cases {
        let done = change(ctx, &c, "add", &list)?;
        let done = done.exits(1).and_then(|done| done.says(&[words])?.in_one_line());
        done.map_err(|stop| Stop::fail(format!("{list}: {stop:?}")))?;
        check_eq!(points(&c)?, before, "mounts after {list}");
    }
    c.has_status("running")
}

fn containers_that_take_none_are_told_of(ctx: &Context) -> Outcome {
    tare_only(ctx)?;
    let c = running(Bundle::new(ctx)?)?;
    c.kill_init()?;
    let list = json!([tmpfs("/a")]);
    change(ctx, &c, "add", &list)?.exits(1)?.says(&["not running"])?;
    change(ctx, &c, "remove", &list)?.exits(1)?.says(&["not running"])?;
    let c = running(Bundle::new(ctx)?)?;
    let done = change(ctx, &c, "remove", &json!([{"destination": "/bin"}]))?;
    done.exits(1)?.says(&["the container has no mount at"]).map(drop)
}

fn container_without_a_mount_namespace_takes_none(ctx: &Context) -> Outcome {
    tare_only(ctx)?;
    let hosts = Bundle::new(ctx)?
        .without_namespace("mount")
        .set("/mounts", json!([]))
        .set("/linux/maskedPaths", json!([]))
        .set("/linux/readonlyPaths", json!([]));
    let c = hosts.payload(&["sleep", "60000"]).container()?;
    let done = c.try_create(&[])?;
    if done.stderr.contains("/dev/null") && done.stderr.contains("permission denied") {
        return Err(Stop::skip("devices of a root file system are not to be opened here"));
    }
    done.ok()?;
    let list = json!([tmpfs("/a")]);
    change(ctx, &c, "add", &list)?.exits(1)?.says(&["its mounts are the host's"])?;
    check!(!Path::new("/a").exists(), "made on the host");
    Ok(())
}

fn wrong_arguments_are_refused(ctx: &Context) -> Outcome {
    tare_only(ctx)?;
    let c = running(Bundle::new(ctx)?)?;
    let id = c.id.as_str();
    let pipe = ctx.dir.join("pipe");
    check!(Command::new("mkfifo").arg(&pipe).status()?.success(), "mkfifo");
    let pipe = pipe.to_string_lossy();
    for (args, words) in [
        (&["mounts"][..], "requires a minimum of 2 argument(s)"),
        (&["mounts", "add"], "requires a minimum of 2 argument(s)"),
        (&["mounts", "add", id, "a", "b"], "requires a maximum of 3 argument(s)"),
        (&["mounts", "move", id, "-"], "use add or remove"),
        (&["mounts", "add", "nobody", "-"], "container does not exist"),
        (&["mounts", "add", id], "give a FILE"),
        (&["mounts", "add", id, "--source", "/"], "give a FILE"),
        (&["mounts", "add", id, "-", "--destination", "/a"], "exclude each other"),
        (&["mounts", "add", id, "/not/there"], "no such file or directory"),
        (&["mounts", "add", id, "/"], "is a directory"),
        (&["mounts", "add", id, &pipe], "not valid JSON"),
        (&["mounts", "add", id, "-"], "not valid JSON"),
        (&["mounts", "add", "--bogus", id], "flag provided but not defined: -bogus"),
    ] {
        ctx.done(args)?.exits(1)?.says(&[words])?.in_one_line()?;
    }
    c.has_status("running")
}
