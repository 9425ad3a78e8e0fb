//! Intel RDT, in a directory that stands in for resctrl where the hardware has none. What the
//! kernel does there, which is to fill and empty groups, the tests do.
//!
//! Needs root and a static busybox.

#[allow(dead_code, reason = "shared with another program of tests")]
#[path = "../embedded/fixture.rs"]
mod fixture;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fixture::{BUSYBOX, Fixture, script};
use runtime_core::{
    Container, CreateOptions, Error, ErrorKind, ExecOptions, ExitStatus, Result, Runtime, Update,
    resources_from_json,
};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(30);

/// What resctrl starts with.
const SCHEMATA: &str = "    MB:0=100;1=100\n    L3:0=007ff;1=007ff\n";

struct World {
    fixture: Fixture,
    tree: PathBuf,
    runtime: Runtime,
}

impl World {
    /// `None` where no container can be made.
    fn new(test: &str) -> Option<Self> {
        if !nix::unistd::geteuid().is_root() || !Path::new(BUSYBOX).exists() {
            let _ = writeln!(std::io::stderr(), "{test}: skipped, needs root and busybox-static");
            return None;
        }
        let fixture = Fixture::new();
        let tree = std::env::temp_dir().join(format!("tare-rdt-{}-{test}", std::process::id()));
        fs::create_dir_all(tree.join("info")).unwrap();
        fs::write(tree.join("info/last_cmd_status"), "ok\n").unwrap();
        fs::create_dir(tree.join("mon_groups")).unwrap();
        fs::write(tree.join("schemata"), SCHEMATA).unwrap();
        fs::write(tree.join("tasks"), "").unwrap();
        let runtime = fixture.runtime().resctrl(&tree);
        Some(Self { fixture, tree, runtime })
    }

    /// A group that somebody set up before.
    fn group(&self, name: &str, schemata: &str) -> PathBuf {
        let group = self.tree.join(name);
        fs::create_dir(&group).unwrap();
        fs::create_dir(group.join("mon_groups")).unwrap();
        fs::write(group.join("schemata"), schemata).unwrap();
        fs::write(group.join("tasks"), "").unwrap();
        group
    }

    fn config(&self, id: &str, rdt: Value) -> Value {
        let mut config = self.fixture.config(id, "exec busybox sleep 1000");
        config["linux"]["intelRdt"] = rdt;
        config
    }

    fn create(&self, id: &str, rdt: Value) -> Result<Container> {
        let bundle = self.fixture.bundle(id, &self.config(id, rdt));
        self.runtime.create(id, &bundle, CreateOptions::default())
    }

    fn refused(&self, id: &str, rdt: Value) -> Error {
        let error = self.create(id, rdt).map(drop).unwrap_err();
        assert_eq!(self.fixture.leftovers(), Vec::<PathBuf>::new(), "left of {id}");
        error
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.tree);
    }
}

fn text(path: PathBuf) -> String {
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn pid(container: &Container) -> String {
    container.process().unwrap().pid().to_string()
}

/// The files of a group go with its directory in resctrl, and only there.
fn empty(group: &Path) {
    for name in ["schemata", "tasks"] {
        let _ = fs::remove_file(group.join(name));
    }
}

#[test]
fn container_has_a_group_under_its_id_that_goes_with_it() {
    let Some(world) = World::new("own") else { return };
    let rdt = json!({
        "schemata": ["L2:0=f", "L3:0=1f"], "memBwSchema": "MB:0=20;1=70", "l3CacheSchema": "L3:0=7f0;1=1f",
    });
    let container = world.create("own", rdt).unwrap();
    let group = world.tree.join("own");
    let written = "L3:0=7f0;1=1f\nMB:0=20;1=70\nL2:0=f\nL3:0=1f\n";
    assert_eq!(text(group.join("schemata")), written);
    assert_eq!(text(group.join("tasks")), pid(&container));
    assert_eq!(text(world.tree.join("schemata")), SCHEMATA);
    empty(&group);
    container.delete(true).unwrap();
    assert!(!group.exists(), "the group is left");
}

#[test]
fn nothing_is_written_to_schemata_without_a_schema() {
    let Some(world) = World::new("none") else { return };
    let container = world.create("none", json!({})).unwrap();
    let group = world.tree.join("none");
    assert_eq!(text(group.join("tasks")), pid(&container));
    assert!(!group.join("schemata").exists());
    assert_eq!(text(world.tree.join("schemata")), SCHEMATA);
}

#[test]
fn group_of_somebody_else_under_the_id_is_used_and_stays() {
    let Some(world) = World::new("there") else { return };
    let group = world.group("there", SCHEMATA);
    let container = world.create("there", json!({"l3CacheSchema": "L3:0=1"})).unwrap();
    assert_eq!(text(group.join("schemata")), "L3:0=1\n");
    assert_eq!(text(group.join("tasks")), pid(&container));
    empty(&group);
    container.delete(true).unwrap();
    assert!(group.exists());
}

#[test]
fn named_group_is_made_and_stays() {
    let Some(world) = World::new("named") else { return };
    let rdt = json!({"closID": "gold", "schemata": ["MB:0=50"]});
    let container = world.create("named", rdt).unwrap();
    let group = world.tree.join("gold");
    assert_eq!(text(group.join("schemata")), "MB:0=50\n");
    assert_eq!(text(group.join("tasks")), pid(&container));
    empty(&group);
    container.delete(true).unwrap();
    assert!(group.exists() && !world.tree.join("named").exists());
}

#[test]
fn named_group_that_is_there_must_have_the_schema() {
    let Some(world) = World::new("compare") else { return };
    let group = world.group("gold", "    MB:0= 20;1= 70\n    L3:0=007f0;1=0001f\n");
    let before = text(group.join("schemata"));
    for (member, schema) in [("l3CacheSchema", "L3:0=7f;1=1f"), ("memBwSchema", "MB:0=20;1=80")] {
        let error = world.refused("compare", json!({"closID": "gold", member: schema}));
        assert_eq!(error.pointer(), Some("/linux/intelRdt"), "{error}");
        assert!(error.to_string().contains(schema), "{error}");
        assert_eq!(text(group.join("schemata")), before);
        assert_eq!(text(group.join("tasks")), "");
    }
    let rdt = json!({"closID": "gold", "l3CacheSchema": "L3:1=1F;0=7f0", "memBwSchema": "MB:0=20"});
    let container = world.create("compare", rdt).unwrap();
    assert_eq!(text(group.join("tasks")), pid(&container));
}

#[test]
fn named_group_without_a_schema_must_be_there() {
    let Some(world) = World::new("missing") else { return };
    let error = world.refused("missing", json!({"closID": "gold"}));
    assert_eq!(error.pointer(), Some("/linux/intelRdt/closID"), "{error}");
    let group = world.group("gold", SCHEMATA);
    let container = world.create("missing", json!({"closID": "gold"})).unwrap();
    assert_eq!(text(group.join("tasks")), pid(&container));
    assert_eq!(text(group.join("schemata")), SCHEMATA);
}

#[test]
fn slash_is_the_group_of_all() {
    let Some(world) = World::new("slash") else { return };
    let container = world.create("slash", json!({"closID": "/"})).unwrap();
    assert_eq!(text(world.tree.join("tasks")), pid(&container));
    container.delete(true).unwrap();
    assert_eq!(text(world.tree.join("schemata")), SCHEMATA);
    let error = world.refused("slash", json!({"closID": "/", "memBwSchema": "MB:0=50"}));
    assert_eq!(error.pointer(), Some("/linux/intelRdt"), "{error}");
}

#[test]
fn monitoring_group_goes_with_the_container() {
    let Some(world) = World::new("monitor") else { return };
    let group = world.group("gold", SCHEMATA);
    for (closid, parent) in [("gold", &group), ("/", &world.tree)] {
        let rdt = json!({"closID": closid, "enableMonitoring": true});
        let container = world.create("monitor", rdt).unwrap();
        let monitor = parent.join("mon_groups/monitor");
        assert_eq!(text(monitor.join("tasks")), pid(&container));
        assert_eq!(text(parent.join("tasks")), pid(&container));
        empty(&monitor);
        container.delete(true).unwrap();
        assert!(!monitor.exists() && parent.exists());
    }
}

#[test]
fn monitoring_group_that_cannot_be_made_is_an_error_with_the_reason() {
    let Some(world) = World::new("unmonitored") else { return };
    let status = "Out of RMIDs\n";
    fs::write(world.tree.join("info/last_cmd_status"), status).unwrap();
    let group = world.group("gold", SCHEMATA);
    fs::create_dir(group.join("mon_groups/unmonitored")).unwrap();
    let rdt = json!({"closID": "gold", "enableMonitoring": true});
    let error = world.refused("unmonitored", rdt);
    assert_eq!(error.pointer(), Some("/linux/intelRdt/enableMonitoring"), "{error}");
    assert!(error.to_string().contains("Out of RMIDs"), "{error}");
    assert!(group.join("mon_groups/unmonitored").exists(), "that of another was removed");
}

#[test]
fn executed_process_joins_the_groups() {
    let Some(world) = World::new("exec") else { return };
    let group = world.group("gold", SCHEMATA);
    let rdt = json!({"closID": "gold", "enableMonitoring": true});
    let container = world.create("exec", rdt).unwrap();
    container.start().unwrap();
    let process = container.exec(script("true"), ExecOptions::default()).unwrap();
    let status = process.wait_timeout(PATIENCE).unwrap();
    assert_eq!(status, Some(ExitStatus::Exited(0)));
    for joined in [&group, &group.join("mon_groups/exec")] {
        assert_eq!(text(joined.join("tasks")), process.pid().to_string());
        empty(joined);
    }
    container.delete(true).unwrap();
}

#[test]
fn group_is_removed_when_creation_fails() {
    let Some(world) = World::new("failing") else { return };
    let group = world.tree.join("failing");
    let mut config = world.config("failing", json!({"schemata": ["MB:0=50"]}));
    let remove = format!("rm {} && exit 7", group.join("schemata").display());
    config["hooks"]["createRuntime"] = json!([{"path": "/bin/sh", "args": ["sh", "-c", remove]}]);
    let bundle = world.fixture.bundle("failing", &config);
    let failed = world.runtime.create("failing", &bundle, CreateOptions::default());
    let error = failed.map(drop).unwrap_err();
    // 7 and not 1: the group was there and set up.
    assert!(error.kind() == ErrorKind::Hook && error.to_string().contains('7'), "{error}");
    assert!(!group.exists(), "the group is left");
}

#[test]
fn resctrl_must_be_mounted() {
    let Some(world) = World::new("unmounted") else { return };
    if fs::read_to_string("/proc/self/mountinfo").unwrap().contains(" - resctrl ") {
        let _ = writeln!(std::io::stderr(), "unmounted: skipped, resctrl is mounted here");
        return;
    }
    let bundle = world.fixture.bundle("unmounted", &world.config("unmounted", json!({})));
    let failed = world.fixture.runtime().create("unmounted", &bundle, CreateOptions::default());
    let error = failed.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(error.pointer(), Some("/linux/intelRdt"));
    assert!(error.to_string().contains("mount -t resctrl"), "{error}");
}

fn update(resources: &str, l3: Option<&str>, mb: Option<&str>) -> Update {
    Update {
        resources: resources_from_json(resources.as_bytes()).unwrap(),
        l3_cache_schema: l3.map(str::to_owned),
        mem_bw_schema: mb.map(str::to_owned),
    }
}

#[test]
fn update_writes_the_schemata_of_the_containers_group() {
    let Some(world) = World::new("update") else { return };
    let group = world.group("gold", SCHEMATA);
    let container = world.create("update", json!({"closID": "gold"})).unwrap();
    container.update(&update("{}", Some("L3:0=3"), None)).unwrap();
    assert_eq!(text(group.join("schemata")), "L3:0=3\n");
    container.update(&update("{}", None, Some("MB:0=30;1=40"))).unwrap();
    assert_eq!(text(group.join("schemata")), "MB:0=30;1=40\n");
    container.update(&update("{}", Some("L3:0=1;1=7"), Some("MB:0=50"))).unwrap();
    assert_eq!(text(group.join("schemata")), "L3:0=1;1=7\nMB:0=50\n");
    assert_eq!(text(world.tree.join("schemata")), SCHEMATA, "that of the root");
    // Limits of the cgroup alone leave it as it is.
    container.update(&update(r#"{"pids": {"limit": 50}}"#, None, None)).unwrap();
    assert_eq!(text(group.join("schemata")), "L3:0=1;1=7\nMB:0=50\n");
    container.delete(true).unwrap();
}

#[test]
fn failed_update_puts_the_schemata_back() {
    let Some(world) = World::new("undone") else { return };
    let group = world.group("gold", SCHEMATA);
    let container = world.create("undone", json!({"closID": "gold"})).unwrap();
    let impossible = r#"{"cpu": {"cpus": "100000"}}"#;
    container.update(&update(impossible, Some("L3:0=3"), None)).map(drop).unwrap_err();
    let lines = |text: String| text.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>();
    assert_eq!(lines(text(group.join("schemata"))), lines(SCHEMATA.to_owned()));
    container.delete(true).unwrap();
}

#[test]
fn update_needs_a_container_with_a_group() {
    let Some(world) = World::new("groupless") else { return };
    let config = world.fixture.config("groupless", "exec busybox sleep 1000");
    let bundle = world.fixture.bundle("groupless", &config);
    let container = world.runtime.create("groupless", &bundle, CreateOptions::default()).unwrap();
    for (l3, mb) in [(Some("L3:0=1"), None), (None, Some("MB:0=50"))] {
        let error = container.update(&update("{}", l3, mb)).map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("Intel RDT"), "{error}");
    }
    container.delete(true).unwrap();
}

#[test]
fn events_have_the_numbers_of_the_group_and_of_its_monitoring() {
    let Some(world) = World::new("events") else { return };
    let group = world.group("gold", "    MB:0= 50;1=100\n    L3:0=00003;1=007ff\n");
    let put = |path: PathBuf, text: &str| {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    for (name, text) in [
        ("L3/cbm_mask", "7ff\n"),
        ("L3/min_cbm_bits", "1\n"),
        ("L3/num_closids", "16\n"),
        ("MB/bandwidth_gran", "10\n"),
        ("MB/delay_linear", "1\n"),
        ("MB/min_bandwidth", "10\n"),
        ("MB/num_closids", "8\n"),
        ("L3_MON/mon_features", "llc_occupancy\nmbm_total_bytes\nmbm_local_bytes\n"),
    ] {
        put(world.tree.join("info").join(name), text);
    }
    let container = world.create("events", json!({"closID": "gold"})).unwrap();
    for (cache, total, local, held) in
        [("mon_L3_00", "1000\n", "400\n", "65536\n"), ("mon_L3_01", "Unavailable\n", "7\n", "0\n")]
    {
        let data = group.join("mon_data").join(cache);
        put(data.join("mbm_total_bytes"), total);
        put(data.join("mbm_local_bytes"), local);
        put(data.join("llc_occupancy"), held);
    }
    let stats = serde_json::to_value(container.stats().unwrap()).unwrap();
    let wanted = json!({
        "l3_cache_info": {"cbm_mask": "7ff", "min_cbm_bits": 1, "num_closids": 16},
        "l3_cache_schema_root": "L3:0=007ff;1=007ff",
        "l3_cache_schema": "L3:0=00003;1=007ff",
        "mem_bw_info": {
            "bandwidth_gran": 10, "delay_linear": 1, "min_bandwidth": 10, "num_closids": 8,
        },
        "mem_bw_schema_root": "MB:0=100;1=100",
        "mem_bw_schema": "MB:0= 50;1=100",
        "schemata": ["MB:0= 50;1=100", "L3:0=00003;1=007ff"],
        "mbm_stats": [
            {"mbm_total_bytes": 1000, "mbm_local_bytes": 400},
            {"mbm_total_bytes": 0, "mbm_local_bytes": 7},
        ],
        "cmt_stats": [{"llc_occupancy": 65536}, {"llc_occupancy": 0}],
    });
    assert_eq!(stats["intel_rdt"], wanted);
    container.delete(true).unwrap();
}
