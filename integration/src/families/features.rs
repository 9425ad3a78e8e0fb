//! What `features` claims, tried: what it lists works or fails for reasons of the kernel, and what
//! it says is not built in is refused.

use serde_json::{Value, json};

use crate::bundle::Bundle;
use crate::context::Context;
use crate::json_schema::Schemas;
use crate::outcome::{Outcome, Stop};
use crate::{check, check_eq, expect, family};

family!("features":
    document_is_as_the_schema_wants_it,
    first_and_last_version_of_the_spec_are_accepted,
    every_kind_of_hook_runs,
    every_mount_option_is_understood,
    every_type_of_namespace_is_made,
    every_capability_is_known,
    every_seccomp_action_operator_architecture_and_flag_is_known,
    every_memory_policy_is_known,
    id_mapped_mounts_are_as_claimed,
    network_devices_are_as_claimed,
    intel_rdt_is_as_claimed,
    systemd_cgroups_are_as_claimed,
    annotations_that_change_the_host_are_listed,
    labels_are_asked_for,
);

/// What the runtime says of itself.
fn features(ctx: &Context) -> Outcome<Value> {
    Ok(serde_json::from_str(&ctx.ok(&["features"])?.stdout)?)
}

fn words(features: &Value, pointer: &str) -> Outcome<Vec<String>> {
    let list = features.pointer(pointer).and_then(Value::as_array);
    let list = list.ok_or_else(|| Stop::fail(format!("features have no {pointer}")))?;
    Ok(list.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

/// Whether something is claimed; a runtime that does not say so claims nothing.
fn claims(ctx: &Context, pointer: &str) -> Outcome<bool> {
    Ok(features(ctx)?.pointer(pointer).and_then(Value::as_bool).unwrap_or(false))
}

fn document_is_as_the_schema_wants_it(ctx: &Context) -> Outcome {
    let schemas = Schemas::load();
    let features = features(ctx)?;
    let faults = schemas.faults(schemas.file("features-schema.json"), &features);
    check!(faults.is_empty(), "{faults:?}");
    let text = ctx.ok(&["features"])?.stdout;
    check!(text.starts_with("{\n    \"ociVersionMin\": "), "it begins {:?}", text.get(..30));
    Ok(())
}

fn first_and_last_version_of_the_spec_are_accepted(ctx: &Context) -> Outcome {
    let features = features(ctx)?;
    for name in ["ociVersionMin", "ociVersionMax"] {
        let bundle = Bundle::new(ctx)?.set("/ociVersion", features[name].clone());
        bundle.payload(&["true"]).output()?;
    }
    Ok(())
}

fn every_kind_of_hook_runs(ctx: &Context) -> Outcome {
    for kind in words(&features(ctx)?, "/hooks")? {
        let log = ctx.dir.join(&kind);
        let inside = kind == "startContainer";
        let (program, file) = if inside {
            ("/bin/payload".as_ref(), "/log".as_ref())
        } else {
            (&*ctx.payload, &*log)
        };
        std::fs::write(&log, "")?;
        let hook = json!({"path": program, "args": ["payload", "hook", file, kind]});
        let bundle = Bundle::new(ctx)?.payload(&["true"]).bind(&log, "/log", &["bind"]);
        bundle.set(&format!("/hooks/{kind}"), json!([hook])).output()?;
        check!(std::fs::metadata(&log)?.len() > 0, "no {kind} hook ran");
    }
    Ok(())
}

/// A word that is not understood would be handed to tmpfs, which refuses it, or, of a bind mount,
/// would be refused by the runtime.
fn every_mount_option_is_understood(ctx: &Context) -> Outcome {
    let features = features(ctx)?;
    let idmap = features.pointer("/linux/mountExtensions/idmap/enabled") == Some(&json!(true));
    for option in words(&features, "/mountOptions")? {
        let bundle = Bundle::new(ctx)?.payload(&["true"]);
        let source = bundle.dir.clone();
        let bundle = match option.as_str() {
            "idmap" | "ridmap" if !idmap => continue,
            "idmap" | "ridmap" => bundle.user_namespace()?.bind(&source, "/m", &["bind", &option]),
            "remount" => {
                bundle.mount("/m", "tmpfs", "m", &[]).mount("/m", "tmpfs", "m", &[&option])
            }
            "bind" | "rbind" | "copy-symlink" | "src-nofollow" | "dest-nofollow" => {
                bundle.bind(&source, "/m", &["bind", &option])
            }
            _ => bundle.mount("/m", "tmpfs", "m", &[&option]),
        };
        bundle.container()?.run(&[])?.ok().map_err(|stop| match stop {
            Stop::Fail(message) => Stop::Fail(format!("{option}: {message}")),
            skip @ Stop::Skip(_) => skip,
        })?;
    }
    Ok(())
}

fn every_type_of_namespace_is_made(ctx: &Context) -> Outcome {
    for kind in words(&features(ctx)?, "/linux/namespaces")? {
        let file = match kind.as_str() {
            "network" => "net",
            "mount" => "mnt",
            other => other,
        };
        let Ok(own) = std::fs::read_link(format!("/proc/self/ns/{file}")) else {
            println!("      no {kind} namespaces in this kernel");
            continue;
        };
        let bundle = match kind.as_str() {
            "user" => Bundle::new(ctx)?.user_namespace()?,
            _ => Bundle::new(ctx)?.namespace(&kind, None),
        };
        let facts = bundle.facts()?;
        let inside = &facts["namespaces"][file];
        check!(inside.is_string() && *inside != json!(own), "the {kind} namespace is {inside}");
    }
    Ok(())
}

fn every_capability_is_known(ctx: &Context) -> Outcome {
    let mut names = words(&features(ctx)?, "/linux/capabilities")?;
    // Others are left out with a warning, or refused: not what is asked here.
    names.retain(|name| name.parse().is_ok_and(crate::host::has_capability));
    check!(!names.is_empty(), "no capability of this process is listed");
    let c = Bundle::new(ctx)?.set("/process/capabilities", json!({ "bounding": names }));
    let c = c.container()?;
    let done = c.run(&[])?.ok()?;
    check_eq!(done.stderr, "", "what it says");
    let facts = crate::bundle::parse_lines(&done.stdout)?.pop().unwrap_or_default();
    expect::capabilities(&c.config, &facts)
}

fn every_seccomp_action_operator_architecture_and_flag_is_known(ctx: &Context) -> Outcome {
    let features = features(ctx)?;
    let part = |name: &str| words(&features, &format!("/linux/seccomp/{name}"));
    let base = json!({"defaultAction": "SCMP_ACT_ALLOW"});
    let mut profiles = Vec::new();
    for action in part("actions")?.iter().filter(|action| *action != "SCMP_ACT_NOTIFY") {
        let rule = json!({"names": ["kexec_load"], "action": action});
        profiles.push((action.clone(), "syscalls", json!([rule])));
    }
    for operator in part("operators")? {
        let test = json!({"index": 0, "value": 9, "valueTwo": 9, "op": operator});
        let rule = json!({"names": ["kexec_load"], "action": "SCMP_ACT_ERRNO", "args": [test]});
        profiles.push((operator, "syscalls", json!([rule])));
    }
    for flag in part("supportedFlags")? {
        profiles.push((flag.clone(), "flags", json!([flag])));
    }
    profiles.push(("all architectures".into(), "architectures", json!(part("archs")?)));
    let rule = json!({"names": ["kexec_load"], "action": "SCMP_ACT_ERRNO"});
    for (name, member, value) in profiles {
        let mut profile = base.clone();
        profile["syscalls"] = json!([rule]);
        profile[member] = value;
        let c = Bundle::new(ctx)?.payload(&["true"]).set("/linux/seccomp", profile).container()?;
        let done = c.run(&[])?;
        check!(done.code == 0, "{name}: {}", done.stderr);
    }
    Ok(())
}

fn every_memory_policy_is_known(ctx: &Context) -> Outcome {
    let features = features(ctx)?;
    if features.pointer("/linux/memoryPolicy").is_none() {
        return Err(Stop::skip("it does not claim memory policies"));
    }
    let mut policies = Vec::new();
    for mode in words(&features, "/linux/memoryPolicy/modes")? {
        let nodes = if ["MPOL_DEFAULT", "MPOL_LOCAL"].contains(&&*mode) { "" } else { "0" };
        policies.push(json!({"mode": mode, "nodes": nodes}));
    }
    for flag in words(&features, "/linux/memoryPolicy/flags")? {
        policies.push(json!({"mode": "MPOL_BIND", "nodes": "0", "flags": [flag]}));
    }
    for policy in policies {
        let bundle = Bundle::new(ctx)?.payload(&["true"]);
        let done = bundle.set("/linux/memoryPolicy", policy.clone()).container()?.run(&[])?;
        let kernel = done.stderr.contains("set_mempolicy");
        check!(done.code == 0 || kernel, "{policy}: {}", done.stderr);
        if kernel {
            println!("      {policy}: refused by this kernel");
        }
    }
    Ok(())
}

fn id_mapped_mounts_are_as_claimed(ctx: &Context) -> Outcome {
    let claimed = claims(ctx, "/linux/mountExtensions/idmap/enabled")?;
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
    let source = ctx.dir.join("mapped");
    std::fs::create_dir(&source)?;
    let mount = json!({"destination": "/m", "type": "bind", "source": source,
        "options": ["bind"], "uidMappings": map, "gidMappings": map});
    let bundle = Bundle::new(ctx)?.user_namespace()?.push("/mounts", mount);
    let done = bundle.payload(&["true"]).container()?.run(&[])?;
    if done.code != 0 && claimed && done.stderr.contains("invalid argument") {
        return Err(Stop::skip("this file system cannot be id-mapped"));
    }
    check_eq!(done.code == 0, claimed, "an id-mapped mount works; {}", done.stderr);
    Ok(())
}

fn network_devices_are_as_claimed(ctx: &Context) -> Outcome {
    if !claims(ctx, "/linux/netDevices/enabled")? {
        return Err(Stop::skip("it does not claim network devices"));
    }
    let devices = json!({"tare-none": {}});
    let c = Bundle::new(ctx)?.set("/linux/netDevices", devices).container()?;
    c.try_create(&[])?.exits(1)?.says(&["tare-none"]).map(drop)
}

fn intel_rdt_is_as_claimed(ctx: &Context) -> Outcome {
    if !claims(ctx, "/linux/intelRdt/enabled")? {
        return Err(Stop::skip("it does not claim Intel RDT"));
    }
    if std::path::Path::new("/sys/fs/resctrl/schemata").exists() {
        return Err(Stop::skip("resctrl is mounted, and is not for tests to change"));
    }
    let c = Bundle::new(ctx)?.set("/linux/intelRdt", json!({"closID": "tare"})).container()?;
    c.try_create(&[])?.exits(1)?.says(&["resctrl", "intel rdt", "intelrdt"]).map(drop)
}

fn systemd_cgroups_are_as_claimed(ctx: &Context) -> Outcome {
    let claimed = claims(ctx, "/linux/cgroup/systemd")?;
    let bundle = Bundle::new(ctx)?.payload(&["true"]);
    let c = bundle.set("/linux/cgroupsPath", json!("system.slice:tare:features")).container()?;
    let done =
        ctx.done(&["--systemd-cgroup", "run", "--bundle", &c.dir.to_string_lossy(), &c.id])?;
    let there = std::path::Path::new("/run/systemd/system").exists();
    check_eq!(done.code == 0, claimed && there, "a cgroup of systemd's is made; {}", done.stderr);
    if done.code != 0 {
        done.says(&["systemd"])?;
    }
    Ok(())
}

/// What engines should let nobody else write.
fn annotations_that_change_the_host_are_listed(ctx: &Context) -> Outcome {
    let listed = words(&features(ctx)?, "/potentiallyUnsafeConfigAnnotations")?;
    check!(listed.iter().any(|prefix| prefix == "org.systemd.property."), "listed: {listed:?}");
    Ok(())
}

/// Where a label cannot be had, its absence is not passed over.
fn labels_are_asked_for(ctx: &Context) -> Outcome {
    for (feature, member) in [("apparmor", "apparmorProfile"), ("selinux", "selinuxLabel")] {
        if !claims(ctx, &format!("/linux/{feature}/enabled"))? {
            println!("      it does not claim {feature}");
            continue;
        }
        let bundle = Bundle::new(ctx)?.payload(&["true"]);
        let done =
            bundle.set(&format!("/process/{member}"), json!("tare-none")).container()?.run(&[])?;
        check!(done.code != 0, "{member}: a label that does not exist was taken");
        done.says(&["attr", feature])?;
    }
    Ok(())
}
