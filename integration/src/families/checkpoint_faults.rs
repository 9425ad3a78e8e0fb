//! Checkpoints and restores that cannot be: a clear line, and everything as it was.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::bundle::{Bundle, script};
use crate::container::Container;
use crate::context::{Context, Kind};
use crate::criu::{
    self, LONG, UNTIL_GO, checkpoint, go, images, reports, restoring, try_checkpoint, try_restore,
};
use crate::outcome::Outcome;
use crate::process::Done;
use crate::{cgroups, check, check_eq, family};

family!("checkpoint_faults":
    only_a_running_container_can_be_saved,
    container_is_unharmed_by_a_checkpoint_that_fails,
    directory_without_a_checkpoint_is_refused,
    damaged_checkpoint_is_refused,
    checkpoint_of_another_container_is_refused,
    id_that_is_taken_is_refused,
    mount_that_would_come_back_as_another_is_refused,
    wrong_options_are_refused,
    missing_criu_is_told,
    criu_that_hangs_is_killed,
    criu_that_is_none_is_told,
    hook_that_fails_fails_the_restore,
    engines_find_the_texts_that_they_look_for,
);

fn container(ctx: &Context) -> Outcome<Container<'_>> {
    criu::running(ctx, &format!("{UNTIL_GO}; echo went > /result; read x <&9"))
}

/// It runs as if nothing had been.
fn is_unharmed(c: &Container<'_>) -> Outcome {
    c.has_status("running")?;
    go(c)?;
    reports(c, "result", "went")
}

/// Nothing of the container is there, and its id and cgroup are free.
fn nothing_is_left(ctx: &Context, c: &Container<'_>) -> Outcome {
    c.verb("state")?.exits(1)?.says(&["does not exist"])?;
    let left: Vec<_> = fs::read_dir(ctx.root())?.flatten().map(|entry| entry.path()).collect();
    check!(!left.iter().any(|path| path.ends_with(&c.id)), "state is left: {left:?}");
    let cgroup = c.config["linux"]["cgroupsPath"].as_str().unwrap_or_default();
    check_eq!(cgroups::directories(ctx.layout, cgroup), Vec::<PathBuf>::new(), "cgroups");
    check!(c.rootfs().join("bin/busybox").exists(), "the root file system is damaged");
    Ok(())
}

fn only_a_running_container_can_be_saved(ctx: &Context) -> Outcome {
    ctx.done(&["checkpoint", "nobody"])?.exits(1)?.says(&["does not exist"])?;
    let c = Bundle::new(ctx)?.payload(&["true"]).container()?;
    c.create()?;
    try_checkpoint(ctx, &c, &[])?.exits(1)?.says(&["cannot be checkpointed in created state"])?;
    c.has_status("created")?;
    c.start()?;
    c.exit_code()?;
    try_checkpoint(ctx, &c, &[])?.exits(1)?.says(&["cannot be checkpointed in stopped state"])?;
    Ok(())
}

fn container_is_unharmed_by_a_checkpoint_that_fails(ctx: &Context) -> Outcome {
    criu::needs(ctx)?;
    // Its output leads to a file outside, which criu cannot save.
    let c = Bundle::new(ctx)?
        .args(&["sh", "-c", &format!("{UNTIL_GO}; echo went > /result; read x <&9")])
        .container()?;
    c.finish_create(c.command("run", &["--detach"])?)?.ok()?;
    let pid = c.pid()?;
    let done = try_checkpoint(ctx, &c, &[])?.exits(1)?;
    done.says(&["criu failed: type dump", "criu checkpointing failed"])?.says(&["dump.log"])?;
    check_eq!(c.state()?["pid"], json!(pid), "pid");
    is_unharmed(&c)
}

fn directory_without_a_checkpoint_is_refused(ctx: &Context) -> Outcome {
    let c = container(ctx)?;
    checkpoint(ctx, &c, &[])?;
    c.ended()?;
    let there = images(&c);
    let kept = c.dir.join("kept");
    fs::rename(&there, &kept)?;
    try_restore(&c, &[])?.exits(1)?;
    nothing_is_left(ctx, &c)?;
    fs::create_dir_all(&there)?;
    try_restore(&c, &[])?.exits(1)?;
    nothing_is_left(ctx, &c)?;
    // Images of a pre-dump have no streams.
    fs::remove_dir(&there)?;
    fs::rename(&kept, &there)?;
    fs::rename(there.join("descriptors.json"), c.dir.join("descriptors.json"))?;
    try_restore(&c, &[])?.exits(1)?.says(&["descriptors.json"])?;
    nothing_is_left(ctx, &c)?;
    fs::write(there.join("descriptors.json"), "{\"not\": ")?;
    try_restore(&c, &[])?.exits(1)?;
    nothing_is_left(ctx, &c)?;
    fs::rename(c.dir.join("descriptors.json"), there.join("descriptors.json"))?;
    try_restore(&c, &[])?.ok()?;
    is_unharmed(&c)
}

fn damaged_checkpoint_is_refused(ctx: &Context) -> Outcome {
    let c = container(ctx)?;
    checkpoint(ctx, &c, &[])?;
    c.ended()?;
    let mut files = vec!["inventory.img", "pstree.img", "core-1.img", "files.img"];
    // criu looks for what is missing of memory for ever, and fills the disk with its log.
    files.extend((ctx.kind == Kind::Tare).then_some("pages-1.img"));
    for file in files {
        let path = images(&c).join(file);
        let whole = fs::read(&path)?;
        for length in [0, whole.len() / 2] {
            fs::write(&path, &whole[..length])?;
            try_restore(&c, &[])?.exits(1)?;
            nothing_is_left(ctx, &c)?;
        }
        fs::write(&path, &whole)?;
    }
    try_restore(&c, &[])?.ok()?;
    is_unharmed(&c)
}

fn checkpoint_of_another_container_is_refused(ctx: &Context) -> Outcome {
    let shared = ctx.dir.join("shared");
    fs::create_dir(&shared)?;
    let bundle = Bundle::new(ctx)?.payload(&LONG).bind(&shared, "/data", &["bind"]);
    let c = criu::started(ctx, bundle)?;
    checkpoint(ctx, &c, &[])?;
    c.ended()?;
    let other = Bundle::new(ctx)?.payload(&LONG).container()?;
    let place = images(&c).to_string_lossy().into_owned();
    let run = other.command("restore", &["--detach", "--image-path", &place])?;
    let done = other.finish_restore(run.deadline(criu::DEADLINE))?.exits(1)?;
    done.says(&["no mapping for", "restoring failed"])?;
    nothing_is_left(ctx, &other)
}

fn id_that_is_taken_is_refused(ctx: &Context) -> Outcome {
    let c = container(ctx)?;
    checkpoint(ctx, &c, &["--leave-running"])?;
    let pid = c.pid()?;
    restoring(&c, &["--detach"])?.done()?.exits(1)?.says(&["already exist"])?;
    check_eq!(c.state()?["pid"], json!(pid), "pid");
    is_unharmed(&c)
}

fn mount_that_would_come_back_as_another_is_refused(ctx: &Context) -> Outcome {
    let source = ctx.dir.join("source");
    fs::write(ctx.dir.join("target"), "")?;
    std::os::unix::fs::symlink(ctx.dir.join("target"), &source)?;
    let bundle = Bundle::new(ctx)?
        .args(&["sh", "-c", &format!("{UNTIL_GO}; echo went > /result; read x <&9")])
        .bind(&source, "/copy", &["bind", "src-nofollow"]);
    let c = criu::started(ctx, bundle)?;
    let done = try_checkpoint(ctx, &c, &[])?.exits(1)?;
    done.says(&["src-nofollow"])?;
    is_unharmed(&c)
}

fn wrong_options_are_refused(ctx: &Context) -> Outcome {
    let c = container(ctx)?;
    for (flags, phrase) in [
        (&["--page-server", "localhost"][..], "--page-server ADDRESS:PORT"),
        (&["--page-server", "host:port"], "invalid port number"),
        (&["--manage-cgroups-mode", "loose"], "manage-cgroups-mode"),
        (&["--empty-ns", "pid"], "is not supported"),
        (&["--lazy-pages", "--status-fd", "99"], "invalid --status-fd argument 99"),
        (&["--lazy-pages", "--status-fd", "0"], "invalid --status-fd argument 0: not writable"),
        (&["--timeout", "soon"], "timeout"),
        (&["--network-lock", "door"], "network-lock"),
    ] {
        try_checkpoint(ctx, &c, flags)?.exits(1)?.says(&[phrase])?;
    }
    let done = restoring(&c, &["--console-socket", "/nowhere"])?.done()?.exits(1)?;
    done.says(&["console socket"])?;
    is_unharmed(&c)
}

/// A directory for `$PATH` with a program of the name criu.
fn fake(ctx: &Context, text: &str) -> Outcome<PathBuf> {
    let dir = ctx.dir.join(format!("fake{}", ctx.number()));
    fs::create_dir(&dir)?;
    script(&dir.join("criu"), text)?;
    Ok(dir)
}

/// A checkpoint and a restore with what is in `path` as the only programs.
fn with_path(ctx: &Context, c: &Container<'_>, path: &Path, flags: &[&str]) -> Outcome<[Done; 2]> {
    let place = images(c).to_string_lossy().into_owned();
    let args = [&["checkpoint", "--image-path", &place], flags, &[&c.id]].concat();
    let saved = ctx.cmd(&args)?.env("PATH", path).done()?;
    let bundle = c.as_another(ctx)?;
    let args = [&["--detach", "--image-path", &place], flags].concat();
    let restored = bundle.command("restore", &args)?.env("PATH", path).done()?;
    bundle.verb("state")?.exits(1)?;
    Ok([saved, restored])
}

fn missing_criu_is_told(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?
        .args(&["sh", "-c", &format!("{UNTIL_GO}; echo went > /result; read x <&9")])
        .container()?;
    c.up()?;
    for done in with_path(ctx, &c, Path::new("/nowhere"), &[])? {
        done.exits(1)?
            .says(&["criu\": executable file not found", "criu: executable file not found"])?;
    }
    is_unharmed(&c)
}

fn criu_that_hangs_is_killed(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?
        .args(&["sh", "-c", &format!("{UNTIL_GO}; echo went > /result; read x <&9")])
        .container()?;
    c.up()?;
    let path = fake(ctx, "#!/bin/sh\nexec /bin/sleep 1000\n")?;
    for done in with_path(ctx, &c, &path, &["--timeout", "500ms"])? {
        done.exits(1)?.says(&["criu has done nothing for 0.5 s, and was killed"])?;
    }
    is_unharmed(&c)
}

fn criu_that_is_none_is_told(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?
        .args(&["sh", "-c", &format!("{UNTIL_GO}; echo went > /result; read x <&9")])
        .container()?;
    c.up()?;
    let wrong = [
        "#!/bin/sh\nexit 3\n",
        // A word that no message begins with.
        "#!/bin/sh\nprintf '\\377\\377\\377' >&$2\nexec /bin/sleep 1000\n",
        // VERSION, and not done.
        "#!/bin/sh\nprintf '\\010\\012\\020\\000' >&$2\nexec /bin/sleep 1000\n",
        // A notification without an end.
        "#!/bin/sh\nwhile :; do printf '\\010\\006\\020\\001' >&$2; done\n",
    ];
    for text in wrong {
        let path = fake(ctx, text)?;
        for done in with_path(ctx, &c, &path, &["--timeout", "2s"])? {
            done.exits(1)?.says(&["criu"])?;
        }
    }
    is_unharmed(&c)
}

fn hook_that_fails_fails_the_restore(ctx: &Context) -> Outcome {
    let mark = ctx.dir.join("fail");
    let hook = format!("[ ! -e {} ] || {{ echo no >&2; exit 4; }}", mark.display());
    let bundle = Bundle::new(ctx)?
        .args(&["sh", "-c", &format!("{UNTIL_GO}; echo went > /result; read x <&9")])
        .set("/hooks/createRuntime", json!([{"path": "/bin/sh", "args": ["sh", "-c", hook]}]));
    let c = criu::started(ctx, bundle)?;
    checkpoint(ctx, &c, &[])?;
    c.ended()?;
    fs::write(&mark, "")?;
    try_restore(&c, &[])?.exits(1)?.says(&["createRuntime", "exit status 4"])?;
    nothing_is_left(ctx, &c)?;
    fs::remove_file(&mark)?;
    try_restore(&c, &[])?.ok()?;
    is_unharmed(&c)
}

fn engines_find_the_texts_that_they_look_for(ctx: &Context) -> Outcome {
    // Podman's probes.
    ctx.done(&["checkpoint", "--help"])?.exits(0)?;
    let done = ctx.done(&["restore", "--lsm-mount-context"])?;
    check!(done.code != 0, "a flag without its argument is taken");
    let text = format!("{}{}", done.stdout, done.stderr);
    check!(
        text.contains("flag needs an argument") || text.contains("requires an argument"),
        "it says {text:?}"
    );
    Ok(())
}
