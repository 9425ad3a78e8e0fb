//! Id-mapped mounts.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};

use serde_json::{Value, json};

use crate::bundle::Bundle;
use crate::context::{Context, Kind};
use crate::host::{Holder, HostTree};
use crate::outcome::{Outcome, Stop};
use crate::process::Run;
use crate::{check, check_eq, family};

family!("id_maps":
    mappings_of_the_mount_change_owners,
    mapping_without_a_user_namespace_is_of_the_hosts_ids,
    users_and_groups_are_mapped_by_their_own_lists,
    several_ranges_are_mapped,
    option_alone_maps_as_the_containers_user_namespace_does,
    option_alone_maps_as_a_joined_user_namespace_does,
    ranges_in_the_option_are_the_hosts_or_relative,
    plain_option_leaves_submounts_alone_and_ridmap_does_not,
    what_is_made_through_the_mount_has_the_owner_of_the_filesystem,
    flags_and_propagation_are_set_as_well,
    many_mounts_of_one_mapping_need_one_namespace,
    option_alone_without_a_user_namespace_is_refused,
    filesystem_that_cannot_be_mapped_is_named,
    half_of_the_mappings_is_refused,
);

fn list(container: u32, host: u32, size: u32) -> Value {
    json!([{"containerID": container, "hostID": host, "size": size}])
}

/// A mount of the tree with an entry more or less in config.json.
fn mapped<'c>(
    bundle: Bundle<'c>,
    tree: &HostTree,
    point: &str,
    options: &[&str],
    maps: Option<(Value, Value)>,
) -> Bundle<'c> {
    let mut mount = json!({
        "destination": point, "type": "bind", "source": tree.dir, "options": options,
    });
    if let Some((uids, gids)) = maps {
        mount["uidMappings"] = uids;
        mount["gidMappings"] = gids;
    }
    bundle.push("/mounts", mount)
}

/// A tree whose file belongs to user 5 and group 6, and the one below to 7 and 8.
fn tree(ctx: &Context) -> Outcome<HostTree> {
    let tree = HostTree::new(ctx)?;
    fs::write(tree.dir.join("file"), "of five")?;
    chown(tree.dir.join("file"), Some(5), Some(6))?;
    chown(tree.dir.join("below/file"), Some(7), Some(8))?;
    chown(tree.dir.join("below"), Some(7), Some(8))?;
    Ok(tree)
}

fn owner(line: &Value) -> (u64, u64) {
    let id = |name: &str| line[name].as_u64().unwrap_or(u64::MAX);
    (id("uid"), id("gid"))
}

/// The owner of one file in the container.
fn owner_of(bundle: Bundle<'_>, path: &str) -> Outcome<(u64, u64)> {
    Ok(owner(&bundle.report(&["probe", path])?))
}

fn mappings_of_the_mount_change_owners(ctx: &Context) -> Outcome {
    let tree = tree(ctx)?;
    for options in [&["bind"][..], &["rbind", "idmap"], &["rbind", "ridmap"], &["bind", "ro"]] {
        // The file's user 5 becomes the host's 100105, which the container has as 105.
        let maps = Some((list(0, 100_100, 10), list(0, 100_200, 10)));
        let bundle = mapped(Bundle::new(ctx)?.user_namespace()?, &tree, "/m", options, maps);
        check_eq!(owner_of(bundle, "/m/file")?, (105, 206), "owner with {options:?}");
    }
    Ok(())
}

fn mapping_without_a_user_namespace_is_of_the_hosts_ids(ctx: &Context) -> Outcome {
    let tree = tree(ctx)?;
    let maps = Some((list(5, 1000, 1), list(6, 2000, 1)));
    let bundle = mapped(Bundle::new(ctx)?, &tree, "/m", &["rbind"], maps);
    let lines = bundle.reports(&["probe", "/m/file", "/m/below/file"])?;
    check_eq!(owner(&lines[0]), (1000, 2000), "owner");
    check_eq!(owner(&lines[1]), (7, 8), "owner below, which idmap does not reach");
    Ok(())
}

fn users_and_groups_are_mapped_by_their_own_lists(ctx: &Context) -> Outcome {
    let tree = tree(ctx)?;
    let maps = Some((list(5, 30, 1), list(0, 0, 100)));
    let bundle = mapped(Bundle::new(ctx)?, &tree, "/m", &["bind"], maps);
    check_eq!(owner_of(bundle, "/m/file")?, (30, 6), "owner");
    let maps = Some((list(9, 30, 1), list(0, 0, 100)));
    let bundle = mapped(Bundle::new(ctx)?, &tree, "/m", &["bind"], maps);
    check_eq!(owner_of(bundle, "/m/file")?, (65534, 6), "an owner that is not mapped");
    Ok(())
}

fn several_ranges_are_mapped(ctx: &Context) -> Outcome {
    let tree = tree(ctx)?;
    let ranges = json!([
        {"containerID": 0, "hostID": 300, "size": 3},
        {"containerID": 5, "hostID": 400, "size": 2},
        {"containerID": 7, "hostID": 500, "size": 4},
    ]);
    let maps = Some((ranges.clone(), ranges));
    let bundle = mapped(Bundle::new(ctx)?, &tree, "/m", &["rbind", "ridmap"], maps);
    let lines = bundle.reports(&["probe", "/m/file", "/m/below/file", "/m"])?;
    let owners: Vec<_> = lines.iter().map(owner).collect();
    check_eq!(owners, [(400, 401), (500, 501), (300, 300)], "owners");
    Ok(())
}

fn option_alone_maps_as_the_containers_user_namespace_does(ctx: &Context) -> Outcome {
    let tree = tree(ctx)?;
    for options in [["bind", "idmap"], ["rbind", "ridmap"]] {
        let bundle = mapped(Bundle::new(ctx)?.user_namespace()?, &tree, "/m", &options, None);
        check_eq!(owner_of(bundle, "/m/file")?, (5, 6), "owner with {options:?}");
    }
    let bundle = mapped(Bundle::new(ctx)?.user_namespace()?, &tree, "/m", &["bind"], None);
    check_eq!(owner_of(bundle, "/m/file")?, (65534, 65534), "owner without");
    Ok(())
}

fn option_alone_maps_as_a_joined_user_namespace_does(ctx: &Context) -> Outcome {
    let tree = tree(ctx)?;
    let holder = Holder::new(ctx, &["user"])?;
    let path = holder.path("user");
    for map in ["uid_map", "gid_map"] {
        fs::write(format!("{}/{map}", path.trim_end_matches("/ns/user")), "0 100000 65536")?;
    }
    let bundle = Bundle::new(ctx)?.namespace("user", Some(&path));
    bundle.give_rootfs_to(100_000)?;
    let bundle = mapped(bundle, &tree, "/m", &["bind", "idmap"], None);
    check_eq!(owner_of(bundle, "/m/file")?, (5, 6), "owner");
    Ok(())
}

/// As crun has it: ids of the file system, of the host, how many; with @ of the container.
fn ranges_in_the_option_are_the_hosts_or_relative(ctx: &Context) -> Outcome {
    let tree = tree(ctx)?;
    let option = "idmap=uids=0-100050-5#@5-77-1;gids=@0-200-10";
    let bundle = mapped(Bundle::new(ctx)?.user_namespace()?, &tree, "/m", &["bind", option], None);
    let lines = bundle.reports(&["probe", "/m/file", "/m"])?;
    check_eq!(owner(&lines[0]), (77, 206), "owner");
    check_eq!(owner(&lines[1]), (50, 200), "owner of the directory");
    Ok(())
}

fn plain_option_leaves_submounts_alone_and_ridmap_does_not(ctx: &Context) -> Outcome {
    let tree = tree(ctx)?;
    for (option, below) in [("idmap", (7, 8)), ("ridmap", (1007, 2008))] {
        let maps = Some((list(0, 1000, 10), list(0, 2000, 10)));
        let bundle = mapped(Bundle::new(ctx)?, &tree, "/m", &["rbind", option], maps);
        let lines = bundle.reports(&["probe", "/m/file", "/m/below/file"])?;
        check_eq!(owner(&lines[0]), (1005, 2006), "owner with {option}");
        check_eq!(owner(&lines[1]), below, "owner below with {option}");
    }
    Ok(())
}

fn what_is_made_through_the_mount_has_the_owner_of_the_filesystem(ctx: &Context) -> Outcome {
    let tree = tree(ctx)?;
    let bundle = mapped(Bundle::new(ctx)?.user_namespace()?, &tree, "/m", &["bind", "idmap"], None);
    check_eq!(bundle.report(&["put", "/m/new", "text"])?["errno"], json!(0), "errno of a write");
    let made = fs::metadata(tree.dir.join("new"))?;
    check_eq!((made.uid(), made.gid()), (0, 0), "owner on the host");
    Ok(())
}

fn flags_and_propagation_are_set_as_well(ctx: &Context) -> Outcome {
    let tree = tree(ctx)?;
    let options = ["rbind", "ridmap", "ro", "noexec", "rnosuid", "rslave", "shared"];
    let bundle = mapped(Bundle::new(ctx)?.user_namespace()?, &tree, "/m", &options, None);
    let table = crate::expect::MountInfo::seen(bundle)?;
    let mount = crate::expect::MountInfo::found(&table, "/m")?;
    for flag in ["ro", "nosuid", "nodev", "noexec", "idmapped"] {
        check!(mount.has(flag), "{flag} is missing: {:?}", mount.options);
    }
    check!(mount.propagation.iter().any(|p| p.starts_with("shared:")), "{:?}", mount.propagation);
    let below = crate::expect::MountInfo::found(&table, "/m/below")?;
    check!(below.has("nosuid") && below.has("idmapped"), "{:?}", below.options);
    Ok(())
}

/// However many mounts there are: processes are counted by their clones.
fn many_mounts_of_one_mapping_need_one_namespace(ctx: &Context) -> Outcome {
    if ctx.kind != Kind::Tare {
        return Err(Stop::skip("counts the processes of tare"));
    }
    let tree = tree(ctx)?;
    let clones = |count: usize| -> Outcome<usize> {
        let mut bundle = Bundle::new(ctx)?.payload(&["true"]);
        for index in 0..count {
            let point = format!("/m{index}");
            let maps = Some((list(0, 1000, 10), list(0, 2000, 10)));
            bundle = mapped(bundle, &tree, &point, &["rbind"], maps);
        }
        let c = bundle.container()?;
        let report = ctx.dir.join(format!("clones{count}"));
        let text = [report.to_string_lossy(), ctx.runtime.to_string_lossy()];
        let (root, dir) = (ctx.root(), c.dir.to_string_lossy());
        let root = root.to_string_lossy();
        let calls = "clone,clone3,fork,vfork";
        let args =
            ["-f", "-e", calls, "-o", &text[0], &text[1], "--root", &root, "run", "-b", &dir];
        Run::new(
            std::path::Path::new("/usr/bin/strace"),
            &[&args[..], &[&c.id]].concat(),
            &ctx.dir,
        )?
        .ok()?;
        Ok(fs::read_to_string(&report)?.lines().filter(|line| line.contains(" clone3(")).count())
    };
    let (none, one, many) = (clones(0)?, clones(1)?, clones(20)?);
    check_eq!((one, many), (none + 1, none + 1), "processes for 1 and for 20 mounts");
    Ok(())
}

fn option_alone_without_a_user_namespace_is_refused(ctx: &Context) -> Outcome {
    let tree = tree(ctx)?;
    let c = mapped(Bundle::new(ctx)?, &tree, "/m", &["bind", "idmap"], None).container()?;
    let done = c.run(&[])?.exits(1)?;
    done.says(&["id-mapped mount without mappings", "user namespace"]).map(drop)
}

fn filesystem_that_cannot_be_mapped_is_named(ctx: &Context) -> Outcome {
    let mount = json!({
        "destination": "/m", "type": "bind", "source": "/proc/sys", "options": ["bind"],
        "uidMappings": list(0, 1, 1), "gidMappings": list(0, 1, 1),
    });
    let c = Bundle::new(ctx)?.push("/mounts", mount).container()?;
    let done = c.run(&[])?.exits(1)?;
    done.says(&["mount_setattr", "/proc/sys", "the filesystem proc", "does not support id-mapped"])
        .map(drop)
}

fn half_of_the_mappings_is_refused(ctx: &Context) -> Outcome {
    let tree = tree(ctx)?;
    let maps = Some((list(0, 1, 1), json!([])));
    let c = mapped(Bundle::new(ctx)?, &tree, "/m", &["bind"], maps).container()?;
    let done = c.run(&[])?.exits(1)?;
    done.says(&["id-mapped mounts must have both uid and gid mappings specified"]).map(drop)
}
