//! What every test is given: the runtime under test, the programs it needs, a directory of its own.

use std::cell::Cell;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::outcome::{Outcome, Stop};
use crate::process::{Done, Run};

/// Which runtime is tested; known differences are filed under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Tare,
    Runc,
    Crun,
    Youki,
}

impl Kind {
    /// Told by the name of the program.
    pub fn of(runtime: &Path) -> Self {
        match runtime.file_name().and_then(OsStr::to_str) {
            Some("runc") => Self::Runc,
            Some("crun") => Self::Crun,
            Some("youki") => Self::Youki,
            _ => Self::Tare,
        }
    }
}

/// How cgroups are laid out for the test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// As this machine has them: v1, with or without a v2 hierarchy beside it.
    Host,
    /// v1 alone, in a private mount namespace.
    V1,
    /// v2 alone, in a private mount namespace.
    V2,
}

impl Layout {
    /// The layout that the command line names.
    pub fn named(name: &str) -> Outcome<Self> {
        match name {
            "host" => Ok(Self::Host),
            "v1" => Ok(Self::V1),
            "v2" => Ok(Self::V2),
            _ => Err(Stop::fail(format!("{name}: no such layout"))),
        }
    }
}

/// What every test is given.
#[derive(Debug)]
pub struct Context {
    /// The runtime's binary.
    pub runtime: PathBuf,
    /// Which runtime it is.
    pub kind: Kind,
    /// How cgroups are laid out.
    pub layout: Layout,
    /// The program that reports from inside.
    pub payload: PathBuf,
    /// A static shell and tools.
    pub busybox: PathBuf,
    /// A directory that the test may fill.
    pub dir: PathBuf,
    /// The cgroup below which the test's containers stand.
    pub cgroup: String,
    /// Whether the runtime itself runs behind a seccomp filter, which containers inherit.
    pub filtered: bool,
    next: Cell<u32>,
}

impl Context {
    /// A context whose files lie in `dir`, which is made.
    pub fn new(suite: &Suite, dir: PathBuf) -> Outcome<Self> {
        fs::create_dir_all(dir.join("root"))?;
        Ok(Self {
            runtime: suite.runtime.clone(),
            kind: suite.kind,
            layout: suite.layout,
            payload: suite.payload.clone(),
            busybox: suite.busybox.clone(),
            cgroup: suite.cgroup.clone(),
            dir,
            filtered: false,
            next: Cell::new(0),
        })
    }

    /// The same for a program that starts the runtime behind a seccomp filter.
    pub fn behind_filter(&self, runtime: PathBuf) -> Outcome<Self> {
        Ok(Self { filtered: true, ..self.through(runtime)? })
    }

    /// A context of its own, with its files below this one's, for a program that starts the same
    /// runtime in other surroundings.
    pub fn through(&self, runtime: PathBuf) -> Outcome<Self> {
        let dir = self.dir.join(self.number().to_string());
        fs::create_dir_all(dir.join("root"))?;
        Ok(Self {
            runtime,
            payload: self.payload.clone(),
            busybox: self.busybox.clone(),
            cgroup: self.cgroup.clone(),
            dir,
            next: Cell::new(0),
            ..*self
        })
    }

    /// The same tests' context for runc, to compare with.
    pub fn with_runc(&self) -> Outcome<Self> {
        let places = ["/usr/sbin/runc", "/usr/bin/runc", "/usr/local/sbin/runc"].map(Path::new);
        let runc = places.into_iter().find(|path| path.exists());
        self.through(runc.ok_or_else(|| Stop::skip("no runc here"))?.to_owned())
    }

    /// The runtime's state directory.
    pub fn root(&self) -> PathBuf {
        self.dir.join("root")
    }

    /// A number not used before in this test.
    pub fn number(&self) -> u32 {
        self.next.replace(self.next.get() + 1)
    }

    /// The runtime with global options for this test, then `args`.
    pub fn cmd(&self, args: &[impl AsRef<OsStr>]) -> Outcome<Run> {
        let mut all = vec![OsStr::new("--root").to_owned(), self.root().into_os_string()];
        all.extend(args.iter().map(|a| a.as_ref().to_owned()));
        Run::new(&self.runtime, &all, &self.dir)
    }

    /// Runs the runtime to its end, whatever that is.
    pub fn done(&self, args: &[&str]) -> Outcome<Done> {
        self.cmd(args)?.done()
    }

    /// Runs the runtime, which must succeed.
    pub fn ok(&self, args: &[&str]) -> Outcome<Done> {
        self.cmd(args)?.ok()
    }

    /// Runs a helper of the payload program on the host.
    pub fn helper(&self, args: &[impl AsRef<OsStr>]) -> Outcome<Run> {
        Run::new(&self.payload, args, &self.dir)
    }
}

/// What the contexts of one run have in common.
#[derive(Debug)]
pub struct Suite {
    pub runtime: PathBuf,
    pub kind: Kind,
    pub layout: Layout,
    pub payload: PathBuf,
    pub busybox: PathBuf,
    pub cgroup: String,
    pub dir: PathBuf,
}

impl Suite {
    /// Finds the helper programs and makes the suite's directory.
    pub fn new(runtime: &Path, layout: Layout) -> Outcome<Self> {
        let runtime = fs::canonicalize(runtime)
            .map_err(|e| Stop::fail(format!("{}: {e}", runtime.display())))?;
        let kind = Kind::of(&runtime);
        let pid = std::process::id();
        let dir = std::env::temp_dir().join(format!("tare-it-{pid}"));
        fs::create_dir_all(&dir)?;
        // A copy on the test's file system can be hard-linked into every root file system.
        let payload = dir.join("payload");
        fs::copy(std::env::current_exe()?.with_file_name("payload"), &payload)?;
        let busybox = dir.join("busybox");
        fs::copy("/bin/busybox", &busybox).map_err(|e| Stop::fail(format!("/bin/busybox: {e}")))?;
        Ok(Self { runtime, kind, layout, payload, busybox, cgroup: format!("/tare-it-{pid}"), dir })
    }
}

impl Drop for Suite {
    fn drop(&mut self) {
        // A temporary directory that cannot be removed is no reason to fail.
        let _ = fs::remove_dir_all(&self.dir);
    }
}
