//! Bad input: one clear line, the expected phrase and exit code, and nothing left behind.
//!
//! What is left behind is looked for by the runner after every test; here each case is also looked
//! at on its own, so that the message names it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::bundle::Bundle;
use crate::context::{Context, Kind};
use crate::host::Holder;
use crate::leftovers;
use crate::outcome::{Outcome, Stop};
use crate::process::Done;
use crate::{check, family};

family!("bad_input":
    bundle_that_is_missing,
    bundle_without_config,
    config_that_is_not_json_names_line_and_column,
    config_that_is_empty,
    config_that_is_a_directory,
    values_of_the_wrong_type,
    values_out_of_range,
    spec_version_that_is_unknown,
    process_that_is_missing,
    args_that_are_empty,
    unknown_namespace,
    duplicate_namespace,
    root_that_is_a_file,
    root_that_is_missing,
    root_that_is_the_hosts,
    id_that_is_empty,
    namespace_that_is_gone,
    namespace_of_the_wrong_type,
    command_that_is_not_there,
    command_that_is_not_executable,
    command_that_is_a_directory,
    command_whose_interpreter_is_missing,
    cgroup_that_cannot_be_made,
    cgroup_path_that_climbs,
    state_directory_that_is_read_only,
    state_directory_that_is_a_file,
    state_directory_that_is_full,
    hostname_without_a_uts_namespace,
    mappings_without_a_user_namespace,
    sysctl_of_the_host,
    mount_of_an_unknown_file_system,
    mount_option_that_is_unknown,
    mount_on_the_root,
    seccomp_action_that_is_unknown,
    seccomp_name_that_is_unknown_and_must_not_be,
    seccomp_program_that_is_none,
    seccomp_rule_about_a_seventh_argument,
    seccomp_notification_of_everything_or_of_write,
    rlimit_that_is_unknown,
    hook_that_is_missing,
    hook_with_a_relative_path,
    terminal_without_a_socket,
    socket_without_a_terminal,
    console_socket_that_is_missing,
    pid_file_that_cannot_be_written,
    unknown_option,
    unknown_command,
);

/// The refusal must be complete: exit code, phrase, one line, nothing left.
fn refused(ctx: &Context, done: Done, phrases: &[&str]) -> Outcome {
    let done = done.exits(1)?.says(phrases)?;
    // runc adds a line for what it could not undo, and crun a hint.
    if ctx.kind == Kind::Tare {
        done.in_one_line()?;
    }
    let left = leftovers::look(ctx);
    let soon = || {
        std::thread::sleep(std::time::Duration::from_millis(100));
        leftovers::look(ctx)
    };
    let left = if left.is_empty() { left } else { soon() };
    check!(left.is_empty(), "left behind: {}", left.join(", "));
    Ok(())
}

/// `create` of the bundle must be refused.
fn bundle_refused(ctx: &Context, bundle: Bundle<'_>, phrases: &[&str]) -> Outcome {
    let c = bundle.container()?;
    refused(ctx, c.try_create(&[])?, phrases)
}

/// `create` of the default bundle with one change must be refused.
fn change_refused(ctx: &Context, pointer: &str, value: Value, phrases: &[&str]) -> Outcome {
    let what = format!("{pointer} = {value}");
    bundle_refused(ctx, Bundle::new(ctx)?.set(pointer, value), phrases).map_err(|stop| match stop {
        Stop::Fail(message) => Stop::Fail(format!("{what}: {message}")),
        skip @ Stop::Skip(_) => skip,
    })
}

fn bundle_that_is_missing(ctx: &Context) -> Outcome {
    let done = ctx.done(&["create", "--bundle", "/not/there", "x"])?;
    refused(ctx, done, &["no such file or directory"])
}

fn bundle_without_config(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?;
    let done = ctx.done(&["create", "--bundle", &bundle.dir.to_string_lossy(), "x"])?;
    refused(ctx, done, &["config.json"])
}

fn written(ctx: &Context, text: &str) -> Outcome<Done> {
    let bundle = Bundle::new(ctx)?;
    fs::write(bundle.dir.join("config.json"), text)?;
    ctx.done(&["create", "--bundle", &bundle.dir.to_string_lossy(), "x"])
}

fn config_that_is_not_json_names_line_and_column(ctx: &Context) -> Outcome {
    let done = written(ctx, "{\n  \"ociVersion\": \"1.0.2\",\n  oops\n}\n")?;
    if ctx.kind == Kind::Tare {
        return refused(ctx, done.says(&["line 3"])?, &["column 3"]);
    }
    refused(ctx, done, &["invalid character", "lexical error", "parse"])
}

fn config_that_is_empty(ctx: &Context) -> Outcome {
    refused(ctx, written(ctx, "")?, &["EOF", "empty", "config.json", "premature"])
}

fn config_that_is_a_directory(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?;
    fs::create_dir(bundle.dir.join("config.json"))?;
    let done = ctx.done(&["create", "--bundle", &bundle.dir.to_string_lossy(), "x"])?;
    refused(ctx, done, &["is a directory"])
}

fn values_of_the_wrong_type(ctx: &Context) -> Outcome {
    for (pointer, value) in [
        ("/process/args", json!("true")),
        ("/process/user/uid", json!("0")),
        ("/process/user", json!([])),
        ("/process/env", json!({"A": "b"})),
        ("/mounts", json!({})),
        ("/linux/namespaces", json!("pid")),
        ("/root", json!("rootfs")),
        ("/linux/resources/memory", json!({"limit": "1G"})),
    ] {
        // The pointer or its last word, as Go's and our messages have it.
        let last = pointer.rsplit('/').next().unwrap_or_default();
        let phrases = [pointer, last, "cannot unmarshal", "invalid type"];
        change_refused(ctx, pointer, value, &phrases)?;
    }
    Ok(())
}

fn values_out_of_range(ctx: &Context) -> Outcome {
    for (pointer, value) in [
        ("/process/user/uid", json!(-1)),
        ("/process/user/uid", json!(4_294_967_296_u64)),
        ("/process/user/gid", json!(4_294_967_295_u64)),
        ("/process/oomScoreAdj", json!(1001)),
        ("/linux/resources/pids/limit", json!(1.5)),
    ] {
        let last = pointer.rsplit('/').next().unwrap_or_default();
        let phrases = [pointer, last, "cannot unmarshal", "out of range", "invalid argument"];
        change_refused(ctx, pointer, value, &phrases)?;
    }
    Ok(())
}

fn spec_version_that_is_unknown(ctx: &Context) -> Outcome {
    for version in ["2.0.0", "nonsense"] {
        change_refused(ctx, "/ociVersion", json!(version), &["ociVersion", "version"])?;
    }
    Ok(())
}

/// It may be missing until `start` (config.md, Process).
fn process_that_is_missing(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.remove("", "process").container()?;
    c.run(&[])?.exits(1)?.says(&["process"]).map(drop)
}

fn args_that_are_empty(ctx: &Context) -> Outcome {
    change_refused(ctx, "/process/args", json!([]), &["args"])
}

fn unknown_namespace(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?.namespace("parallel", None);
    bundle_refused(ctx, bundle, &["namespace"])
}

fn duplicate_namespace(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?.push("/linux/namespaces", json!({"type": "pid"}));
    bundle_refused(ctx, bundle, &["malformed spec file: duplicated ns", "duplicate"])
}

fn root_that_is_a_file(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?.set("/root/path", json!("a-file"));
    fs::write(bundle.dir.join("a-file"), "")?;
    bundle_refused(ctx, bundle, &["not a directory"])
}

fn root_that_is_missing(ctx: &Context) -> Outcome {
    change_refused(ctx, "/root/path", json!("nowhere"), &["no such file or directory"])
}

fn root_that_is_the_hosts(ctx: &Context) -> Outcome {
    change_refused(ctx, "/root/path", json!("/"), &["root"])
}

fn id_that_is_empty(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.container()?;
    let done = ctx.done(&["create", "--bundle", &c.dir.to_string_lossy(), ""])?;
    refused(ctx, done, &["id"])
}

fn namespace_that_is_gone(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?.namespace("network", Some("/proc/4194303/ns/net"));
    bundle_refused(ctx, bundle, &["no such file or directory"])
}

fn namespace_of_the_wrong_type(ctx: &Context) -> Outcome {
    let holder = Holder::new(ctx, &["uts"])?;
    let c = Bundle::new(ctx)?.namespace("network", Some(&holder.path("uts"))).container()?;
    let done = c.try_create(&[])?;
    drop(holder);
    refused(ctx, done, &["namespace", "setns", "ns/uts", "invalid argument"])
}

fn command_that_is_not_there(ctx: &Context) -> Outcome {
    let phrase = "exec: \"nowhere\": executable file not found in $PATH";
    let phrases = [phrase, "exec: \\\"nowhere\\\": executable file not found in $PATH"];
    change_refused(ctx, "/process/args", json!(["nowhere"]), &phrases)
}

fn command_that_is_not_executable(ctx: &Context) -> Outcome {
    change_refused(ctx, "/process/args", json!(["/etc/passwd"]), &["permission denied"])
}

fn command_that_is_a_directory(ctx: &Context) -> Outcome {
    change_refused(ctx, "/process/args", json!(["/etc"]), &["permission denied"])
}

fn command_whose_interpreter_is_missing(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?.file("/bin/script", "#!/not/there\n")?;
    fs::set_permissions(bundle.rootfs().join("bin/script"), fs::Permissions::from_mode(0o755))?;
    // The kernel finds out at execve, after the runtime has promised success to `create`.
    let c = bundle.args(&["/bin/script"]).container()?;
    refused(ctx, c.run(&[])?, &["no such file or directory"])
}

fn cgroup_that_cannot_be_made(ctx: &Context) -> Outcome {
    // A file of the hierarchy stands where a directory would have to be made.
    let bundle = Bundle::new(ctx)?.set("/linux/cgroupsPath", json!("/cgroup.procs/x"));
    bundle_refused(ctx, bundle, &["cgroup", "not a directory"])
}

fn cgroup_path_that_climbs(ctx: &Context) -> Outcome {
    let path = format!("/../../../..{}/climbed", ctx.cgroup);
    let bundle = Bundle::new(ctx)?.set("/linux/cgroupsPath", json!(path)).payload(&["true"]);
    let c = bundle.container()?;
    // It is refused or taken for a path below the hierarchy's root; never one above it.
    c.run(&[])?;
    Ok(())
}

fn state_directory_that_is_read_only(ctx: &Context) -> Outcome {
    let mount = StateMount::new(ctx, Some("ro"))?;
    let c = Bundle::new(ctx)?.container()?;
    let done = mount.create(ctx, &c)?;
    drop(mount);
    refused(ctx, done, &["read-only file system"])
}

fn state_directory_that_is_full(ctx: &Context) -> Outcome {
    let mount = StateMount::new(ctx, None)?;
    mount.fill()?;
    let c = Bundle::new(ctx)?.container()?;
    let done = mount.create(ctx, &c)?;
    drop(mount);
    refused(ctx, done, &["no space left on device"])
}

fn state_directory_that_is_a_file(ctx: &Context) -> Outcome {
    let file = ctx.dir.join("a-file");
    fs::write(&file, "")?;
    let c = Bundle::new(ctx)?.container()?;
    let (root, bundle) = (file.to_string_lossy(), c.dir.to_string_lossy());
    let args = ["--root", &root, "create", "--bundle", &bundle, &c.id];
    let done = crate::process::Run::new(&ctx.runtime, &args, &ctx.dir)?.done()?;
    refused(ctx, done, &["not a directory"])
}

/// A state directory on a small file system of its own.
struct StateMount {
    dir: std::path::PathBuf,
}

impl StateMount {
    fn new(ctx: &Context, flag: Option<&str>) -> Outcome<Self> {
        use nix::mount::{MsFlags, mount};
        let dir = ctx.dir.join("small");
        fs::create_dir(&dir)?;
        let flags = if flag == Some("ro") { MsFlags::MS_RDONLY } else { MsFlags::empty() };
        mount(Some("small"), &dir, Some("tmpfs"), flags, Some("size=64k,nr_inodes=10"))?;
        Ok(Self { dir })
    }

    /// Leaves inodes but no bytes.
    fn fill(&self) -> Outcome {
        use std::io::Write;
        let mut file = fs::File::create(self.dir.join("filler"))?;
        while file.write_all(&[0; 4096]).is_ok() {}
        Ok(())
    }

    fn create(&self, ctx: &Context, c: &crate::container::Container<'_>) -> Outcome<Done> {
        let (root, bundle) = (self.dir.to_string_lossy(), c.dir.to_string_lossy());
        let args = ["--root", &root, "create", "--bundle", &bundle, &c.id];
        let done = crate::process::Run::new(&ctx.runtime, &args, &ctx.dir)?.done()?;
        let state = self.dir.join(&c.id);
        check!(!state.exists(), "{} is left", state.display());
        Ok(done)
    }
}

impl Drop for StateMount {
    fn drop(&mut self) {
        // What stays mounted is reported as left behind.
        let _ = nix::mount::umount2(&self.dir, nix::mount::MntFlags::MNT_DETACH);
    }
}

fn hostname_without_a_uts_namespace(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?.without_namespace("uts");
    bundle_refused(ctx, bundle, &["unable to set hostname without a private UTS namespace", "uts"])
}

fn mappings_without_a_user_namespace(ctx: &Context) -> Outcome {
    let mapping = json!([{"containerID": 0, "hostID": 100_000, "size": 1}]);
    change_refused(ctx, "/linux/uidMappings", mapping, &["user namespace", "userns", "USER"])
}

fn sysctl_of_the_host(ctx: &Context) -> Outcome {
    let phrases = ["sysctl", "not in a separate kernel namespace"];
    change_refused(ctx, "/linux/sysctl", json!({"kernel.core_pattern": "x"}), &phrases)?;
    let bundle = Bundle::new(ctx)?
        .without_namespace("network")
        .set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1"}));
    bundle_refused(ctx, bundle, &phrases)
}

fn mount_of_an_unknown_file_system(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?.mount("/m", "nofs", "none", &[]);
    bundle_refused(ctx, bundle, &["no such device"])
}

fn mount_option_that_is_unknown(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?.mount("/m", "tmpfs", "tmpfs", &["no_such_option"]);
    bundle_refused(ctx, bundle, &["invalid argument"])
}

fn mount_on_the_root(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?.mount("/", "tmpfs", "tmpfs", &[]);
    bundle_refused(ctx, bundle, &["mount"])
}

fn seccomp_action_that_is_unknown(ctx: &Context) -> Outcome {
    let profile = json!({"defaultAction": "SCMP_ACT_SHRUG"});
    change_refused(ctx, "/linux/seccomp", profile, &["SCMP_ACT_SHRUG", "defaultAction", "seccomp"])
}

fn seccomp_name_that_is_unknown_and_must_not_be(ctx: &Context) -> Outcome {
    let profile = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["getpriority", "frobnicate"], "action": "SCMP_ACT_ERRNO"}],
    });
    let bundle = Bundle::new(ctx)?
        .set("/linux/seccomp", profile)
        .set("/annotations", json!({"run.oci.seccomp_fail_unknown_syscall": "1"}));
    bundle_refused(ctx, bundle, &["/linux/seccomp/syscalls/0/names/1", "frobnicate"])
}

fn seccomp_program_that_is_none(ctx: &Context) -> Outcome {
    // No base64; half an instruction; a load with no return behind it.
    for text in ["?", "BgAA", "IAAAAAAAAAA="] {
        let annotations = json!({"run.oci.seccomp_bpf_data": text});
        let pointer = "/annotations/run.oci.seccomp_bpf_data";
        change_refused(ctx, "/annotations", annotations, &[pointer, "invalid seccomp BPF data"])?;
    }
    Ok(())
}

fn seccomp_rule_about_a_seventh_argument(ctx: &Context) -> Outcome {
    let profile = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{
            "names": ["getpriority"],
            "action": "SCMP_ACT_ERRNO",
            "args": [{"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}],
        }],
    });
    change_refused(ctx, "/linux/seccomp", profile, &["seccomp"])
}

fn seccomp_notification_of_everything_or_of_write(ctx: &Context) -> Outcome {
    let everything = json!({"defaultAction": "SCMP_ACT_NOTIFY", "listenerPath": "/run/agent"});
    let write = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "listenerPath": "/run/agent",
        "syscalls": [{"names": ["write"], "action": "SCMP_ACT_NOTIFY"}],
    });
    for profile in [everything, write] {
        change_refused(ctx, "/linux/seccomp", profile, &["SCMP_ACT_NOTIFY cannot be used"])?;
    }
    Ok(())
}

fn rlimit_that_is_unknown(ctx: &Context) -> Outcome {
    let limit = json!([{"type": "RLIMIT_PATIENCE", "soft": 1, "hard": 1}]);
    change_refused(ctx, "/process/rlimits", limit, &["RLIMIT_PATIENCE", "rlimit"])
}

fn hook_that_is_missing(ctx: &Context) -> Outcome {
    let hooks = json!({"createRuntime": [{"path": "/not/there"}]});
    change_refused(ctx, "/hooks", hooks, &["no such file or directory"])
}

fn hook_with_a_relative_path(ctx: &Context) -> Outcome {
    let hooks = json!({"createRuntime": [{"path": "bin/true"}]});
    change_refused(ctx, "/hooks", hooks, &["absolute", "no such file or directory", "hook"])
}

fn terminal_without_a_socket(ctx: &Context) -> Outcome {
    let phrase = "cannot allocate tty if runc will detach without setting console socket";
    change_refused(ctx, "/process/terminal", json!(true), &[phrase, "console socket"])
}

fn socket_without_a_terminal(ctx: &Context) -> Outcome {
    let phrase = "cannot use console socket if runc will not detach or allocate tty";
    let c = Bundle::new(ctx)?.container()?;
    let socket = ctx.dir.join("socket");
    refused(
        ctx,
        c.try_create(&["--console-socket", &socket.to_string_lossy()])?,
        &[phrase, "socket"],
    )
}

fn console_socket_that_is_missing(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.set("/process/terminal", json!(true)).container()?;
    refused(ctx, c.try_create(&["--console-socket", "/not/there"])?, &["no such file or directory"])
}

fn pid_file_that_cannot_be_written(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.container()?;
    let bundle = c.dir.to_string_lossy();
    let done = ctx.done(&["create", "--bundle", &bundle, "--pid-file", "/not/there/pid", &c.id])?;
    refused(ctx, done, &["no such file or directory"])
}

fn unknown_option(ctx: &Context) -> Outcome {
    let done = ctx.done(&["create", "--no-such-option", "x"])?;
    check!(done.code != 0, "an unknown option was accepted");
    let text = format!("{}{}", done.stdout, done.stderr);
    check!(text.contains("no-such-option"), "the option is not named: {text}");
    Ok(())
}

fn unknown_command(ctx: &Context) -> Outcome {
    let done = ctx.done(&["levitate"])?;
    check!(done.code != 0, "an unknown command was accepted");
    Ok(())
}
