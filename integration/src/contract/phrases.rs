//! Words that engines look for in what a runtime says.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::row::{ALL, Group, PEOPLE, row, tested};
use super::{ended, idle};
use crate::bundle::Bundle;
use crate::check;
use crate::context::Context;
use crate::outcome::Outcome;

/// What becomes exit code 127 of `docker run` and `podman run`.
const NOT_FOUND: &str = "Docker and podman (127)";
/// What becomes exit code 126.
const NOT_ALLOWED: &str = "Docker and podman (126)";

pub(super) fn group() -> Group {
    let rows = vec![
        row("a command that is nowhere is told, with its name", NOT_FOUND, |ctx| {
            let said = refusal(ctx, "nowhere")?;
            check!(is_not_found(&said) && said.contains("nowhere"), "it says {said:?}");
            Ok(())
        }),
        row("a path that is not there is told, with the path", NOT_FOUND, |ctx| {
            let said = refusal(ctx, "/no/where")?;
            check!(is_not_found(&said) && said.contains("/no/where"), "it says {said:?}");
            Ok(())
        }),
        row("a file that is no program is told", NOT_ALLOWED, |ctx| {
            let said = refusal(ctx, "/etc/passwd")?;
            check!(is_not_allowed(&said), "it says {said:?}");
            Ok(())
        }),
        row("a directory in the place of a program is told", "podman (126)", |ctx| {
            let said = refusal(ctx, "/etc")?;
            check!(is_not_allowed(&said), "it says {said:?}");
            Ok(())
        }),
        row(
            "a command that is nowhere: `exec: \"nowhere\": executable file not found in $PATH`",
            PEOPLE,
            |ctx| {
                let said = refusal(ctx, "nowhere")?;
                let wanted = "exec: \"nowhere\": executable file not found in $PATH";
                check!(said.contains(wanted), "it says {said:?}");
                Ok(())
            },
        ),
        row(
            "a path that is not there: `stat /no/where: no such file or directory`",
            PEOPLE,
            |ctx| {
                let said = refusal(ctx, "/no/where")?;
                let wanted = "exec: \"/no/where\": stat /no/where: no such file or directory";
                check!(said.contains(wanted), "it says {said:?}");
                Ok(())
            },
        ),
        row("a program of another format: `exec format error`", "Docker", |ctx| {
            let bundle = Bundle::new(ctx)?.file("/bin/other", "no program\n")?;
            let path = bundle.rootfs().join("bin/other");
            fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
            let c = bundle.args(&["/bin/other"]).container()?;
            c.run(&[])?.exits(1)?.says(&["exec format error"]).map(drop)
        }),
        row("an interpreter that is not there: `no such file or directory`", NOT_FOUND, |ctx| {
            let bundle = Bundle::new(ctx)?.file("/bin/script", "#!/no/shell\n")?;
            let path = bundle.rootfs().join("bin/script");
            fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
            let c = bundle.args(&["/bin/script"]).container()?;
            c.run(&[])?.exits(1)?.says(&["no such file or directory"]).map(drop)
        }),
        row(
            "a directory mounted on a file: `not a directory`",
            "Docker (127, and a hint)",
            |ctx| {
                let bundle = Bundle::new(ctx)?;
                let source = ctx.dir.join("source");
                fs::create_dir(&source)?;
                let c = bundle.bind(&source, "/etc/passwd", &["bind"]).container()?;
                c.try_create(&[])?.exits(1)?.says(&["not a directory"]).map(drop)
            },
        ),
        row(
            "a file mounted on a directory: `not a directory`",
            "Docker (127, and a hint)",
            |ctx| {
                let bundle = Bundle::new(ctx)?;
                let source = ctx.dir.join("source");
                fs::write(&source, "")?;
                let c = bundle.bind(&source, "/etc", &["bind"]).container()?;
                c.try_create(&[])?.exits(1)?.says(&["not a directory"]).map(drop)
            },
        ),
        row(
            "a source that is not there: `no such file or directory`, and the path",
            "Docker, podman",
            |ctx| {
                let c =
                    Bundle::new(ctx)?.bind("/not/there".as_ref(), "/m", &["bind"]).container()?;
                let done = c.try_create(&[])?.exits(1)?.says(&["no such file or directory"])?;
                done.says(&["/not/there"]).map(drop)
            },
        ),
        row("`exec` of a command that is nowhere is told", NOT_FOUND, |ctx| {
            let said = refusal_of_exec(ctx, "nowhere")?;
            check!(is_not_found(&said) && said.contains("nowhere"), "it says {said:?}");
            Ok(())
        }),
        row("`exec` of a path that is not there is told", NOT_FOUND, |ctx| {
            let said = refusal_of_exec(ctx, "/no/where")?;
            check!(is_not_found(&said) && said.contains("/no/where"), "it says {said:?}");
            Ok(())
        }),
        row("`exec` of a file that is no program is told", NOT_ALLOWED, |ctx| {
            let said = refusal_of_exec(ctx, "/etc/passwd")?;
            check!(is_not_allowed(&said), "it says {said:?}");
            Ok(())
        }),
        row("`kill` of an ended one: in words of containerd", "containerd", |ctx| {
            let phrases =
                ["os: process already finished", "container not running", "no such process"];
            let said = ended(ctx)?.kill("9")?.exits(1)?.stderr;
            let said = said.replace("No such process", "no such process");
            check!(phrases.iter().any(|p| said.contains(p)), "it says {said:?}");
            Ok(())
        }),
        row("`kill` of an ended one: in words of CRI-O", "CRI-O", |ctx| {
            let phrases = ["no such process", "container not running", "invalid process"];
            let said = ended(ctx)?.kill("KILL")?.exits(1)?.stderr;
            check!(phrases.iter().any(|p| said.contains(p)), "it says {said:?}");
            Ok(())
        }),
        row(
            "`kill` of an unknown one: `container does not exist` or `no such process`",
            "buildkit",
            |ctx| {
                let said = ctx.done(&["kill", "nobody", "9"])?.exits(1)?.stderr.to_lowercase();
                let phrases =
                    ["container does not exist", "container not running", "no such process"];
                check!(phrases.iter().any(|p| said.contains(p)), "it says {said:?}");
                Ok(())
            },
        ),
        tested(
            "a profile that is not loaded is named",
            "podman, containerd",
            "labels::profile_that_is_not_loaded_is_named",
        ),
        tested(
            "too little memory for init: `container init was OOM-killed (memory limit too low?)`",
            "people, Docker",
            "limits::memory_limit_that_is_too_low_for_init_is_reported",
        ),
        row("a mount that the kernel refuses names its place", ALL, |ctx| {
            let c = Bundle::new(ctx)?.mount("/m", "nofilesystem", "none", &[]).container()?;
            c.try_create(&[])?.exits(1)?.says(&["/m"])?.says(&["no such device"]).map(drop)
        }),
    ];
    Group { title: "Words", rows }
}

/// What is said, without the quotes of a log line, when a command cannot be run.
fn refusal(ctx: &Context, command: &str) -> Outcome<String> {
    let c = Bundle::new(ctx)?.args(&[command]).container()?;
    Ok(c.try_create(&[])?.exits(1)?.stderr.replace("\\\"", "\""))
}

fn refusal_of_exec(ctx: &Context, command: &str) -> Outcome<String> {
    let done = idle(ctx)?.exec(&[], &[command])?;
    check!(done.code != 0, "it succeeds");
    Ok(done.stderr.replace("\\\"", "\""))
}

/// What dockerd and podman take for 127, in any case.
fn is_not_found(said: &str) -> bool {
    let said = said.to_lowercase();
    ["executable file not found in", "no such file or directory"].iter().any(|p| said.contains(p))
}

/// What podman takes for 126, in any case; dockerd wants the first.
fn is_not_allowed(said: &str) -> bool {
    let said = said.to_lowercase();
    ["permission denied", "operation not permitted"].iter().any(|p| said.contains(p))
}
