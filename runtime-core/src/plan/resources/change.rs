//! Limits that change while a container runs.

use oci_spec::runtime::LinuxResources;
use serde_json::{Map, Value};

use super::Write;
use crate::error::{Error, ErrorKind, Result};

/// The limits after `change` of `before`: what the change leaves out stays, but for
/// device rules, which no change is about.
///
/// # Errors
/// None that a checked document leads to.
pub fn changed(before: &LinuxResources, change: &LinuxResources) -> Result<LinuxResources> {
    let mut tree = tree(before)?;
    let mut change = asked(change)?;
    for document in [&mut tree, &mut change] {
        if let Value::Object(members) = document {
            members.remove("devices");
        }
    }
    settle(&mut tree, &change);
    merge(&mut tree, change);
    // By way of text: config.json is read from text, too, so that one deserialiser does for both.
    let text = serde_json::to_vec(&tree).map_err(|error| unreadable(&error))?;
    serde_json::from_slice(&text).map_err(|error| unreadable(&error))
}

/// Those of `writes` that `change` is about: the others stay as they are, whoever may
/// have set them meanwhile.
pub fn concerned(writes: Vec<Write>, change: &LinuxResources) -> Result<Vec<Write>> {
    let Value::Object(members) = asked(change)? else { return Ok(Vec::new()) };
    let is_named = |write: &Write| {
        let field = write.pointer.strip_prefix("/linux/resources/").unwrap_or_default();
        let member = field.split('/').next().unwrap_or_default();
        members.contains_key(member)
    };
    Ok(writes.into_iter().filter(is_named).collect())
}

/// What `change` asks for. Docker sends zeros for what it does not ask for.
fn asked(change: &LinuxResources) -> Result<Value> {
    const NOTHING_WHEN_ZERO: [(&str, &[&str]); 3] = [
        ("memory", &["limit", "swap", "reservation", "kernel", "kernelTCP"]),
        ("cpu", &["shares", "quota", "period", "realtimeRuntime", "realtimePeriod"]),
        ("blockIO", &["weight", "leafWeight"]),
    ];
    let mut tree = tree(change)?;
    let Value::Object(objects) = &mut tree else { return Ok(tree) };
    for (object, names) in NOTHING_WHEN_ZERO {
        if let Some(Value::Object(members)) = objects.get_mut(object) {
            members.retain(|name, value| *value != 0 || !names.contains(&name.as_str()));
            if members.is_empty() {
                objects.remove(object);
            }
        }
    }
    Ok(tree)
}

fn tree(resources: &LinuxResources) -> Result<Value> {
    let mut tree = serde_json::to_value(resources).map_err(|error| unreadable(&error))?;
    drop_nulls(&mut tree);
    Ok(tree)
}

fn unreadable(error: &serde_json::Error) -> Error {
    Error::new(ErrorKind::System, format!("limits: {error}"))
}

fn drop_nulls(tree: &mut Value) {
    if let Value::Object(members) = tree {
        members.retain(|_, value| !value.is_null());
        members.values_mut().for_each(drop_nulls);
    }
}

/// Settings that do not outlive a change of another one.
fn settle(before: &mut Value, change: &Value) {
    let mut drop = |object: &str, member: &str| {
        if let Some(Value::Object(members)) = before.get_mut(object) {
            members.remove(member);
        }
    };
    let has = |pointer: &str| change.pointer(pointer).is_some();
    // Memory without a limit has no limit of swap either, unless one is asked for.
    if change.pointer("/memory/limit") == Some(&Value::from(-1)) && !has("/memory/swap") {
        drop("memory", "swap");
    }
    // An idle group takes no shares.
    if has("/cpu/idle") && !has("/cpu/shares") {
        drop("cpu", "shares");
    }
}

/// Objects member by member, lists of devices device by device, all else whole.
fn merge(into: &mut Value, change: Value) {
    match (into, change) {
        (Value::Object(into), Value::Object(change)) => {
            for (name, value) in change {
                match into.get_mut(&name) {
                    Some(there) => merge(there, value),
                    None => drop(into.insert(name, value)),
                }
            }
        }
        (Value::Array(into), Value::Array(change)) => {
            for entry in change {
                let mut is_new = true;
                // Of a device that is listed twice the last limit would hold.
                for there in into.iter_mut().filter(|there| is_same(there, &entry)) {
                    merge(there, entry.clone());
                    is_new = false;
                }
                if is_new {
                    into.push(entry);
                }
            }
        }
        (into, change) => *into = change,
    }
}

/// Whether two entries are about the same device, page size or interface.
fn is_same(one: &Value, other: &Value) -> bool {
    const KEYS: [&str; 4] = ["major", "minor", "pageSize", "name"];
    let key = |entry: &Value| -> Option<Vec<Option<Value>>> {
        let members: &Map<String, Value> = entry.as_object()?;
        let key: Vec<_> = KEYS.iter().map(|name| members.get(*name).cloned()).collect();
        key.iter().any(Option::is_some).then_some(key)
    };
    key(one).is_some_and(|one| Some(one) == key(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resources(text: &str) -> LinuxResources {
        serde_json::from_str(text).unwrap()
    }

    fn after(before: &str, change: &str) -> Value {
        tree(&changed(&resources(before), &resources(change)).unwrap()).unwrap()
    }

    #[test]
    fn what_a_change_leaves_out_stays() {
        let both =
            after(r#"{"cpu": {"quota": 5000, "cpus": "0"}}"#, r#"{"cpu": {"period": 9000}}"#);
        assert_eq!(both["cpu"]["quota"], 5000);
        assert_eq!(both["cpu"]["period"], 9000);
        assert_eq!(both["cpu"]["cpus"], "0");
    }

    #[test]
    fn lists_change_device_by_device() {
        let list = after(
            r#"{"blockIO": {"weightDevice": [{"major": 8, "minor": 0, "weight": 100}]}}"#,
            r#"{"blockIO": {"weightDevice": [{"major": 8, "minor": 0, "weight": 200},
                {"major": 8, "minor": 16, "weight": 300}]}}"#,
        );
        let weights = list.pointer("/blockIO/weightDevice").unwrap().as_array().unwrap();
        assert_eq!(weights.len(), 2);
        assert_eq!(weights[0]["weight"], 200);
    }

    #[test]
    fn a_device_that_is_listed_twice_changes_in_both_places() {
        let list = after(
            r#"{"blockIO": {"throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 1},
                {"major": 8, "minor": 0, "rate": 2}]}}"#,
            r#"{"blockIO": {"throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 3}]}}"#,
        );
        let rates = list.pointer("/blockIO/throttleReadBpsDevice").unwrap().as_array().unwrap();
        assert!(rates.iter().all(|entry| entry["rate"] == 3), "{rates:?}");
    }

    #[test]
    fn some_settings_go_with_others() {
        let memory =
            after(r#"{"memory": {"limit": 5, "swap": 9}}"#, r#"{"memory": {"limit": -1}}"#);
        assert_eq!(memory["memory"].get("swap"), None);
        let idle = after(r#"{"cpu": {"shares": 5}}"#, r#"{"cpu": {"idle": 1}}"#);
        assert_eq!(idle["cpu"].get("shares"), None);
    }

    #[test]
    fn zeros_of_limits_that_cannot_be_zero_change_nothing() {
        let before = r#"{"memory": {"limit": 5, "swap": 9}, "cpu": {"quota": 5000, "burst": 7}}"#;
        let change = r#"{"memory": {"limit": 0, "reservation": 0, "kernel": 0},
            "cpu": {"quota": 0, "burst": 0, "shares": 0}, "blockIO": {"weight": 0}}"#;
        let after = after(before, change);
        assert_eq!(after["memory"], tree(&resources(before)).unwrap()["memory"]);
        assert_eq!(after["cpu"]["quota"], 5000);
        assert_eq!(after["cpu"]["burst"], 0);
        assert_eq!(after.get("blockIO"), None);
        let limits = super::super::v2(&resources(before)).unwrap();
        let written = concerned(limits.writes, &resources(change)).unwrap();
        assert!(written.iter().all(|write| write.controller == "cpu"), "{written:?}");
    }

    #[test]
    fn only_what_changes_is_written() {
        let before = resources(r#"{"pids": {"limit": 5}, "memory": {"limit": 100}}"#);
        let change = resources(r#"{"pids": {"limit": 7}}"#);
        let limits = super::super::v2(&changed(&before, &change).unwrap()).unwrap();
        let written = concerned(limits.writes, &change).unwrap();
        let files: Vec<_> = written.iter().map(|write| write.file.as_ref()).collect();
        assert_eq!(files, ["pids.max"]);
    }
}
