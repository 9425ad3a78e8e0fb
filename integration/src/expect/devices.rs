//! Device nodes and the links that every container has.

use serde_json::{Value, json};

use crate::outcome::{Outcome, Stop};
use crate::{check, check_eq};

const DEFAULT: [(&str, u64, u64); 6] = [
    ("/dev/full", 1, 7),
    ("/dev/null", 1, 3),
    ("/dev/random", 1, 8),
    ("/dev/tty", 5, 0),
    ("/dev/urandom", 1, 9),
    ("/dev/zero", 1, 5),
];

const LINKS: [(&str, &[&str]); 5] = [
    ("/dev/fd", &["/proc/self/fd"]),
    ("/dev/ptmx", &["pts/ptmx", "/dev/pts/ptmx"]),
    ("/dev/stderr", &["/proc/self/fd/2"]),
    ("/dev/stdin", &["/proc/self/fd/0"]),
    ("/dev/stdout", &["/proc/self/fd/1"]),
];

/// Checks the nodes where /dev is the container's own.
pub(super) fn devices(config: &Value, found: &Value) -> Outcome {
    let mounts = config["mounts"].as_array();
    let own =
        mounts.into_iter().flatten().any(|m| m["destination"] == "/dev" && !super::is_bind(m));
    if !own {
        return Ok(());
    }
    for (path, major, minor) in DEFAULT {
        let node = &found[path];
        check_eq!(node["type"], json!("c"), "type of {path}");
        check_eq!([&node["major"], &node["minor"]], [&json!(major), &json!(minor)], "{path}");
        check_eq!(node["mode"], json!(0o666), "mode of {path}");
    }
    for (path, targets) in LINKS {
        let target = found[path]["target"].as_str().unwrap_or_default();
        check!(targets.contains(&target), "{path} leads to {target:?}");
    }
    let asked = config["linux"]["devices"].as_array().into_iter().flatten();
    let mapped = config["linux"].get("uidMappings").is_some();
    asked.filter(|d| !is_default(d)).try_for_each(|device| one(device, found, mapped))
}

fn is_default(device: &Value) -> bool {
    DEFAULT.iter().any(|(path, ..)| device["path"] == *path)
        || LINKS.iter().any(|(path, _)| device["path"] == *path)
        || device["path"] == "/dev/console"
}

fn one(device: &Value, found: &Value, mapped: bool) -> Outcome {
    let path = device["path"].as_str().unwrap_or_default();
    let node = found.get(path).ok_or_else(|| Stop::fail(format!("{path} is not there")))?;
    let kind = if device["type"] == "u" { "c" } else { device["type"].as_str().unwrap_or("c") };
    check_eq!(node["type"], json!(kind), "type of {path}");
    if kind != "p" {
        for number in ["major", "minor"] {
            check_eq!(node[number], device[number], "{number} of {path}");
        }
    }
    if !mapped {
        let mode = device["fileMode"].as_u64().unwrap_or(0o666) & 0o7777;
        check_eq!(node["mode"], json!(mode), "mode of {path}");
        for owner in ["uid", "gid"] {
            check_eq!(node[owner], json!(device[owner].as_u64().unwrap_or(0)), "{owner} of {path}");
        }
    }
    Ok(())
}
