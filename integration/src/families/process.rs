//! The process of a container: identity, environment, directory, signals, descriptors, limits.

use std::fs;

use serde_json::{Value, json};

use crate::bundle::Bundle;
use crate::context::Context;
use crate::outcome::Outcome;
use crate::{check, check_eq, expect, family};

family!("process":
    default_bundle_is_in_force,
    user_and_groups_are_set_in_order,
    groups_are_empty_when_none_are_asked_for,
    umask_is_0022_unless_the_configuration_says_otherwise,
    capabilities_of_the_five_sets_are_exact,
    capabilities_are_all_dropped_when_the_object_is_absent,
    ambient_capabilities_reach_a_user_that_is_not_root,
    unknown_capabilities_are_ignored,
    no_new_privileges_is_set_only_when_asked_for,
    environment_is_exactly_the_configured_one_and_home,
    home_comes_from_passwd_of_the_container,
    home_that_is_set_is_kept,
    last_of_equal_variables_wins,
    working_directory_is_entered,
    working_directory_that_is_missing_is_made,
    working_directory_of_another_user_is_entered,
    relative_working_directory_is_refused,
    command_is_found_in_path_of_the_container,
    command_with_a_slash_is_not_looked_up,
    relative_command_is_taken_from_the_working_directory,
    rlimits_are_set,
    rlimits_twice_are_refused,
    oom_score_is_set,
    oom_score_is_inherited_when_absent,
    signals_are_clean_at_the_start,
    ignored_signals_of_the_caller_do_not_reach_the_container,
    only_standard_descriptors_are_open,
    standard_input_reaches_the_container_in_the_foreground,
    parent_death_signal_is_not_left_behind,
    process_is_dumpable_after_execve,
    host_and_domain_names_are_set,
    sysctl_is_written_in_the_containers_namespaces,
    session_keyring_is_new,
    session_keyring_is_shared_on_request,
    personality_is_set,
);

fn default_bundle_is_in_force(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?;
    let commands = expect::commands(&bundle.config);
    let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
    let c = bundle.payload(&commands).container()?;
    let lines = c.up_and_report()?;
    expect::everything(ctx, &c.config, &lines)
}

/// Runs a bundle and checks identity and capabilities as its configuration has them.
fn identity_holds(bundle: Bundle<'_>) -> Outcome<Value> {
    let config = bundle.config.clone();
    let facts = bundle.facts()?;
    expect::identity(&config, &facts)?;
    expect::capabilities(&config, &facts)?;
    Ok(facts)
}

fn user_and_groups_are_set_in_order(ctx: &Context) -> Outcome {
    let user = json!({"uid": 1000, "gid": 100, "additionalGids": [4, 27, 1000]});
    identity_holds(Bundle::new(ctx)?.set("/process/user", user)).map(drop)
}

fn groups_are_empty_when_none_are_asked_for(ctx: &Context) -> Outcome {
    let facts = Bundle::new(ctx)?.set("/process/user", json!({"uid": 1, "gid": 2})).facts()?;
    check_eq!(facts["groups"], json!([]), "groups");
    Ok(())
}

fn umask_is_0022_unless_the_configuration_says_otherwise(ctx: &Context) -> Outcome {
    check_eq!(Bundle::new(ctx)?.facts()?["umask"], json!(0o022), "umask by default");
    let facts = Bundle::new(ctx)?.set("/process/user/umask", json!(0o077)).facts()?;
    check_eq!(facts["umask"], json!(0o077), "umask of the configuration");
    Ok(())
}

fn capabilities_of_the_five_sets_are_exact(ctx: &Context) -> Outcome {
    let sets = json!({
        "bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"],
        "permitted": ["CAP_CHOWN", "CAP_KILL"],
        "effective": ["CAP_KILL"],
        "inheritable": ["CAP_KILL"],
        "ambient": ["CAP_KILL"],
    });
    identity_holds(Bundle::new(ctx)?.set("/process/capabilities", sets)).map(drop)
}

fn capabilities_are_all_dropped_when_the_object_is_absent(ctx: &Context) -> Outcome {
    let facts = Bundle::new(ctx)?.remove("/process", "capabilities").facts()?;
    for set in ["inheritable", "permitted", "effective", "bounding", "ambient"] {
        check_eq!(facts["caps"][set], json!(0), "{set}");
    }
    Ok(())
}

fn ambient_capabilities_reach_a_user_that_is_not_root(ctx: &Context) -> Outcome {
    let caps = json!(["CAP_NET_BIND_SERVICE"]);
    let mut bundle = Bundle::new(ctx)?.set("/process/user", json!({"uid": 1000, "gid": 1000}));
    for set in ["bounding", "permitted", "effective", "inheritable", "ambient"] {
        bundle = bundle.set(&format!("/process/capabilities/{set}"), caps.clone());
    }
    let facts = identity_holds(bundle)?;
    check_eq!(facts["caps"]["effective"], json!(1 << 10), "effective");
    Ok(())
}

fn unknown_capabilities_are_ignored(ctx: &Context) -> Outcome {
    let bundle =
        Bundle::new(ctx)?.push("/process/capabilities/bounding", json!("CAP_FROM_THE_FUTURE"));
    bundle.facts().map(drop)
}

fn no_new_privileges_is_set_only_when_asked_for(ctx: &Context) -> Outcome {
    for asked in [true, false] {
        let facts = Bundle::new(ctx)?.set("/process/noNewPrivileges", json!(asked)).facts()?;
        check_eq!(facts["noNewPrivileges"], json!(asked), "no_new_privs");
    }
    let facts = Bundle::new(ctx)?.remove("/process", "noNewPrivileges").facts()?;
    check_eq!(facts["noNewPrivileges"], json!(false), "no_new_privs by default");
    Ok(())
}

fn environment_is_exactly_the_configured_one_and_home(ctx: &Context) -> Outcome {
    let env = json!(["PATH=/bin", "EMPTY=", "SPACES=a b=c"]);
    let c = Bundle::new(ctx)?.set("/process/env", env).container()?;
    let done = c.command("run", &[])?.env("LEAK", "from the caller").done()?.ok()?;
    let facts = crate::bundle::parse_lines(&done.stdout)?.remove(0);
    let mut env: Vec<&str> =
        facts["env"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    env.sort_unstable();
    check_eq!(env, ["EMPTY=", "HOME=/root", "PATH=/bin", "SPACES=a b=c"], "environment");
    Ok(())
}

fn home_comes_from_passwd_of_the_container(ctx: &Context) -> Outcome {
    for (uid, home) in [(0, "HOME=/root"), (1000, "HOME=/home/ada"), (4711, "HOME=/")] {
        let facts = Bundle::new(ctx)?.set("/process/user/uid", json!(uid)).facts()?;
        let env = facts["env"].as_array().cloned().unwrap_or_default();
        check!(env.contains(&json!(home)), "uid {uid} has {env:?}, expected {home}");
    }
    Ok(())
}

fn home_that_is_set_is_kept(ctx: &Context) -> Outcome {
    let facts = Bundle::new(ctx)?.push("/process/env", json!("HOME=/elsewhere")).facts()?;
    let env = facts["env"].as_array().cloned().unwrap_or_default();
    let homes: Vec<_> =
        env.iter().filter(|v| v.as_str().is_some_and(|v| v.starts_with("HOME="))).collect();
    check_eq!(homes, [&json!("HOME=/elsewhere")], "HOME");
    Ok(())
}

fn last_of_equal_variables_wins(ctx: &Context) -> Outcome {
    let env = json!(["PATH=/nowhere", "PATH=/bin", "A=1", "A=2"]);
    let output = Bundle::new(ctx)?
        .set("/process/env", env)
        .args(&["sh", "-c", "echo $A; echo $PATH"])
        .output()?;
    check_eq!(output, "2\n/bin\n", "what a shell sees");
    Ok(())
}

fn working_directory_is_entered(ctx: &Context) -> Outcome {
    check_eq!(Bundle::new(ctx)?.set("/process/cwd", json!("/tmp")).facts()?["cwd"], "/tmp", "cwd");
    Ok(())
}

fn working_directory_that_is_missing_is_made(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?.set("/process/cwd", json!("/new/deep"));
    let rootfs = bundle.rootfs();
    check_eq!(bundle.facts()?["cwd"], "/new/deep", "cwd");
    check!(rootfs.join("new/deep").is_dir(), "the directory is not in the root file system");
    Ok(())
}

fn working_directory_of_another_user_is_entered(ctx: &Context) -> Outcome {
    use std::os::unix::fs::PermissionsExt;
    let bundle = Bundle::new(ctx)?;
    let dir = bundle.rootfs().join("private");
    fs::create_dir(&dir)?;
    std::os::unix::fs::chown(&dir, Some(1000), Some(1000))?;
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o700))?;
    // Root without CAP_DAC_OVERRIDE may not enter it, the user may.
    let user = json!({"uid": 1000, "gid": 1000});
    let facts = bundle.set("/process/user", user).set("/process/cwd", json!("/private")).facts()?;
    check_eq!(facts["cwd"], "/private", "cwd");
    Ok(())
}

fn relative_working_directory_is_refused(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.set("/process/cwd", json!("tmp")).container()?;
    c.run(&[])?.exits(1)?.says(&["cwd", "absolute path"]).map(drop)
}

fn command_is_found_in_path_of_the_container(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?
        .file("/opt/tools/hello", "#!/bin/sh\necho found\n")?
        .set("/process/env", json!(["PATH=/nowhere:/opt/tools:/bin"]));
    let path = bundle.rootfs().join("opt/tools/hello");
    std::os::unix::fs::chown(&path, Some(0), Some(0))?;
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    check_eq!(bundle.args(&["hello"]).output()?, "found\n", "output");
    Ok(())
}

fn command_with_a_slash_is_not_looked_up(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.args(&["/nowhere/true"]).container()?;
    c.run(&[])?.exits(1)?.says(&["no such file or directory"]).map(drop)
}

fn relative_command_is_taken_from_the_working_directory(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?.set("/process/cwd", json!("/bin"));
    check_eq!(bundle.args(&["./payload", "say", "here"]).output()?, "here\n", "output");
    Ok(())
}

fn rlimits_are_set(ctx: &Context) -> Outcome {
    let limits = json!([
        {"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200},
        {"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
        {"type": "RLIMIT_NPROC", "soft": 1000, "hard": 1000},
        {"type": "RLIMIT_STACK", "soft": 1 << 20, "hard": 1 << 21},
        {"type": "RLIMIT_FSIZE", "soft": 1_u64 << 33, "hard": 1_u64 << 33},
    ]);
    identity_holds(Bundle::new(ctx)?.set("/process/rlimits", limits)).map(drop)
}

fn rlimits_twice_are_refused(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?
        .push("/process/rlimits", json!({"type": "RLIMIT_NOFILE", "soft": 1, "hard": 1}));
    bundle.container()?.run(&[])?.exits(1)?.says(&["rlimit"]).map(drop)
}

fn oom_score_is_set(ctx: &Context) -> Outcome {
    let facts = Bundle::new(ctx)?.set("/process/oomScoreAdj", json!(321)).facts()?;
    check_eq!(facts["oomScoreAdj"], json!(321), "oom_score_adj");
    Ok(())
}

fn oom_score_is_inherited_when_absent(ctx: &Context) -> Outcome {
    let own: i32 = fs::read_to_string("/proc/self/oom_score_adj")?.trim().parse()?;
    check_eq!(Bundle::new(ctx)?.facts()?["oomScoreAdj"], json!(own), "oom_score_adj");
    Ok(())
}

fn signals_are_clean_at_the_start(ctx: &Context) -> Outcome {
    let facts = Bundle::new(ctx)?.facts()?;
    for kind in ["blocked", "ignored", "caught"] {
        let mask = facts["signals"][kind].as_u64().unwrap_or(u64::MAX) & 0x7fff_ffff;
        check_eq!(mask, 0, "{kind} signals");
    }
    Ok(())
}

fn ignored_signals_of_the_caller_do_not_reach_the_container(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.container()?;
    let line = format!(
        "trap '' INT HUP USR1 PIPE; exec {} --root {} run --bundle {} {}",
        ctx.runtime.display(),
        ctx.root().display(),
        c.dir.display(),
        c.id
    );
    let shell =
        crate::process::Run::new(std::path::Path::new("/bin/sh"), &["-c", &line], &ctx.dir)?;
    let facts = crate::bundle::parse_lines(&shell.ok()?.stdout)?.remove(0);
    let ignored = facts["signals"]["ignored"].as_u64().unwrap_or(u64::MAX) & 0x7fff_ffff;
    check_eq!(ignored, 0, "ignored signals");
    Ok(())
}

fn only_standard_descriptors_are_open(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.container()?;
    // A caller's descriptors that are open by mistake stay outside.
    let path = c.dir.join("config.json");
    let path = path.to_string_lossy();
    let (runtime, root) = (ctx.runtime.to_string_lossy(), ctx.root());
    let (root, dir) = (root.to_string_lossy(), c.dir.to_string_lossy());
    let args = [
        "with-fds", &path, &path, &path, "--", &runtime, "--root", &root, "run", "--bundle", &dir,
        &c.id,
    ];
    let facts = crate::bundle::parse_lines(&ctx.helper(&args)?.ok()?.stdout)?.remove(0);
    let open: Vec<&String> =
        facts["fds"].as_object().into_iter().flatten().map(|(k, _)| k).collect();
    check_eq!(open, ["0", "1", "2"], "open descriptors");
    Ok(())
}

fn standard_input_reaches_the_container_in_the_foreground(ctx: &Context) -> Outcome {
    let path = ctx.dir.join("input");
    fs::write(&path, "typed by the caller")?;
    let c = Bundle::new(ctx)?.payload(&["stdin"]).container()?;
    let done = c.command("run", &[])?.stdin(fs::File::open(path)?).done()?.ok()?;
    check!(done.stdout.contains("typed by the caller"), "the container read {:?}", done.stdout);
    Ok(())
}

fn parent_death_signal_is_not_left_behind(ctx: &Context) -> Outcome {
    check_eq!(Bundle::new(ctx)?.facts()?["parentDeathSignal"], json!(0), "signal");
    Ok(())
}

fn process_is_dumpable_after_execve(ctx: &Context) -> Outcome {
    check_eq!(Bundle::new(ctx)?.facts()?["dumpable"], json!(1), "dumpable");
    Ok(())
}

fn host_and_domain_names_are_set(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?
        .set("/hostname", json!("a-host"))
        .set("/domainname", json!("example.org"));
    let facts = bundle.facts()?;
    check_eq!(facts["hostname"], "a-host", "host name");
    check_eq!(facts["domainname"], "example.org", "domain name");
    Ok(())
}

fn sysctl_is_written_in_the_containers_namespaces(ctx: &Context) -> Outcome {
    let own = fs::read_to_string("/proc/sys/net/ipv4/ip_forward")?;
    let bundle = Bundle::new(ctx)?.set(
        "/linux/sysctl",
        json!({"net.ipv4.ip_forward": "1", "kernel.msgmax": "8193", "kernel/shm_rmid_forced": "1"}),
    );
    let lines = bundle.reports(&[
        "cat",
        "/proc/sys/net/ipv4/ip_forward",
        ",",
        "cat",
        "/proc/sys/kernel/msgmax",
        ",",
        "cat",
        "/proc/sys/kernel/shm_rmid_forced",
    ])?;
    for (line, value) in lines.iter().zip(["1\n", "8193\n", "1\n"]) {
        check_eq!(line["text"], value, "{}", line["path"]);
    }
    check_eq!(fs::read_to_string("/proc/sys/net/ipv4/ip_forward")?, own, "the host's ip_forward");
    Ok(())
}

fn session_keyring_is_new(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?;
    let id = bundle.id.clone();
    let keyring = bundle.facts()?["keyring"].clone();
    let text = keyring.as_str().unwrap_or_default();
    check!(text.starts_with("keyring;") && text.ends_with(&format!("_ses.{id}")), "it is {text:?}");
    Ok(())
}

fn session_keyring_is_shared_on_request(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.container()?;
    let facts = crate::bundle::parse_lines(&c.run(&["--no-new-keyring"])?.ok()?.stdout)?.remove(0);
    let text = facts["keyring"].as_str().unwrap_or_default();
    check!(!text.contains(&c.id), "it is {text:?}");
    Ok(())
}

fn personality_is_set(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?.set("/linux/personality", json!({"domain": "LINUX32"}));
    let facts = bundle.facts()?;
    check_eq!(facts["personality"], json!(8), "personality");
    Ok(())
}
