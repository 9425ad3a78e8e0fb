//! Who the process is: ids, capabilities, limits, environment, namespaces.

use serde_json::{Value, json};

use crate::outcome::{Outcome, Stop};
use crate::{check, check_eq};

/// The real-time signals may be as the runtime's caller left them.
const STANDARD_SIGNALS: u64 = 0x7fff_ffff;

/// Ids, groups, umask, working directory, limits, no_new_privs, OOM score, host name.
pub fn identity(config: &Value, facts: &Value) -> Outcome {
    let process = &config["process"];
    let user = &process["user"];
    for (member, ids) in [("uid", "uids"), ("gid", "gids")] {
        let id = user[member].as_u64().unwrap_or(0);
        check_eq!(facts[ids], json!([id, id, id, id]), "{ids} of {user}");
    }
    check_eq!(sorted(&facts["groups"]), sorted(&user["additionalGids"]), "groups of {user}");
    check_eq!(facts["umask"], json!(user["umask"].as_u64().unwrap_or(0o022)), "umask");
    if process["cwd"].is_string() {
        check_eq!(facts["cwd"], process["cwd"], "cwd");
    }
    let no_new_privs = process["noNewPrivileges"].as_bool().unwrap_or(false);
    check_eq!(facts["noNewPrivileges"], json!(no_new_privs), "no_new_privs");
    for limit in process["rlimits"].as_array().into_iter().flatten() {
        let name = limit["type"].as_str().unwrap_or_default();
        check_eq!(facts["rlimits"][name], json!([limit["soft"], limit["hard"]]), "{name}");
    }
    if process["oomScoreAdj"].is_i64() {
        check_eq!(facts["oomScoreAdj"], process["oomScoreAdj"], "oom_score_adj");
    }
    for name in ["hostname", "domainname"] {
        if config[name].is_string() {
            check_eq!(facts[name], config[name], "{name}");
        }
    }
    check_eq!(facts["signals"]["blocked"], json!(0), "blocked signals");
    let ignored = facts["signals"]["ignored"].as_u64().unwrap_or(u64::MAX) & STANDARD_SIGNALS;
    check_eq!(ignored, 0, "ignored signals");
    Ok(())
}

fn sorted(ids: &Value) -> Vec<u64> {
    let mut ids: Vec<u64> =
        ids.as_array().into_iter().flatten().filter_map(Value::as_u64).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// The five sets as they are after execve, which gives root its bounding set and others their
/// ambient one (capabilities(7)); a set that is not named is empty.
pub fn capabilities(config: &Value, facts: &Value) -> Outcome {
    let set = |name| asked(config, name);
    let (bounding, inheritable, ambient) = (set("bounding")?, set("inheritable")?, set("ambient")?);
    let root = config["process"]["user"]["uid"].as_u64().unwrap_or(0) == 0;
    let permitted = match (root, config["process"]["noNewPrivileges"] == true) {
        (true, true) => (bounding | inheritable) & set("permitted")?,
        (true, false) => bounding | inheritable,
        (false, _) => ambient,
    };
    let expected = [
        ("inheritable", inheritable),
        ("permitted", permitted),
        ("effective", permitted),
        ("bounding", bounding),
        ("ambient", ambient),
    ];
    for (name, mask) in expected {
        let got = facts["caps"][name].as_u64().unwrap_or(u64::MAX);
        check!(got == mask, "{name} capabilities: got {got:#x}, expected {mask:#x}");
    }
    Ok(())
}

/// A set of the configuration, as far as this process could hold it.
fn asked(config: &Value, set: &str) -> Outcome<u64> {
    let mut mask = 0;
    for name in super::strings(config, &format!("/process/capabilities/{set}")) {
        let capability: caps::Capability =
            name.parse().map_err(|_| Stop::fail(format!("{name}: unknown capability")))?;
        if crate::host::has_capability(capability) {
            mask |= capability.bitmask();
        }
    }
    Ok(mask)
}

/// Every variable of the configuration, the last of equal names, and HOME.
pub fn environment(config: &Value, facts: &Value) -> Outcome {
    let got = super::strings(facts, "/env");
    for variable in super::strings(config, "/process/env") {
        check!(got.contains(&variable), "{variable} is missing from the environment {got:?}");
    }
    check!(got.iter().any(|v| v.starts_with("HOME=/")), "no HOME in the environment {got:?}");
    Ok(())
}

/// Each namespace is the one that is named, a new one, or the runtime's own.
pub fn namespaces(config: &Value, facts: &Value) -> Outcome {
    let files = [
        ("cgroup", "cgroup"),
        ("ipc", "ipc"),
        ("mount", "mnt"),
        ("network", "net"),
        ("pid", "pid"),
        ("time", "time"),
        ("user", "user"),
        ("uts", "uts"),
    ];
    let list = config["linux"]["namespaces"].as_array();
    for (kind, file) in files {
        let own = link(&format!("/proc/self/ns/{file}"))?;
        let got = facts["namespaces"][file].as_str().unwrap_or_default();
        let entry = list.into_iter().flatten().find(|n| n["type"] == kind);
        match entry.map(|n| n["path"].as_str()) {
            None => check_eq!(got, own, "{kind} namespace, which is not listed"),
            Some(None) => check!(got != own, "the {kind} namespace is the runtime's own"),
            Some(Some(path)) => check_eq!(got, link(path)?, "{kind} namespace of {path}"),
        }
    }
    Ok(())
}

fn link(path: &str) -> Outcome<String> {
    let target = std::fs::read_link(path).map_err(|e| Stop::fail(format!("{path}: {e}")))?;
    Ok(target.to_string_lossy().into_owned())
}
