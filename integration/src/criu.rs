//! Containers that criu can save: nothing that they have open leads outside.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::bundle::Bundle;
use crate::container::Container;
use crate::context::Context;
use crate::outcome::{Outcome, Stop};
use crate::process::{Done, Run, wait_for};

/// criu works for seconds on a slow machine.
pub const DEADLINE: Duration = Duration::from_secs(150);

/// Why criu does not work here, if it does not.
static UNFIT: OnceLock<Option<String>> = OnceLock::new();

/// Skips the test where criu is missing or the kernel is nothing for it.
pub fn needs(ctx: &Context) -> Outcome {
    let unfit = UNFIT.get_or_init(|| {
        let check = Run::new(Path::new("criu"), &["check"], &ctx.dir);
        match check.and_then(|run| run.deadline(DEADLINE).done()) {
            Ok(done) if done.code == 0 => None,
            Ok(done) => Some(done.stderr.lines().last().unwrap_or_default().to_owned()),
            Err(Stop::Fail(why) | Stop::Skip(why)) => Some(why),
        }
    });
    match unfit {
        None => Ok(()),
        Some(why) => Err(Stop::skip(format!("criu does not work here: {why}"))),
    }
}

/// A container that runs a shell script, with nothing but /dev/null open.
pub fn running<'c>(ctx: &'c Context, script: &str) -> Outcome<Container<'c>> {
    started(ctx, Bundle::new(ctx)?.args(&["sh", "-c", script]))
}

/// The same for a bundle with its program.
pub fn started<'c>(ctx: &Context, bundle: Bundle<'c>) -> Outcome<Container<'c>> {
    needs(ctx)?;
    let c = bundle.container()?;
    c.finish_create(c.command("run", &["--detach"])?.terminal(&null()?)?)?.ok()?;
    Ok(c)
}

/// What leads nowhere.
pub fn null() -> Outcome<File> {
    Ok(OpenOptions::new().read(true).write(true).open("/dev/null")?)
}

/// The images of `c`, in a directory of their own.
pub fn images(c: &Container<'_>) -> PathBuf {
    c.dir.join("images")
}

/// `checkpoint` into the usual directory, with its answer.
pub fn try_checkpoint(ctx: &Context, c: &Container<'_>, flags: &[&str]) -> Outcome<Done> {
    let images = images(c).to_string_lossy().into_owned();
    let args = [&["checkpoint", "--image-path", &images], flags, &[&c.id]].concat();
    ctx.cmd(&args)?.deadline(DEADLINE).done()
}

/// `checkpoint`, which must succeed.
pub fn checkpoint(ctx: &Context, c: &Container<'_>, flags: &[&str]) -> Outcome {
    try_checkpoint(ctx, c, flags)?.ok().map(drop)
}

/// `restore --detach` from the usual directory, with its answer.
pub fn try_restore(c: &Container<'_>, flags: &[&str]) -> Outcome<Done> {
    c.finish_restore(restoring(c, &[&["--detach"], flags].concat())?)
}

/// `restore --detach`, which must succeed.
pub fn restore(c: &Container<'_>, flags: &[&str]) -> Outcome {
    try_restore(c, flags)?.ok().map(drop)
}

/// `restore` from the usual directory, ready to be changed and started.
pub fn restoring(c: &Container<'_>, flags: &[&str]) -> Outcome<Run> {
    let images = images(c).to_string_lossy().into_owned();
    Ok(c.command("restore", &[&["--image-path", &images], flags].concat())?.deadline(DEADLINE))
}

/// Both, one after the other.
pub fn there_and_back(ctx: &Context, c: &Container<'_>, flags: &[&str]) -> Outcome {
    checkpoint(ctx, c, flags)?;
    restore(c, flags)
}

/// Waits for a file in the root file system to have this text.
pub fn reports(c: &Container<'_>, file: &str, text: &str) -> Outcome {
    let path = c.rootfs().join(file);
    let until = Instant::now() + DEADLINE;
    loop {
        let found = fs::read_to_string(&path).unwrap_or_default();
        if found.trim() == text {
            return Ok(());
        }
        let late = Instant::now() > until;
        crate::check!(!late, "{file} has {found:?}, expected {text:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Tells the script of `c` to go on: it waits at a pipe.
pub fn go(c: &Container<'_>) -> Outcome {
    let path = c.rootfs().join("tmp/go");
    wait_for("the pipe", || Ok(path.exists().then_some(())))?;
    // Whoever has it open reads and writes; without anybody this fails and does not wait.
    let mut pipe = OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(&path)?;
    Ok(pipe.write_all(b"go\n")?)
}

/// The shell's part of [`go`]. A loop with a sleep in it would have criu catch a shell in the
/// middle of a fork, which it does not like.
pub const UNTIL_GO: &str = "busybox mkfifo /tmp/go; exec 9<>/tmp/go; read go <&9";

/// The shell's part that waits for ever: not in a sleep, which some shells end when criu
/// interrupts it.
pub const FOREVER: &str = "busybox mkfifo /tmp/ever; exec 8<>/tmp/ever; read ever <&8";

/// The payload's part that waits for ever.
pub const LONG: [&str; 2] = ["sleep", "100000000"];
