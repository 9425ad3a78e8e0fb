//! Plans for people: one line an operation.

use super::cgroup::Part;
use super::cgroup::systemd::Property;
use super::namespaces::{name_of, names_of};
use super::ops::{NO_SLOT, Op, link, point};
use super::step::{Action, HostOp, Plan, Step};
use super::wire::List;
use std::fmt;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, step) in self.steps.iter().enumerate() {
            line(f, place, step)?;
            for text in self.unit_lines(step) {
                writeln!(f, "             {text}")?;
            }
            for (text, pointer) in self.cgroup_lines(step) {
                writeln!(f, "             {text}{}", from(pointer))?;
            }
        }
        Ok(())
    }
}

impl Plan {
    /// The same as JSON: `steps`, `descriptors`, `cgroup`.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// What systemd is asked for.
    fn unit_lines(&self, step: &Step) -> Vec<String> {
        let unit = self.cgroup.as_ref().and_then(|cgroup| cgroup.unit.as_ref());
        match (&step.action, unit) {
            (Action::Host(HostOp::StartUnit), Some(unit)) => {
                let property = |one: &Property| format!("{}={}", one.name, one.value);
                let first = std::iter::once(format!("unit {}", unit.name));
                first.chain(unit.properties.iter().map(property)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// What a step for the cgroup consists of.
    fn cgroup_lines(&self, step: &Step) -> Vec<(String, &str)> {
        use super::cgroup::CgroupOp;
        let Some(cgroup) = &self.cgroup else { return Vec::new() };
        let belongs = |op: &CgroupOp| match &step.action {
            Action::Host(HostOp::MakeCgroup(part)) => {
                let directory = cgroup.cgroup.directories.get(op.directory());
                let is_of_part = directory.is_some_and(|one| one.is_v2() == (*part == Part::V2));
                is_of_part
                    && !matches!(
                        op,
                        CgroupOp::Write { .. }
                            | CgroupOp::FilterDevices { .. }
                            | CgroupOp::Join { .. }
                    )
            }
            Action::Host(HostOp::LimitCgroup) => {
                matches!(op, CgroupOp::Write { .. } | CgroupOp::FilterDevices { .. })
            }
            Action::Init(Op::JoinCgroups { .. }) => matches!(op, CgroupOp::Join { .. }),
            _ => false,
        };
        cgroup
            .ops
            .iter()
            .zip(cgroup.lines())
            .filter(|(op, _)| belongs(op))
            .map(|(_, line)| line)
            .collect()
    }
}

impl Step {
    /// What is done, in the words of the plan.
    pub(crate) fn words(&self) -> String {
        match &self.action {
            Action::Host(op) => host_op(op),
            Action::Init(op) => init_op(op),
        }
    }

    /// Whether the host side does it, or waits for init to have done it.
    pub(crate) fn is_done_or_awaited_here(&self) -> bool {
        matches!(self.action, Action::Host(_) | Action::Init(Op::Sync { .. } | Op::Fork { .. }))
    }

    /// The phase of the host side, for a trace.
    pub(crate) fn phase_here(&self) -> &'static str {
        if matches!(self.action, Action::Init(_)) { "wait" } else { self.phase() }
    }

    /// The phase that it belongs to, for a trace.
    pub(crate) fn phase(&self) -> &'static str {
        match &self.action {
            Action::Host(HostOp::Hook(_)) | Action::Init(Op::Hook { .. }) => "hook",
            Action::Host(
                HostOp::MakeCgroup(_) | HostOp::StartUnit | HostOp::AwaitUnit | HostOp::LimitCgroup,
            ) => "cgroup",
            Action::Host(HostOp::Spawn { .. }) => "clone",
            Action::Host(_) => "host",
            Action::Init(_) => "init",
        }
    }
}

fn line(f: &mut fmt::Formatter<'_>, place: usize, step: &Step) -> fmt::Result {
    let (side, text) = match &step.action {
        Action::Host(op) => ("host", host_op(op)),
        Action::Init(op) => ("init", init_op(op)),
    };
    writeln!(f, "{place:4}  {side}  {text}{}", from(&step.pointer))
}

fn from(pointer: &str) -> String {
    if pointer.is_empty() { String::new() } else { format!("  <- {pointer}") }
}

fn host_op(op: &HostOp) -> String {
    match op {
        HostOp::Record => "record the container as creating".to_owned(),
        HostOp::OpenGate => "open the gate that start will knock at".to_owned(),
        HostOp::OpenNotify => "make the directory of the notification socket".to_owned(),
        HostOp::MakeCgroup(Part::V1) => "make the v1 cgroups".to_owned(),
        HostOp::MakeCgroup(Part::V2) => "make the v2 cgroup".to_owned(),
        HostOp::StartUnit => "ask systemd to start the unit of the container".to_owned(),
        HostOp::AwaitUnit => "wait until systemd has moved init into it".to_owned(),
        HostOp::LimitCgroup => "limit the cgroup".to_owned(),
        HostOp::Spawn { namespaces, into_cgroup } => {
            let place = if *into_cgroup { ", in its v2 cgroup" } else { "" };
            match namespaces.as_slice() {
                [] => format!("start init{place}"),
                new => format!("start init in new namespaces: {}{place}", new.join(", ")),
            }
        }
        HostOp::UidMap(map) => format!("map user ids (inside outside count): {}", map_line(map)),
        HostOp::DenySetgroups => "give setgroups up".to_owned(),
        HostOp::GidMap(map) => format!("map group ids (inside outside count): {}", map_line(map)),
        HostOp::OomScore(score) => format!("set oom_score_adj to {score}"),
        HostOp::MoveNetDevice { device, name } if device == name => {
            format!("move network device {device} into the container")
        }
        HostOp::MoveNetDevice { device, name } => {
            format!("move network device {device} into the container as {name}")
        }
        HostOp::MakeResctrlGroup(group) => format!("make resctrl group {}", group.display()),
        HostOp::CompareSchemata { group, schemata } => {
            format!("see that {} has {}", group.display(), schemata.join(" "))
        }
        HostOp::WriteSchemata { group, schemata } => {
            format!("write to {}/schemata: {}", group.display(), schemata.join(" "))
        }
        HostOp::JoinResctrl(groups) => {
            let groups: Vec<_> = groups.iter().map(|group| group.to_string_lossy()).collect();
            format!("write the pid to tasks of {}", groups.join(" and "))
        }
        HostOp::Hook(hook) => {
            format!("run {} hook {}: {}", hook.kind, hook.index, hook.args.join(" "))
        }
        HostOp::Rlimit { resource, soft, hard } => rlimit(*resource, *soft, *hard),
        HostOp::RecordCreated => "record the container as created".to_owned(),
        HostOp::PidFile(path) => format!("write the pid to {}", path.display()),
        HostOp::SendPidfd { socket, .. } => format!("send the pidfd to {}", socket.display()),
        HostOp::Console { socket: Some(socket) } => {
            format!("send the terminal to {}", socket.display())
        }
        HostOp::Console { socket: None } => "keep the terminal for the caller".to_owned(),
        HostOp::Listener { socket, .. } => {
            format!("send the seccomp listener to {}", socket.display())
        }
        HostOp::Release { point } => format!("let init go on: {}", point_name(*point)),
    }
}

fn map_line(map: &str) -> String {
    map.trim_end().replace('\n', ", ")
}

fn rlimit(resource: u32, soft: u64, hard: u64) -> String {
    format!("limit {} to {} (hard {})", super::rlimits::name(resource), limit(soft), limit(hard))
}

fn limit(value: u64) -> String {
    if value == u64::MAX { "unlimited".to_owned() } else { value.to_string() }
}

fn point_name(number: u64) -> &'static str {
    match number {
        point::IDENTITY => "identity",
        point::CGROUP => "cgroup",
        point::NETWORK => "network",
        point::LIMITS => "limits",
        point::MOUNTED => "mounted",
        point::READY => "ready",
        _ => "unknown",
    }
}

/// One operation of init.
pub(super) fn init_op(op: &Op) -> String {
    match op {
        Op::JoinProcess { flags, .. } => {
            format!("join the namespaces of the container: {}", names_of(*flags).join(", "))
        }
        Op::JoinNamespace { kind, slot } => {
            format!(
                "join the {} namespace of descriptor {slot}",
                name_of(*kind).unwrap_or("unknown")
            )
        }
        Op::Unshare { flags } => format!("make namespaces: {}", names_of(*flags).join(", ")),
        Op::TimeOffsets { text } => format!("set clock offsets: {}", map_line(&text.to_string())),
        Op::Fork { flags: 0 } => "go on in a child".to_owned(),
        Op::Fork { flags } => {
            format!("go on in a child in new namespaces: {}", names_of(*flags).join(", "))
        }
        Op::BecomeRoot {} => "become root of the user namespace".to_owned(),
        Op::Sync { point } => format!("wait for the host: {}", point_name(*point)),
        Op::Session {} => "start a session".to_owned(),
        Op::Keyring { name, .. } => format!("join a session keyring {name}"),
        Op::LoopbackUp {} => "bring lo up".to_owned(),
        Op::RootPropagation { flags, .. } => format!("make mounts {}", propagation(*flags)),
        Op::OpenRootfs { path } => format!("bind the rootfs {path} onto itself"),
        Op::HostRoot { back: 0 } => "keep the host's root at hand".to_owned(),
        Op::HostRoot { .. } => {
            "go back to the host's root, with the container's at hand".to_owned()
        }
        Op::Unmount { target } => format!("unmount {target}"),
        Op::OpenRoot { path } => format!("take {path} as the root"),
        Op::MountFs {
            target,
            source,
            fstype,
            flags,
            data,
            copy_up,
            propagation,
            attr_set,
            attr_clear,
            inherit: _,
        } => {
            let copy = if *copy_up == 1 { ", with what it covers" } else { "" };
            format!(
                "mount {source} on {target} type {fstype} ({}){copy}{}",
                options(*flags, &data.to_string()),
                afterwards(*propagation, *attr_set, *attr_clear)
            )
        }
        Op::MountBind {
            target,
            source,
            slot,
            recursive,
            directory: _,
            links: at_ends,
            set,
            clear,
            propagation,
            attr_set,
            attr_clear,
        } => {
            let kind = if *recursive == 1 { "rbind" } else { "bind" };
            let held = if *slot == NO_SLOT { "" } else { ", opened by the host" };
            let cleared =
                if *clear == 0 { String::new() } else { format!(" not ({})", options(*clear, "")) };
            format!(
                "{kind} {source} on {target} ({}){cleared}{}{}{held}",
                options(*set, ""),
                links(*at_ends),
                afterwards(*propagation, *attr_set, *attr_clear)
            )
        }
        Op::Remount { target, flags, data } => {
            format!("remount {target} ({})", options(*flags, &data.to_string()))
        }
        Op::RemountBind { target, set, clear, propagation, attr_set, attr_clear } => {
            let cleared =
                if *clear == 0 { String::new() } else { format!(" not ({})", options(*clear, "")) };
            format!(
                "change flags of {target} ({}){cleared}{}",
                options(*set, ""),
                afterwards(*propagation, *attr_set, *attr_clear)
            )
        }
        Op::MountCgroup2 {
            target,
            flags,
            data,
            propagation,
            attr_set,
            attr_clear,
            fallback,
            mask: _,
        } => {
            format!(
                "mount cgroup on {target} type cgroup2 ({}){}, or bind {fallback}",
                options(*flags, &data.to_string()),
                afterwards(*propagation, *attr_set, *attr_clear)
            )
        }
        Op::TreeFlags { target, flags, .. } => {
            format!("set flags of {target} and all below ({})", options(*flags, ""))
        }
        Op::Rlimit { resource, soft, hard } => {
            rlimit(u32::try_from(*resource).unwrap_or(u32::MAX), *soft, *hard)
        }
        Op::Reachable { on: 0 } => "out of reach through /proc".to_owned(),
        Op::Reachable { .. } => "within reach through /proc, to be mapped".to_owned(),
        Op::OomScore { score } => format!("set oom_score_adj to {score}"),
        Op::JoinCgroups { .. } => "join the cgroup".to_owned(),
        Op::EmptyFile { path } => format!("make a place to mount on at {path}"),
        Op::Symlink { path, content, .. } => format!("link {path} to {content}"),
        Op::Device { path, mode, major, minor, uid, gid, bind } => {
            let how = if *bind == 1 { "bind" } else { "make" };
            format!("{how} device {path} {major}:{minor} mode {mode:o} owner {uid}:{gid}")
        }
        Op::Console { mount, width, height, .. } => {
            let place = if *mount == 1 { " on /dev/console" } else { "" };
            format!("open a terminal{place}, {width} by {height}")
        }
        Op::HookOutput { stdout, stderr } => {
            let named = [(stdout, "stdout"), (stderr, "stderr")];
            let named = named.into_iter().filter(|(slot, _)| **slot != super::ops::NO_SLOT);
            let names: Vec<_> = named.map(|(_, name)| name).collect();
            format!("let hooks append to the files given as {}", names.join(" and "))
        }
        Op::Hook { path, args, .. } => format!("run hook {path}: {}", words(args)),
        Op::PivotRoot {} => "pivot_root to the rootfs".to_owned(),
        Op::MoveRoot {} => "move the rootfs over /".to_owned(),
        Op::Chroot {} => "chroot to the rootfs".to_owned(),
        Op::RootfsPropagation { flags } => format!("make the root {}", propagation(*flags)),
        Op::RootReadonly {} => "make the root read-only".to_owned(),
        Op::ReopenNull {} => "take /dev/null of the container for that of the host".to_owned(),
        Op::MakeDirectory { path, mode } => format!("make directory {path} mode {mode:o}"),
        Op::Hostname { name } => format!("set hostname {name}"),
        Op::Domainname { name } => format!("set domainname {name}"),
        Op::Sysctl { path, value } => format!("write {value:?} to /proc/{path}"),
        Op::ExecLabel { path, value, .. } => format!("write {value:?} to /proc/{path}"),
        Op::OpenNull {} => "open the host's /dev/null".to_owned(),
        Op::MaskPath { path, .. } => format!("mask {path}"),
        Op::ReadonlyPath { path } => format!("make {path} read-only"),
        Op::NoNewPrivileges {} => "set no_new_privs".to_owned(),
        Op::Scheduler { .. } => "set the scheduling policy".to_owned(),
        Op::IoPriority { priority } => format!("set I/O priority {priority:#x}"),
        Op::Personality { persona } => format!("set personality {persona:#x}"),
        Op::MemoryPolicy { mode, .. } => format!("set memory policy {mode:#x}"),
        Op::Affinity { .. } => "set CPU affinity".to_owned(),
        Op::EveryCpu {} => {
            "run on every CPU of the cpuset, whatever the caller is pinned to".to_owned()
        }
        Op::Bounding { drop } => format!("drop from the bounding set {drop:#x}"),
        Op::WorkDirectory { path } => format!("change directory to {path}"),
        Op::User { uid, gid, groups, umask, .. } => {
            let groups: Vec<String> = groups
                .chunks_exact(4)
                .map(|id| u32::from_ne_bytes([id[0], id[1], id[2], id[3]]).to_string())
                .collect();
            format!("become user {uid} group {gid} groups [{}] umask {umask:03o}", groups.join(" "))
        }
        Op::Capabilities { effective, permitted, inheritable, ambient, until_filter } => {
            let kept = if *until_filter == 0 {
                String::new()
            } else {
                format!(", until the filter also {until_filter:#x}")
            };
            format!(
                "set capabilities effective {effective:#x} permitted {permitted:#x} inheritable {inheritable:#x} ambient {ambient:#x}{kept}"
            )
        }
        Op::Home { uid } => format!("look up the home of user {uid}"),
        Op::FindExecutable { candidates, .. } => format!("find the program: {}", words(candidates)),
        Op::Stdio {} => "put standard streams in place".to_owned(),
        Op::PassDescriptors { first, count } => {
            format!("hand on {count} descriptors from slot {first}")
        }
        Op::Seccomp { program, flags, notify } => {
            let listener = if *notify == 1 { ", with a listener" } else { "" };
            format!(
                "load a seccomp filter of {} instructions, flags {flags:#x}{listener}",
                program.len() / 8
            )
        }
        Op::HoldSignals { on: 0 } => "let signals through again".to_owned(),
        Op::HoldSignals { .. } => "hold back signals that are not meant to end it".to_owned(),
        Op::Gate {} => "wait for start".to_owned(),
        Op::CloseOnExec { from } => format!("close descriptors from {from} on at execve"),
        Op::Signals { reset } => format!("unblock signals, reset ignored ones {reset:#x}"),
        Op::Exec { args, env, .. } => {
            format!("execve {} with {} variables", words(args), env.len())
        }
    }
}

fn links(bits: u64) -> String {
    const WORDS: [(u64, &str); 3] = [
        (link::COPY, ", a link made anew"),
        (link::SOURCE, ", a link itself"),
        (link::DESTINATION, ", on a link itself"),
    ];
    WORDS.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, words)| *words).collect()
}

fn words(list: &List) -> String {
    list.iter().map(|text| format!("{text:?}")).collect::<Vec<_>>().join(" ")
}

fn propagation(flags: u64) -> String {
    let recursive = if flags & libc::MS_REC != 0 { "r" } else { "" };
    let kind = match flags & !libc::MS_REC {
        libc::MS_SHARED => "shared",
        libc::MS_SLAVE => "slave",
        libc::MS_PRIVATE => "private",
        libc::MS_UNBINDABLE => "unbindable",
        _ => return format!("{flags:#x}"),
    };
    format!("{recursive}{kind}")
}

/// What changes once a mount is in place: its propagation, in turn, and the
/// attributes of all mounts below.
fn afterwards(propagation: u64, set: u64, clear: u64) -> String {
    const TURN: u32 = 5;
    const KINDS: [&str; 4] = ["unbindable", "private", "slave", "shared"];
    let mut text = String::new();
    let mut left = propagation;
    while left != 0 {
        let recursive = if left & 1 << KINDS.len() == 0 { "" } else { "r" };
        let kind = KINDS.get(left.trailing_zeros() as usize).unwrap_or(&"unknown");
        text.push_str(&format!(", {recursive}{kind}"));
        left >>= TURN;
    }
    if set | clear != 0 {
        text.push_str(&format!(", attributes below +{set:#x} -{clear:#x}"));
    }
    text
}

/// Mount flags by the names that mount(8) has for them.
pub(super) fn options(flags: u64, data: &str) -> String {
    const NAMES: [(u64, &str); 17] = [
        (libc::MS_POSIXACL, "acl"),
        (libc::MS_RDONLY, "ro"),
        (libc::MS_NOSUID, "nosuid"),
        (libc::MS_NODEV, "nodev"),
        (libc::MS_NOEXEC, "noexec"),
        (libc::MS_SYNCHRONOUS, "sync"),
        (libc::MS_REMOUNT, "remount"),
        (libc::MS_MANDLOCK, "mand"),
        (libc::MS_DIRSYNC, "dirsync"),
        (libc::MS_NOSYMFOLLOW, "nosymfollow"),
        (libc::MS_NOATIME, "noatime"),
        (libc::MS_NODIRATIME, "nodiratime"),
        (libc::MS_BIND, "bind"),
        (libc::MS_RELATIME, "relatime"),
        (libc::MS_I_VERSION, "iversion"),
        (libc::MS_STRICTATIME, "strictatime"),
        (libc::MS_LAZYTIME, "lazytime"),
    ];
    let set = NAMES.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name);
    let mut names: Vec<&str> = set.collect();
    names.extend((!data.is_empty()).then_some(data));
    if names.is_empty() { "rw".to_owned() } else { names.join(",") }
}
