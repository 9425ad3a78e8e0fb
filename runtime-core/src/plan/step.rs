//! A plan: what is to be done, by which side, in what order, and why.

use super::cgroup::{CgroupPlan, Part};
use super::hooks::{Output, OutputFile};
use super::ops::{Header, MAGIC, Op, slot};
use super::resctrl::ResctrlGroup;
use super::wire::Writer;
use crate::error::{Error, ErrorKind, Notice, Result};
use serde::Serialize;
use std::path::PathBuf;

/// A hook that the host side runs (spec, "POSIX-platform Hooks").
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HostHook {
    /// `prestart`, `createRuntime`, `poststart` or `poststop`.
    pub kind: &'static str,
    /// Its place among its kind.
    pub index: usize,
    /// The program.
    pub path: String,
    /// Its arguments, the first being its name.
    pub args: Vec<String>,
    /// Its whole environment; `None` inherits the runtime's.
    pub env: Option<Vec<String>>,
    /// Milliseconds until it is killed.
    pub timeout_ms: Option<u64>,
    /// Where it writes.
    pub output: Output,
}

impl HostHook {
    /// The status that one is told which runs while the container is created. prestart,
    /// which is deprecated, keeps the word of its old place, after creation.
    pub(crate) fn status_in_create(&self) -> &'static str {
        match self.kind {
            "prestart" => "created",
            _ => "creating",
        }
    }

    /// Why one failed that was killed, in runc's words.
    pub(crate) fn past_timeout(timeout_ms: u64) -> String {
        let seconds = std::time::Duration::from_millis(timeout_ms).as_secs_f64();
        format!("hook ran past specified timeout of {seconds:.1}s")
    }

    /// The words that users of runc know, whichever side ran the hook.
    pub(crate) fn failed(&self, why: &str, output: &str, errors: &str) -> Error {
        let Self { kind, index, .. } = self;
        Error::new(
            ErrorKind::Hook,
            format!(
                "error running {kind} hook #{index}: {why}, stdout: {output}, stderr: {errors}"
            ),
        )
        .at(format!("/hooks/{kind}/{index}"))
    }
}

/// One operation of the host side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum HostOp {
    /// Write the record of a container that is being created.
    Record,
    /// Bind the socket on which init will wait for `start`.
    OpenGate,
    /// Bind the socket that relays readiness to NOTIFY_SOCKET.
    OpenNotify,
    /// Make the cgroup's directories of one version.
    MakeCgroup(Part),
    /// Ask systemd to start the container's unit, with init in it.
    StartUnit,
    /// Wait until it has.
    AwaitUnit,
    /// Set its limits.
    LimitCgroup,
    /// Start init.
    Spawn {
        /// Its new namespaces.
        namespaces: Vec<&'static str>,
        /// Whether it starts in its cgroup (v2).
        into_cgroup: bool,
    },
    /// Write the user id map.
    UidMap(String),
    /// Give setgroups(2) up in the new user namespace: a caller without privileges may map
    /// its own group only then.
    DenySetgroups,
    /// Write the group id map.
    GidMap(String),
    /// Write /proc/PID/oom_score_adj.
    OomScore(i64),
    /// Move a network device into the network namespace of init.
    MoveNetDevice {
        /// Its name in the runtime's namespace.
        device: String,
        /// Its name inside; in one with `%d` the kernel chooses the number.
        name: String,
    },
    /// Make a group in resctrl, or a monitoring group in one.
    MakeResctrlGroup(PathBuf),
    /// A group of others must have these schemata.
    CompareSchemata {
        /// The group's directory.
        group: PathBuf,
        /// A line a resource.
        schemata: Vec<String>,
    },
    /// Write a group's schemata.
    WriteSchemata {
        /// The group's directory.
        group: PathBuf,
        /// A line a resource.
        schemata: Vec<String>,
    },
    /// Write init into groups of resctrl.
    JoinResctrl(Vec<PathBuf>),
    /// Run a hook.
    Hook(HostHook),
    /// Limit a resource of init.
    Rlimit {
        /// Its number.
        resource: u32,
        /// The soft limit.
        soft: u64,
        /// The hard limit.
        hard: u64,
    },
    /// The record says `created` from here on.
    RecordCreated,
    /// Write the pid file.
    PidFile(PathBuf),
    /// Send a descriptor of the process to a socket.
    SendPidfd {
        /// The socket.
        socket: PathBuf,
        /// `standard`, or `setns` for exec.
        payload: &'static str,
    },
    /// Send the terminal to a socket, or keep it for the caller.
    Console {
        /// The socket; `None` keeps it.
        socket: Option<PathBuf>,
    },
    /// Fetch the seccomp listener and send it to an agent.
    Listener {
        /// The agent's socket.
        socket: PathBuf,
        /// What the agent is told.
        metadata: String,
    },
    /// Let init go on from a sync point.
    Release {
        /// The point.
        point: u64,
    },
}

/// One side's operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Of the host side.
    Host(HostOp),
    /// Of init.
    Init(Op),
}

/// One operation, with the place in config.json that it comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// A JSON pointer; empty for what every container gets.
    pub pointer: String,
    /// What is to be done.
    #[serde(flatten)]
    pub action: Action,
}

/// A descriptor that init gets, and what the host opens for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Descriptor {
    /// A namespace to join.
    Namespace {
        /// Its file.
        path: PathBuf,
        /// Where the configuration names it.
        pointer: String,
    },
    /// The process whose namespaces are joined.
    Process,
    /// The `cgroup.procs` file of the v2 cgroup, where init could not be started inside.
    V2Tasks,
    /// Descriptor `3 + n` of the calling program, handed on.
    Inherited(u32),
    /// A file that hooks append to.
    HookOutput(OutputFile),
    /// The tree of a bind mount's source.
    Tree(Tree),
}

/// A copy of mounts, made for init.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tree {
    /// What is cloned.
    pub source: PathBuf,
    /// With the mounts below it.
    pub recursive: bool,
    /// Not what a symbolic link leads to, but the link.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_follow: bool,
    /// How its ids are mapped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_map: Option<IdMapping>,
    /// The mount's place in config.json.
    pub pointer: String,
}

/// The mapping of a tree's ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct IdMapping {
    /// Which of [`Plan::user_namespaces`] has it.
    pub namespace: usize,
    /// Whether the mounts below are mapped too.
    pub whole_tree: bool,
}

/// A user namespace that is there for its mapping.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum UserNamespace {
    /// That of this file.
    Joined(PathBuf),
    /// A new one with these maps, each as `/proc/PID/uid_map` takes it.
    Made {
        /// Of users.
        uids: String,
        /// Of groups.
        gids: String,
    },
}

/// Everything that creating a container, or executing a process in one, will do.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// The operations of both sides, in order.
    pub steps: Vec<Step>,
    /// What the host opens for init, from slot [`slot::FIRST_FREE`] on.
    pub descriptors: Vec<Descriptor>,
    /// The mappings of mounts, each there once; see [`Tree::id_map`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub user_namespaces: Vec<UserNamespace>,
    /// CLONE_NEW* flags of init's clone.
    #[serde(skip)]
    pub clone_flags: u64,
    /// The container's cgroup, operation by operation.
    pub cgroup: Option<CgroupPlan>,
    /// The container's group in resctrl.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resctrl: Option<ResctrlGroup>,
    /// What the user should know.
    #[serde(skip)]
    pub notices: Vec<Notice>,
    /// Whether init tells when it begins each operation.
    #[serde(skip)]
    pub traced: bool,
}

impl Plan {
    pub(crate) fn new() -> Self {
        Self {
            steps: Vec::with_capacity(96),
            descriptors: Vec::new(),
            user_namespaces: Vec::new(),
            clone_flags: 0,
            cgroup: None,
            resctrl: None,
            notices: Vec::new(),
            traced: false,
        }
    }

    pub(crate) fn host(&mut self, pointer: impl Into<String>, op: HostOp) {
        self.steps.push(Step { pointer: pointer.into(), action: Action::Host(op) });
    }

    pub(crate) fn init(&mut self, pointer: impl Into<String>, op: Op) {
        self.steps.push(Step { pointer: pointer.into(), action: Action::Init(op) });
    }

    /// Init stops at `point`; the host side does what `meanwhile` adds, and lets it go on.
    pub(crate) fn sync(
        &mut self,
        point: u64,
        meanwhile: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        self.init("", Op::Sync { point });
        meanwhile(self)?;
        self.host("", HostOp::Release { point });
        Ok(())
    }

    /// The slot in which init will find `descriptor`.
    pub(crate) fn descriptor(&mut self, descriptor: Descriptor) -> u64 {
        self.descriptors.push(descriptor);
        slot::FIRST_FREE + self.descriptors.len() as u64 - 1
    }

    /// The place among [`Plan::user_namespaces`] of `namespace`, which is added if it is new.
    pub(crate) fn user_namespace(&mut self, namespace: UserNamespace) -> usize {
        let known = self.user_namespaces.iter().position(|known| *known == namespace);
        known.unwrap_or_else(|| {
            self.user_namespaces.push(namespace);
            self.user_namespaces.len() - 1
        })
    }

    /// The bytes that init reads. `table` has a descriptor for each slot, or -1; see
    /// [`Header::PLACEHOLDER`].
    pub fn encode(&self, table: &[i64]) -> Vec<u8> {
        let ops = || {
            self.steps.iter().enumerate().filter_map(|(place, step)| match &step.action {
                Action::Init(op) => Some((place as u64, op)),
                Action::Host(_) => None,
            })
        };
        let mut out = Writer::with_capacity(16 * 1024);
        out.word(MAGIC);
        out.word(table.len() as u64);
        let traced = if self.traced { Header::TRACED } else { 0 };
        out.word(ops().count() as u64 | traced);
        for number in table {
            out.word(*number as u64);
        }
        for (place, op) in ops() {
            op.encode(place, &mut out);
        }
        out.into_bytes()
    }
}
