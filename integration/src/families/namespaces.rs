//! Namespaces: made new, joined by path, left alone; user namespaces with their mappings.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use serde_json::{Value, json};

use crate::bundle::Bundle;
use crate::context::Context;
use crate::expect;
use crate::host::Holder;
use crate::outcome::Outcome;
use crate::{check, check_eq, family};

family!("namespaces":
    each_type_is_made_new_on_request,
    types_that_are_not_listed_are_the_runtimes_own,
    network_is_joined,
    ipc_is_joined,
    uts_is_joined,
    cgroup_is_joined,
    pid_is_joined,
    time_is_joined,
    user_is_joined,
    several_are_joined_at_once,
    time_offsets_are_set,
    time_goes_by_the_offsets,
    time_offsets_may_be_negative,
    time_offsets_may_be_empty,
    time_offsets_that_cannot_be_are_refused,
    user_namespace_maps_ids_and_files,
    user_namespace_with_several_ranges,
    user_namespace_sees_a_bind_mount_that_only_the_hosts_root_may_reach,
    user_namespace_with_everything_else_works_like_the_default,
    loopback_is_up_in_a_new_network_namespace,
    cgroup_namespace_shows_its_own_root,
    without_a_pid_namespace_the_process_has_a_pid_of_the_host,
);

/// Runs the default bundle with a change of namespaces and checks where the process stands.
fn stands_there(bundle: Bundle<'_>) -> Outcome {
    let config = bundle.config.clone();
    expect::namespaces(&config, &bundle.facts()?)
}

fn each_type_is_made_new_on_request(ctx: &Context) -> Outcome {
    stands_there(Bundle::new(ctx)?.namespace("cgroup", None))?;
    stands_there(Bundle::new(ctx)?.user_namespace()?)
}

fn types_that_are_not_listed_are_the_runtimes_own(ctx: &Context) -> Outcome {
    let mut bundle = Bundle::new(ctx)?.remove("", "hostname");
    for kind in ["pid", "network", "ipc", "uts", "cgroup"] {
        bundle = bundle.without_namespace(kind);
    }
    stands_there(bundle)
}

fn joined(ctx: &Context, kinds: &[&str]) -> Outcome {
    let holder = Holder::new(ctx, kinds)?;
    let mut bundle = Bundle::new(ctx)?;
    for kind in kinds {
        bundle = bundle.namespace(kind, Some(&holder.path(kind)));
    }
    stands_there(bundle)
}

fn network_is_joined(ctx: &Context) -> Outcome {
    joined(ctx, &["network"])
}

fn ipc_is_joined(ctx: &Context) -> Outcome {
    joined(ctx, &["ipc"])
}

fn uts_is_joined(ctx: &Context) -> Outcome {
    joined(ctx, &["uts"])
}

fn cgroup_is_joined(ctx: &Context) -> Outcome {
    joined(ctx, &["cgroup"])
}

fn pid_is_joined(ctx: &Context) -> Outcome {
    joined(ctx, &["pid"])
}

fn time_is_joined(ctx: &Context) -> Outcome {
    joined(ctx, &["time"])
}

fn several_are_joined_at_once(ctx: &Context) -> Outcome {
    joined(ctx, &["network", "ipc", "uts", "pid"])
}

fn user_is_joined(ctx: &Context) -> Outcome {
    let holder = Holder::new(ctx, &["user"])?;
    let path = holder.path("user");
    let process = path.trim_end_matches("/ns/user");
    for map in ["uid_map", "gid_map"] {
        fs::write(format!("{process}/{map}"), "0 100000 65536")?;
    }
    let bundle = Bundle::new(ctx)?.namespace("user", Some(&path));
    bundle.give_rootfs_to(100_000)?;
    stands_there(bundle)
}

fn time_offsets_are_set(ctx: &Context) -> Outcome {
    let offsets = json!({
        "monotonic": {"secs": 172_800, "nanosecs": 0},
        "boottime": {"secs": 604_800, "nanosecs": 5},
    });
    let bundle = Bundle::new(ctx)?.namespace("time", None).set("/linux/timeOffsets", offsets);
    let config = bundle.config.clone();
    let facts = bundle.facts()?;
    expect::namespaces(&config, &facts)?;
    let words = |line: &serde_json::Value| {
        let text = line.as_str().unwrap_or_default();
        text.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let lines = facts["timeOffsets"].as_array().cloned().unwrap_or_default();
    let lines: Vec<_> = lines.iter().map(words).collect();
    check_eq!(lines, [["monotonic", "172800", "0"], ["boottime", "604800", "5"]], "offsets");
    Ok(())
}

/// Seconds since boot as the container's /proc/uptime has them, less the host's.
fn uptime_ahead(ctx: &Context, offsets: Value) -> Outcome<f64> {
    let seconds = |text: &str| text.split(' ').next().unwrap_or_default().parse::<f64>();
    let bundle = Bundle::new(ctx)?.namespace("time", None).set("/linux/timeOffsets", offsets);
    let line = bundle.report(&["cat", "/proc/uptime"])?;
    let inside = seconds(line["text"].as_str().unwrap_or_default())?;
    Ok(inside - seconds(&fs::read_to_string("/proc/uptime")?)?)
}

fn time_goes_by_the_offsets(ctx: &Context) -> Outcome {
    let ahead = uptime_ahead(ctx, json!({"boottime": {"secs": 604_800}}))?;
    check!((604_700.0..604_810.0).contains(&ahead), "{ahead} s ahead");
    Ok(())
}

fn time_offsets_may_be_negative(ctx: &Context) -> Outcome {
    let offsets = json!({"boottime": {"secs": -40}, "monotonic": {"secs": -1, "nanosecs": 5}});
    let ahead = uptime_ahead(ctx, offsets)?;
    check!((-60.0..-35.0).contains(&ahead), "{ahead} s ahead");
    Ok(())
}

fn time_offsets_may_be_empty(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?.namespace("time", None);
    for offsets in [json!({}), json!({"boottime": {}})] {
        let bundle = Bundle::from_config(ctx, bundle.config.clone())?;
        bundle.set("/linux/timeOffsets", offsets).facts()?;
    }
    Ok(())
}

fn time_offsets_that_cannot_be_are_refused(ctx: &Context) -> Outcome {
    let holder = Holder::new(ctx, &["time"])?;
    let path = holder.path("time");
    let made = |offsets: Value| -> Outcome<Bundle<'_>> {
        Ok(Bundle::new(ctx)?.namespace("time", None).set("/linux/timeOffsets", offsets))
    };
    let one = json!({"monotonic": {"secs": 1}});
    for (bundle, words) in [
        (made(json!({"boottime": {"nanosecs": 1_000_000_000}}))?, "/boottime/nanosecs"),
        (made(json!({"boottime": {"nanosecs": -1}}))?, "/linux/timeOffsets/boottime"),
        (made(json!({"boottime": {"secs": 1.5}}))?, "/linux/timeOffsets/boottime"),
        (made(json!({"realtime": {"secs": 1}}))?, "use monotonic or boottime"),
        (made(json!({"boottime": {"secs": i64::MAX}}))?, "time since boot"),
        (made(json!({"boottime": {"secs": i64::MIN}}))?, "time since boot"),
        (Bundle::new(ctx)?.set("/linux/timeOffsets", one.clone()), "time namespace isn't enabled"),
        (made(one)?.namespace("time", Some(&path)), "both namespace path and time offsets"),
    ] {
        let answer = bundle.container()?.try_create(&[])?;
        check!(answer.code != 0, "taken, with {words} expected");
        check!(answer.stderr.contains(words), "{words} is not in {}", answer.stderr);
        check!(answer.stderr.contains("/linux/timeOffsets"), "no place in {}", answer.stderr);
    }
    Ok(())
}

fn user_namespace_maps_ids_and_files(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?
        .user_namespace()?
        .payload(&["facts", ",", "put", "/tmp/made", "x", ",", "sleep", "60000"])
        .container()?;
    c.up()?;
    // The facts are complete once the file is there.
    let file = c.rootfs().join("tmp/made");
    let soon = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while !file.exists() && std::time::Instant::now() < soon {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let facts = crate::bundle::parse_lines(&c.printed())?.remove(0);
    for map in ["uidMap", "gidMap"] {
        let line = facts[map][0].as_str().unwrap_or_default();
        let words: Vec<_> = line.split_whitespace().collect();
        check_eq!(words, ["0", "100000", "65536"], "{map}");
    }
    check_eq!(facts["uids"], json!([0, 0, 0, 0]), "uids inside");
    let made = fs::metadata(file)?;
    check_eq!((made.uid(), made.gid()), (100_000, 100_000), "owner on the host");
    let process = fs::metadata(format!("/proc/{}", c.pid()?))?;
    check_eq!(process.uid(), 100_000, "owner of the process on the host");
    Ok(())
}

fn user_namespace_with_several_ranges(ctx: &Context) -> Outcome {
    let mapping = json!([
        {"containerID": 0, "hostID": 100_000, "size": 1000},
        {"containerID": 1000, "hostID": 300_000, "size": 1},
        {"containerID": 2000, "hostID": 400_000, "size": 10},
    ]);
    let bundle = Bundle::new(ctx)?
        .user_namespace()?
        .set("/linux/uidMappings", mapping.clone())
        .set("/linux/gidMappings", mapping)
        .set("/process/user", json!({"uid": 1000, "gid": 2003, "additionalGids": [5, 1000]}));
    let config = bundle.config.clone();
    let facts = bundle.facts()?;
    check_eq!(facts["uidMap"].as_array().map(Vec::len), Some(3), "ranges");
    expect::identity(&config, &facts)
}

fn user_namespace_sees_a_bind_mount_that_only_the_hosts_root_may_reach(ctx: &Context) -> Outcome {
    let closed = ctx.dir.join("closed");
    fs::create_dir(&closed)?;
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700))?;
    fs::write(closed.join("file"), "words")?;
    let source = closed.join("file");
    let bundle = Bundle::new(ctx)?.user_namespace()?;
    let bundle = bundle.mount("/tmp/file", "bind", &source.to_string_lossy(), &["bind", "ro"]);
    let c = bundle.args(&["/bin/sh", "-c", "cat /tmp/file; echo x > /tmp/file"]).container()?;
    let run = c.run(&[])?;
    check_eq!(run.stdout, "words", "what the container reads");
    check!(run.stderr.contains("Read-only"), "it could write: {}", run.stderr);
    Ok(())
}

fn user_namespace_with_everything_else_works_like_the_default(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?.user_namespace()?;
    let commands = expect::commands(&bundle.config);
    let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
    let c = bundle.payload(&commands).container()?;
    let lines = c.up_and_report()?;
    expect::everything(ctx, &c.config, &lines)
}

fn loopback_is_up_in_a_new_network_namespace(ctx: &Context) -> Outcome {
    let line = Bundle::new(ctx)?.report(&["cat", "/sys/class/net/lo/flags"])?;
    check_eq!(line["text"], "0x9\n", "flags of lo");
    Ok(())
}

fn cgroup_namespace_shows_its_own_root(ctx: &Context) -> Outcome {
    let facts = Bundle::new(ctx)?.namespace("cgroup", None).facts()?;
    for line in facts["cgroups"].as_array().into_iter().flatten() {
        check!(line.as_str().is_some_and(|l| l.ends_with(":/")), "{line}");
    }
    Ok(())
}

fn without_a_pid_namespace_the_process_has_a_pid_of_the_host(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.without_namespace("pid").payload(&["facts"]).container()?;
    let facts = c.up_and_report()?.remove(0);
    check_eq!(facts["pid"], json!(c.pid()?), "pid");
    Ok(())
}
