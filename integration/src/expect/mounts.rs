//! Mounts: present, of the right kind, with their flags and data, showing the right source.

use serde_json::{Value, json};

use super::{MountInfo, line_of, marker};
use crate::outcome::{Outcome, Stop};
use crate::{check, check_eq};

/// The flags that a configuration's options switch on and off.
const FLAGS: [(&str, &str, &str); 4] = [
    ("ro", "ro", "rw"),
    ("nosuid", "nosuid", "suid"),
    ("nodev", "nodev", "dev"),
    ("noexec", "noexec", "exec"),
];

/// Whether a mount of the configuration is a bind mount.
pub fn is_bind(mount: &Value) -> bool {
    mount["type"] == "bind" || options(mount).iter().any(|o| *o == "bind" || *o == "rbind")
}

/// Checks each mount that no later one covers.
pub(super) fn mounts(config: &Value, facts: &Value, lines: &[Value]) -> Outcome {
    let table = MountInfo::table(facts);
    let first_gid =
        config.pointer("/linux/gidMappings/0/hostID").and_then(Value::as_u64).unwrap_or(0);
    let list = config["mounts"].as_array().map_or(&[][..], Vec::as_slice);
    for (index, mount) in list.iter().enumerate() {
        let point = mount["destination"].as_str().unwrap_or_default();
        let covered = list[index + 1..].iter().any(|m| m["destination"] == point);
        if !covered {
            let there = MountInfo::at(&table, point)
                .ok_or_else(|| Stop::fail(format!("mounts[{index}]: nothing at {point}")))?;
            for place in places(config, mount, there, &table) {
                one(mount, place, lines, first_gid).map_err(|stop| locate(stop, index, point))?;
            }
            source(mount, index, lines).map_err(|stop| locate(stop, index, point))?;
        }
    }
    if config["root"]["readonly"] == true {
        let root = MountInfo::at(&table, "/").ok_or_else(|| Stop::fail("no mount at /"))?;
        check!(root.has("ro"), "the root is {:?}, not read-only", root.options);
    }
    Ok(())
}

/// Where the options of a mount show: with cgroup v1 on the hierarchies in a tmpfs.
fn places<'t>(
    config: &Value,
    mount: &Value,
    there: &'t MountInfo,
    table: &'t [MountInfo],
) -> Vec<&'t MountInfo> {
    if mount["type"] != "cgroup" || there.kind != "tmpfs" {
        return vec![there];
    }
    let listed = |m: &MountInfo| {
        let mut mounts = config["mounts"].as_array().into_iter().flatten();
        mounts.any(|other| other["destination"] == m.point)
    };
    table.iter().filter(|m| m.kind == "cgroup" && !listed(m)).collect()
}

fn locate(stop: Stop, index: usize, point: &str) -> Stop {
    match stop {
        Stop::Fail(message) => Stop::Fail(format!("mounts[{index}] ({point}): {message}")),
        skip @ Stop::Skip(_) => skip,
    }
}

fn one(mount: &Value, there: &MountInfo, lines: &[Value], first_gid: u64) -> Outcome {
    let bind = is_bind(mount);
    let kind = mount["type"].as_str().unwrap_or_default();
    if !bind && kind != "cgroup" {
        check_eq!(there.kind, kind, "type");
    }
    for (flag, on, off) in FLAGS {
        let last = options(mount).into_iter().rfind(|o| *o == on || *o == off);
        match last {
            Some(option) => check!(
                there.has(flag) == (option == on),
                "{option} is asked for, the mount is {:?}",
                there.options
            ),
            // A bind mount keeps the flags of its source.
            None if !bind && kind != "cgroup" => {
                check!(!there.has(flag), "{flag} is not asked for: {:?}", there.options);
            }
            None => {}
        }
    }
    times(mount, there)?;
    data(mount, there, lines, first_gid)?;
    propagation(mount, there)
}

/// The access-time options are exclusive; a file system begins as relatime.
fn times(mount: &Value, there: &MountInfo) -> Outcome {
    let asked =
        options(mount).into_iter().rfind(|o| ["noatime", "relatime", "strictatime"].contains(o));
    match asked {
        Some("strictatime") => check!(
            !there.has("relatime") && !there.has("noatime"),
            "strictatime is asked for, the mount is {:?}",
            there.options
        ),
        Some(option) => check!(there.has(option), "{option} is missing: {:?}", there.options),
        None => {}
    }
    Ok(())
}

fn data(mount: &Value, there: &MountInfo, lines: &[Value], first_gid: u64) -> Outcome {
    let has = |option: String| {
        check!(
            there.super_options.contains(&option),
            "{option} is missing from {:?}",
            there.super_options
        );
        Ok(())
    };
    let point = mount["destination"].as_str().unwrap_or_default();
    for option in options(mount) {
        match (there.kind.as_str(), option.split_once('=')) {
            ("tmpfs", Some(("size", size))) => has(format!("size={}k", kilobytes(size)?))?,
            ("tmpfs", Some(("mode", mode))) => {
                let seen = line_of(lines, point, "mode").map(|l| l["mode"].clone());
                check_eq!(seen, Some(json!(u64::from_str_radix(mode, 8)?)), "mode");
            }
            ("devpts", Some((name @ ("mode" | "ptmxmode"), mode))) => {
                has(format!("{name}={:03o}", u64::from_str_radix(mode, 8)?))?;
            }
            // The kernel prints the group as the host knows it.
            ("devpts", Some(("gid", gid))) => {
                has(format!("gid={}", first_gid + gid.parse::<u64>()?))?
            }
            _ => {}
        }
    }
    Ok(())
}

fn kilobytes(size: &str) -> Outcome<u64> {
    let (number, unit) = match size.strip_suffix(['k', 'K']) {
        Some(number) => (number, 1),
        None => match size.strip_suffix(['m', 'M']) {
            Some(number) => (number, 1024),
            None => return Ok(size.parse::<u64>()? / 1024),
        },
    };
    Ok(number.parse::<u64>()? * unit)
}

fn propagation(mount: &Value, there: &MountInfo) -> Outcome {
    let asked = options(mount).into_iter().rfind(|o| {
        ["private", "slave", "shared", "unbindable"].contains(&o.trim_start_matches('r'))
    });
    let has = |prefix: &str| there.propagation.iter().any(|p| p.starts_with(prefix));
    let holds = match asked.map(|o| o.trim_start_matches('r')) {
        Some("private") => !has("shared:") && !has("master:"),
        Some("shared") => has("shared:"),
        Some("slave") => !has("shared:"),
        Some("unbindable") => has("unbindable"),
        _ => true,
    };
    check!(holds, "{asked:?} is asked for, the mount is {:?}", there.propagation);
    Ok(())
}

/// A file or directory that the test made carries a marker.
fn source(mount: &Value, index: usize, lines: &[Value]) -> Outcome {
    let point = mount["destination"].as_str().unwrap_or_default();
    if let Some(path) = marked(mount) {
        let text = line_of(lines, &path, "text").map(|l| l["text"].clone());
        check_eq!(text, Some(json!(marker(index))), "content at {path}");
    }
    if options(mount).contains(&"tmpcopyup") {
        let path = format!("{point}/copied-up");
        let text = line_of(lines, &path, "text").map(|l| l["text"].clone());
        check_eq!(text, Some(json!("below")), "content at {path}");
    }
    Ok(())
}

/// Where the marker of a bind mount's source is to be read.
pub(super) fn marked(mount: &Value) -> Option<String> {
    let point = mount["destination"].as_str()?;
    let source = std::path::Path::new(mount["source"].as_str()?);
    if !is_bind(mount) {
        return None;
    }
    if source.join("marker").is_file() {
        return Some(format!("{point}/marker"));
    }
    let text = std::fs::read(source).ok()?;
    text.starts_with(b"source of mounts[").then(|| point.to_owned())
}

/// The options of a mount of the configuration.
pub(super) fn options(mount: &Value) -> Vec<&str> {
    super::strings(mount, "/options")
}
