//! Masked and read-only paths, sysctls, and which paths the payload is asked about.

use serde_json::{Value, json};

use super::{MountInfo, line_of, mounts, strings};
use crate::outcome::{Outcome, Stop};
use crate::{check, check_eq};

/// The paths that the payload looks at in every way.
pub(super) fn probed(config: &Value) -> Vec<String> {
    let mut paths: Vec<String> = strings(config, "/linux/maskedPaths")
        .into_iter()
        .chain(strings(config, "/linux/readonlyPaths"))
        .map(str::to_owned)
        .collect();
    let points = config["mounts"].as_array().into_iter().flatten();
    paths.extend(points.filter_map(|m| Some(m["destination"].as_str()?.to_owned())));
    paths
}

/// The files whose text the payload reports.
pub(super) fn read(config: &Value) -> Vec<String> {
    let mut paths = Vec::new();
    for mount in config["mounts"].as_array().into_iter().flatten() {
        paths.extend(mounts::marked(mount));
        if mounts::options(mount).contains(&"tmpcopyup") {
            paths.push(format!("{}/copied-up", mount["destination"].as_str().unwrap_or_default()));
        }
    }
    paths.extend(sysctls(config).map(|(path, _)| path));
    paths
}

fn sysctls(config: &Value) -> impl Iterator<Item = (String, &str)> {
    let members = config["linux"]["sysctl"].as_object().into_iter().flatten();
    members.filter_map(|(key, value)| {
        Some((format!("/proc/sys/{}", key.replace('.', "/")), value.as_str()?))
    })
}

pub(super) fn paths(config: &Value, facts: &Value, lines: &[Value]) -> Outcome {
    for path in strings(config, "/linux/maskedPaths") {
        masked(path, lines)?;
    }
    let table = MountInfo::table(facts);
    for path in strings(config, "/linux/readonlyPaths") {
        if line_of(lines, path, "kind").is_some() {
            let mount = MountInfo::covering(&table, path)
                .ok_or_else(|| Stop::fail(format!("{path}: on no mount")))?;
            check!(mount.has("ro"), "{path} lies on {}, {:?}", mount.point, mount.options);
        }
    }
    for (path, value) in sysctls(config) {
        let line = line_of(lines, &path, "text")
            .ok_or_else(|| Stop::fail(format!("{path} could not be read")))?;
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let got = words(line["text"].as_str().unwrap_or_default());
        check_eq!(got, words(value), "{path}");
    }
    Ok(())
}

/// A masked file is the null device, a masked directory is empty and read-only.
fn masked(path: &str, lines: &[Value]) -> Outcome {
    let Some(line) = line_of(lines, path, "kind") else { return Ok(()) };
    if line["kind"] == "dir" {
        let count = line["read"]["count"].as_u64().unwrap_or(0);
        check_eq!(count, 0, "entries of the masked {path}");
        check!(line["write"] != 0, "the masked {path} can be written");
        return Ok(());
    }
    check_eq!(line["kind"], json!("char"), "kind of the masked {path}");
    check_eq!(line["rdev"], json!([1, 3]), "device of the masked {path}");
    Ok(())
}
