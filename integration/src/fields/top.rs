//! The top level: version, root, names, annotations, what is not for Linux.

use std::fs;

use serde_json::json;

use super::row::{Row, row};
use crate::bundle::Bundle;
use crate::context::{Context, Kind};
use crate::outcome::Outcome;
use crate::{check, check_eq};

pub(super) fn rows() -> Vec<Row> {
    vec![
        row("/ociVersion 1.0.0", "config.md#specification-version")
            .set("/ociVersion", json!("1.0.0")),
        row("/ociVersion 1.3.0", "config.md#specification-version")
            .set("/ociVersion", json!("1.3.0")),
        row("/ociVersion is no version", "config.md#valid-values")
            .set("/ociVersion", json!("words"))
            .refused("/ociVersion"),
        row("/root/path, relative", "config.md#root").set("/root/path", json!("./rootfs")),
        row("/root/path, absolute", "config.md#root").with(|_, bundle| {
            let path = json!(bundle.rootfs());
            Ok(bundle.set("/root/path", path))
        }),
        row("/root/path, missing", "config.md#root")
            .set("/root/path", json!("nowhere"))
            .refused("/root/path"),
        row("/root/readonly true", "config.md#root")
            .set("/root/readonly", json!(true))
            .asks(&["probe", "/"])
            .sees("/0/write", json!(30)),
        row("/root/readonly false", "config.md#root")
            .set("/root/readonly", json!(false))
            .asks(&["probe", "/"])
            .sees("/0/write", json!(0)),
        row("/hostname", "config.md#hostname")
            .set("/hostname", json!("a-host"))
            .sees("/0/hostname", json!("a-host")),
        row("/hostname without a UTS namespace", "config.md#hostname")
            .with(|_, bundle| Ok(bundle.without_namespace("uts")))
            .refused("/hostname"),
        row("/domainname", "config.md#domainname")
            .set("/domainname", json!("example.org"))
            .sees("/0/domainname", json!("example.org")),
        row("/process, absent", "runtime.md#start").proves(without_process),
        row("/annotations", "runtime.md#state").proves(annotations),
        row("/annotations, unknown keys", "config.md#annotations")
            .set("/annotations", json!({"org.example.unknown": "", "other": "x"})),
        row("an unknown property", "config.md#extensibility")
            .set("/fromTheFuture", json!({"a": [1]})),
        row("/vm, /zos, /windows, /solaris", "config.md#platform-specific-configuration")
            .set("/vm", json!({"kernel": {"path": "/nowhere"}}))
            .set("/zos", json!({"namespaces": []}))
            .set("/windows", json!({"layerFolders": ["C:\\x"]}))
            .set("/solaris", json!({"milestone": "x"})),
        row("/proc, /sys, /dev/pts, /dev/shm", "config-linux.md#default-filesystems")
            .asks(&["probe", "/proc/self/status", "/sys/kernel", "/dev/pts", "/dev/shm"])
            .sees("/0/kind", json!("file"))
            .sees("/1/kind", json!("dir"))
            .sees("/2/kind", json!("dir"))
            .sees("/3/mode", json!(0o1777)),
    ]
}

/// `create` may do without a process, `start` must not.
fn without_process(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.remove("", "process").container()?;
    let created = c.try_create(&[])?;
    if created.code == 0 {
        check!(c.verb("start")?.code != 0, "start of a container without a process succeeds");
    }
    let names = ctx.kind != Kind::Tare || created.code == 0 || created.stderr.contains("process");
    check!(names, "the message does not name process: {}", created.stderr);
    Ok(())
}

fn annotations(ctx: &Context) -> Outcome {
    let c =
        Bundle::new(ctx)?.set("/annotations", json!({"org.example.key": "words"})).container()?;
    c.create()?;
    let state = c.state()?;
    check_eq!(state["annotations"]["org.example.key"], "words", "annotation in the state");
    let config: serde_json::Value = serde_json::from_slice(&fs::read(c.dir.join("config.json"))?)?;
    check_eq!(config, c.config, "config.json");
    Ok(())
}
