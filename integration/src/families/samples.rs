//! Configurations that engines wrote: each must run, and be in force inside.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::bundle::Bundle;
use crate::console::{Master, Receiver};
use crate::container::Container;
use crate::context::{Context, Kind};
use crate::expect;
use crate::host::Holder;
use crate::outcome::{Outcome, Stop};
use crate::{check_eq, family};

family!("samples":
    ctr_run_default,
    ctr_run_limits,
    docker_run_default,
    docker_run_devices,
    docker_run_hardened,
    docker_run_privileged,
    docker_run_tty_limits,
    podman_run_default,
    podman_run_readonly,
    podman_run_systemd,
    podman_run_userns,
    docker_exec_process,
    other_bundles_given_by_the_environment,
);

fn ctr_run_default(ctx: &Context) -> Outcome {
    run_sample(ctx, "ctr-run-default")
}

fn ctr_run_limits(ctx: &Context) -> Outcome {
    run_sample(ctx, "ctr-run-limits")
}

fn docker_run_default(ctx: &Context) -> Outcome {
    run_sample(ctx, "docker-run-default")
}

fn docker_run_devices(ctx: &Context) -> Outcome {
    run_sample(ctx, "docker-run-devices")
}

fn docker_run_hardened(ctx: &Context) -> Outcome {
    run_sample(ctx, "docker-run-hardened")
}

fn docker_run_privileged(ctx: &Context) -> Outcome {
    run_sample(ctx, "docker-run-privileged")
}

fn docker_run_tty_limits(ctx: &Context) -> Outcome {
    run_sample(ctx, "docker-run-tty-limits")
}

fn podman_run_default(ctx: &Context) -> Outcome {
    run_sample(ctx, "podman-run-default")
}

fn podman_run_readonly(ctx: &Context) -> Outcome {
    run_sample(ctx, "podman-run-readonly")
}

fn podman_run_systemd(ctx: &Context) -> Outcome {
    run_sample(ctx, "podman-run-systemd")
}

fn podman_run_userns(ctx: &Context) -> Outcome {
    run_sample(ctx, "podman-run-userns")
}

/// `docker exec -u 1000 -w /tmp -e X=y` in the container it was made for.
fn docker_exec_process(ctx: &Context) -> Outcome {
    let sample = Sample::prepare(ctx, read(&directory().join("docker-run-default.json"))?)?;
    let mut process = read(&directory().join("docker-exec.process.json"))?;
    process["args"] = json!(["/bin/payload", "facts"]);
    let file = ctx.dir.join("process.json");
    fs::write(&file, process.to_string())?;
    let c = sample.bundle.payload(&["sleep", "60000"]).container()?;
    c.up()?;
    let done = ctx.ok(&["exec", "--process", &file.to_string_lossy(), &c.id])?;
    let facts = crate::bundle::parse_lines(&done.stdout)?.pop().unwrap_or_default();
    let mut config = c.config.clone();
    config["process"] = process;
    expect::identity(&config, &facts)?;
    expect::capabilities(&config, &facts)?;
    expect::environment(&config, &facts)?;
    check_eq!(facts["seccomp"], json!(2), "seccomp mode of the executed process");
    Ok(())
}

/// Every *.json in the directory that the variable `BUNDLES` names.
fn other_bundles_given_by_the_environment(ctx: &Context) -> Outcome {
    let Some(dir) = std::env::var_os("BUNDLES") else {
        return Err(Stop::skip("the variable BUNDLES names no directory"));
    };
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let config = read(&path)?;
        if config.get("process").is_some() {
            run_config(ctx, config)
                .map_err(|e| Stop::fail(format!("{}: {e:?}", path.display())))?;
        }
    }
    Ok(())
}

fn run_sample(ctx: &Context, name: &str) -> Outcome {
    run_config(ctx, read(&directory().join(name).with_extension("json"))?)
}

/// Runs a configuration with the payload as its program and holds what that reports against it.
fn run_config(ctx: &Context, config: Value) -> Outcome {
    let sample = Sample::prepare(ctx, config)?;
    let commands = expect::commands(&sample.bundle.config);
    let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
    let terminal = sample.bundle.config["process"]["terminal"] == true;
    let c = sample.bundle.payload(&commands).container()?;
    let lines = if terminal { report_by_terminal(ctx, &c)? } else { c.up_and_report()? };
    expect::everything(ctx, &c.config, &lines)?;
    expect::hooks(&c, &sample.hooks)
}

fn report_by_terminal(ctx: &Context, c: &Container<'_>) -> Outcome<Vec<Value>> {
    let receiver = Receiver::new(&ctx.dir.join("console"))?;
    c.try_create(&["--console-socket", &receiver.path()])?.ok()?;
    let mut master = Master::new(receiver.receive()?.0)?;
    c.start()?;
    let output = master.until_end(|| c.ended())?;
    crate::bundle::parse_lines(&output)
}

fn read(path: &Path) -> Outcome<Value> {
    let text = fs::read(path).map_err(|e| Stop::fail(format!("{}: {e}", path.display())))?;
    Ok(serde_json::from_slice(&text)?)
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../bundles/samples")
}

/// A configuration fitted to this machine, and what it leans on.
struct Sample<'c> {
    bundle: Bundle<'c>,
    /// Where the hooks write.
    hooks: PathBuf,
    /// Owners of the namespaces that the container joins.
    _holders: Vec<Holder>,
}

impl<'c> Sample<'c> {
    fn prepare(ctx: &'c Context, config: Value) -> Outcome<Self> {
        let mut bundle = Bundle::from_config(ctx, config)?;
        let hooks = bundle.dir.join("hooks.log");
        let config = &mut bundle.config;
        drop_mounts_of_v1(ctx, config);
        own_bind_sources(&bundle.dir, config)?;
        files_below_tmpfs(&bundle.dir, config)?;
        own_hooks(ctx, &hooks, config);
        let holders = own_namespaces(ctx, config)?;
        clip_rlimits(config)?;
        if ctx.kind != Kind::Tare {
            clip_capabilities(config);
        }
        clip_resources(ctx, config);
        if let Some(owner) = root_owner(config)? {
            bundle.give_rootfs_to(owner)?;
        }
        Ok(Self { bundle, hooks, _holders: holders })
    }
}

/// Who is root of the container's user namespace, on the host.
fn root_owner(config: &Value) -> Outcome<Option<u32>> {
    let id = config.pointer("/linux/uidMappings/0/hostID").and_then(Value::as_u64);
    Ok(id.map(u32::try_from).transpose()?)
}

/// podman asks for a bind mount of a v1 hierarchy only where there is one.
fn drop_mounts_of_v1(ctx: &Context, config: &mut Value) {
    let Some(mounts) = config["mounts"].as_array_mut() else { return };
    let foreign = |m: &Value| {
        let source = m["source"].as_str().unwrap_or_default();
        source.starts_with("/sys/") && !Path::new(source).exists()
    };
    for mount in mounts.extract_if(.., |m| foreign(m)) {
        println!("      mount of {} dropped: not there with {:?}", mount["source"], ctx.layout);
    }
}

/// What tmpcopyup has to copy.
fn files_below_tmpfs(dir: &Path, config: &Value) -> Outcome {
    for mount in config["mounts"].as_array().into_iter().flatten() {
        let options = mount["options"].as_array().into_iter().flatten();
        if options.into_iter().any(|o| o == "tmpcopyup") {
            let point = mount["destination"].as_str().unwrap_or_default();
            let below = dir.join("rootfs").join(point.trim_start_matches('/'));
            fs::create_dir_all(&below)?;
            fs::write(below.join("copied-up"), "below")?;
        }
    }
    Ok(())
}

/// Bind sources become files and directories of the test; what names a directory by its habits
/// (shm, data, cgroup) becomes one.
fn own_bind_sources(dir: &Path, config: &mut Value) -> Outcome {
    let owner = root_owner(config)?.unwrap_or(0);
    let mounts = config["mounts"].as_array_mut().into_iter().flatten();
    for (index, mount) in mounts.enumerate().filter(|(_, m)| expect::is_bind(m)) {
        let source = mount["source"].as_str().unwrap_or_default();
        if source.starts_with("/sys/") {
            continue;
        }
        let own = dir.join(format!("source{index}"));
        if source.ends_with("docker-init") {
            // It is the program that the sample's own arguments begin with.
            fs::copy(dir.join("rootfs/bin/busybox"), &own)?;
        } else if ["shm", "data"].iter().any(|name| source.ends_with(name)) {
            fs::create_dir(&own)?;
            fs::write(own.join("marker"), expect::marker(index))?;
        } else {
            fs::write(&own, expect::marker(index))?;
        }
        crate::bundle::give_file(&own, owner)?;
        mount["source"] = json!(own);
    }
    Ok(())
}

/// Hooks become the payload, which writes down how it was called.
fn own_hooks(ctx: &Context, log: &Path, config: &mut Value) {
    for (kind, hooks) in config["hooks"].as_object_mut().into_iter().flatten() {
        for hook in hooks.as_array_mut().into_iter().flatten() {
            hook["path"] = json!(ctx.payload);
            hook["args"] = json!(["payload", "hook", log, kind]);
        }
    }
    if config["hooks"].is_null()
        && let Some(members) = config.as_object_mut()
    {
        members.remove("hooks");
    }
}

fn own_namespaces(ctx: &Context, config: &mut Value) -> Outcome<Vec<Holder>> {
    let mut holders = Vec::new();
    for namespace in config["linux"]["namespaces"].as_array_mut().into_iter().flatten() {
        if namespace.get("path").is_some() {
            let kind = namespace["type"].as_str().unwrap_or_default().to_owned();
            let holder = Holder::new(ctx, &[&kind])?;
            namespace["path"] = json!(holder.path(&kind));
            holders.push(holder);
        }
    }
    Ok(holders)
}

/// Hard limits above this process's own need CAP_SYS_RESOURCE.
fn clip_rlimits(config: &mut Value) -> Outcome {
    if crate::host::has_capability(caps::Capability::CAP_SYS_RESOURCE) {
        return Ok(());
    }
    for limit in config["process"]["rlimits"].as_array_mut().into_iter().flatten() {
        let name = limit["type"].as_str().unwrap_or_default().to_owned();
        let most = crate::host::hard_limit(&name)?;
        for part in ["soft", "hard"] {
            if limit[part].as_u64().is_some_and(|n| n > most) {
                println!("      {name} {part} {} clipped to {most}", limit[part]);
                limit[part] = json!(most);
            }
        }
    }
    Ok(())
}

/// runc and crun fail where a capability is asked for that they do not hold themselves.
fn clip_capabilities(config: &mut Value) {
    for (_, set) in config["process"]["capabilities"].as_object_mut().into_iter().flatten() {
        if let Some(names) = set.as_array_mut() {
            names.retain(|name| {
                let capability = name.as_str().and_then(|n| n.parse().ok());
                capability.is_none_or(crate::host::has_capability)
            });
        }
    }
}

/// A limit whose controller is not there cannot be set.
fn clip_resources(ctx: &Context, config: &mut Value) {
    let needs = [
        ("memory", "memory"),
        ("cpu", "cpu"),
        ("cpuset", "cpu"),
        ("pids", "pids"),
        ("io", "blockIO"),
    ];
    let Some(resources) = config["linux"]["resources"].as_object_mut() else { return };
    for (controller, name) in needs {
        if !crate::cgroups::has(ctx.layout, controller) && resources.remove(name).is_some() {
            println!("      resources.{name} dropped: no {controller} controller here");
        }
    }
}
