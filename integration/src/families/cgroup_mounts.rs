//! The mount of type cgroup, on each layout.

use std::path::Path;

use serde_json::json;

use crate::bundle::Bundle;
use crate::context::{Context, Layout};
use crate::expect::MountInfo;
use crate::outcome::{Outcome, Stop};
use crate::process::Run;
use crate::{check, check_eq, family};

family!("cgroup_mounts":
    hierarchies_of_v1_show_the_containers_part_alone,
    hierarchy_of_v2_is_shown_whole_without_a_namespace,
    namespace_makes_the_containers_cgroup_the_root,
    file_system_of_v2_shows_the_containers_part_alone,
    mount_is_writable_unless_it_is_asked_to_be_read_only,
    controllers_of_a_joint_hierarchy_have_links,
    user_namespace_has_its_cgroups_mounted_too,
    hierarchy_of_v2_is_bound_where_it_cannot_be_mounted,
);

fn without_namespace(ctx: &Context) -> Outcome<Bundle<'_>> {
    Ok(Bundle::new(ctx)?.without_namespace("cgroup"))
}

fn cgroups(table: &[MountInfo]) -> Vec<&MountInfo> {
    table.iter().filter(|one| one.point.starts_with("/sys/fs/cgroup")).collect()
}

fn hierarchies_of_v1_show_the_containers_part_alone(ctx: &Context) -> Outcome {
    if ctx.layout == Layout::V2 {
        return Err(Stop::skip("v1 and hybrid layouts only"));
    }
    let bundle = without_namespace(ctx)?;
    let own = bundle.config["linux"]["cgroupsPath"].as_str().unwrap_or_default().to_owned();
    let table = MountInfo::seen(bundle)?;
    let there = cgroups(&table);
    check_eq!(there.first().map(|one| one.kind.as_str()), Some("tmpfs"), "type of /sys/fs/cgroup");
    check!(there.len() > 1, "no hierarchy: {there:?}");
    for mount in &there[1..] {
        check_eq!(mount.kind, "cgroup", "type of {}", mount.point);
        check!(mount.root.ends_with(&own), "{} shows {}", mount.point, mount.root);
    }
    for mount in &there {
        check!(mount.has("ro") && mount.has("nosuid") && mount.has("noexec"), "{mount:?}");
    }
    Ok(())
}

fn hierarchy_of_v2_is_shown_whole_without_a_namespace(ctx: &Context) -> Outcome {
    if ctx.layout != Layout::V2 {
        return Err(Stop::skip("v2 only"));
    }
    let bundle = without_namespace(ctx)?;
    let own = bundle.config["linux"]["cgroupsPath"].as_str().unwrap_or_default().to_owned();
    let place = format!("/sys/fs/cgroup{own}/cgroup.procs");
    let lines = bundle.reports(&["facts", ",", "cat", &place])?;
    let table = MountInfo::table(&lines[0]);
    let there = MountInfo::found(&table, "/sys/fs/cgroup")?;
    check_eq!([&*there.kind, &*there.root], ["cgroup2", "/"], "the mount");
    check!(there.has("ro"), "{there:?}");
    check!(lines[1]["text"].as_str().is_some_and(|pids| pids.contains('1')), "{}", lines[1]);
    Ok(())
}

fn namespace_makes_the_containers_cgroup_the_root(ctx: &Context) -> Outcome {
    let table = MountInfo::seen(Bundle::new(ctx)?.namespace("cgroup", None))?;
    let there = cgroups(&table);
    let hierarchies: Vec<_> = there.iter().filter(|one| one.kind.starts_with("cgroup")).collect();
    check!(!hierarchies.is_empty(), "no hierarchy: {table:?}");
    for mount in hierarchies {
        check_eq!(mount.root, "/", "root of {}", mount.point);
    }
    Ok(())
}

/// Mounted from the host's namespace it would show, and end, every process of the host.
fn file_system_of_v2_shows_the_containers_part_alone(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?.namespace("cgroup", None);
    let bundle = bundle.mount("/cgroup", "cgroup2", "cgroup2", &[]);
    let line = bundle.report(&["cat", "/cgroup/cgroup.procs"])?;
    check_eq!(line["text"], json!("1\n"), "processes of the cgroup");
    Ok(())
}

fn mount_is_writable_unless_it_is_asked_to_be_read_only(ctx: &Context) -> Outcome {
    for namespace in [false, true] {
        let mut bundle = without_namespace(ctx)?;
        if namespace {
            bundle = bundle.namespace("cgroup", None);
        }
        let options = json!(["nosuid", "noexec", "nodev"]);
        let table = MountInfo::seen(bundle.set("/mounts/6/options", options))?;
        for mount in cgroups(&table) {
            check!(!mount.has("ro") && mount.has("nosuid"), "{mount:?}");
        }
    }
    Ok(())
}

fn controllers_of_a_joint_hierarchy_have_links(ctx: &Context) -> Outcome {
    let joint = std::fs::read_dir("/sys/fs/cgroup")?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .find(|name| name.contains(',') && !name.contains('='));
    let Some(joint) = joint.filter(|_| ctx.layout != Layout::V2) else {
        return Err(Stop::skip("no hierarchy with two controllers"));
    };
    let mut commands = vec!["true".to_owned()];
    for controller in joint.split(',') {
        let path = format!("/sys/fs/cgroup/{controller}/cgroup.procs");
        commands.extend([",".to_owned(), "cat".to_owned(), path]);
    }
    let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
    for line in without_namespace(ctx)?.reports(&commands)? {
        check!(line["text"].is_string(), "{line}");
    }
    Ok(())
}

fn user_namespace_has_its_cgroups_mounted_too(ctx: &Context) -> Outcome {
    for namespace in [false, true] {
        let mut bundle = without_namespace(ctx)?.user_namespace()?;
        if namespace {
            bundle = bundle.namespace("cgroup", None);
        }
        let table = MountInfo::seen(bundle)?;
        let hierarchies = cgroups(&table).into_iter().filter(|one| one.kind.starts_with("cgroup"));
        check!(hierarchies.count() > 0, "none with a cgroup namespace: {namespace}");
    }
    Ok(())
}

/// Something is mounted within the host's hierarchy: the kernel lets no user namespace mount
/// another one that would show what is below (mount_too_revealing).
fn hierarchy_of_v2_is_bound_where_it_cannot_be_mounted(ctx: &Context) -> Outcome {
    if ctx.layout != Layout::V2 {
        return Err(Stop::skip("v2 only"));
    }
    let bundle = Bundle::new(ctx)?.namespace("cgroup", None).user_namespace()?;
    let own = bundle.config["linux"]["cgroupsPath"].as_str().unwrap_or_default().to_owned();
    let c = bundle.payload(&["facts", ",", "cat", "/sys/fs/cgroup/cgroup.procs"]).container()?;
    let parent = Path::new(&own).parent().unwrap_or(Path::new("/"));
    let cover = format!(
        "mkdir -p /sys/fs/cgroup{0}/covered && mount -t tmpfs none /sys/fs/cgroup{0}/covered && \
         \"$@\"; code=$?; umount /sys/fs/cgroup{0}/covered; rmdir /sys/fs/cgroup{0}/covered; exit $code",
        parent.display()
    );
    let (runtime, root) = (ctx.runtime.to_string_lossy(), ctx.root());
    let (root, dir) = (root.to_string_lossy(), c.dir.to_string_lossy());
    let args = ["--mount", "sh", "-c", &cover, "sh", &runtime, "--root", &root, "run", "--bundle"];
    let args = [&args[..], &[&dir, &c.id]].concat();
    let done = Run::new(Path::new("/usr/bin/unshare"), &args, &ctx.dir)?.ok()?;
    let lines = crate::bundle::parse_lines(&done.stdout)?;
    let table = MountInfo::table(&lines[0]);
    let there = MountInfo::found(&table, "/sys/fs/cgroup")?;
    check_eq!(there.kind, "cgroup2", "type");
    check!(there.has("ro") && there.has("nosuid"), "{there:?}");
    check_eq!(lines[1]["text"], "1\n", "processes of the container's cgroup");
    Ok(())
}
