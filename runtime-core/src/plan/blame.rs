//! From a fact of init to an error: which operation, on what, why, from where in
//! config.json. Where engines and people know runc's words, these are the words.

use super::HostHook;
use super::hooks::Output;
use super::ops::{Call, Message, Op};
use super::step::{Action, Step};
use crate::error::{Error, ErrorKind, errno_text, signal_text};

/// The error behind a failure that init reported for `step`.
pub(crate) fn blame(step: Option<&Step>, message: Message, words: &[u8]) -> Error {
    let call = Call::name(message.call);
    let os = |name: &'static str| match message.errno {
        0 => Error::new(ErrorKind::System, name),
        errno => Error::os(name, errno),
    };
    let Some(Step { pointer, action: Action::Init(op) }) = step else {
        return os(call).context("init");
    };
    let error = match op {
        Op::Hook { path, timeout_ms, .. } => {
            hook_failed(&path.to_string(), *timeout_ms, pointer, message, words)
        }
        Op::FindExecutable { .. } | Op::Exec { .. } => exec_failed(op, message),
        Op::Sync { .. } => os(call).context("init"),
        Op::Rlimit { resource, .. } => {
            blame_rlimit(u32::try_from(*resource).unwrap_or(u32::MAX), os(call))
        }
        op => {
            let error = os(call);
            let error =
                if words.is_empty() { error } else { error.saying(String::from_utf8_lossy(words)) };
            explain(op, message, error).context(doing(op))
        }
    };
    if pointer.is_empty() { error } else { error.at(pointer.as_str()) }
}

/// A limit that could not be set, by whichever side.
pub(crate) fn blame_rlimit(resource: u32, error: Error) -> Error {
    let denied = error.errno() == Some(libc::EPERM);
    let failure = error.context(format!("error setting rlimit {}", super::rlimits::name(resource)));
    if denied { failure.hint("raising a hard limit needs CAP_SYS_RESOURCE") } else { failure }
}

/// What the operation was about.
fn doing(op: &Op) -> String {
    match op {
        Op::MountFs { source, target, .. } | Op::MountBind { source, target, .. } => {
            format!("error mounting {:?} to rootfs at {:?}", source.to_string(), target.to_string())
        }
        Op::MountCgroup2 { target, .. } => {
            format!("error mounting \"cgroup\" to rootfs at {:?}", target.to_string())
        }
        Op::Unmount { target } => format!("error unmounting {:?}", target.to_string()),
        Op::MaskPath { path, .. } => format!("can't mask path {:?}", path.to_string()),
        Op::ReadonlyPath { path } => format!("can't make {:?} read-only", path.to_string()),
        Op::Sysctl { path, value } => format!("error setting {path} to {value:?}"),
        Op::ExecLabel { path, .. } => format!("unable to apply security label `/proc/{path}`"),
        Op::Affinity { .. } => "error setting CPU affinity".to_owned(),
        Op::Scheduler { .. } => "error setting scheduler".to_owned(),
        Op::WorkDirectory { path } => {
            format!("chdir to cwd ({:?}) set in config.json failed", path.to_string())
        }
        Op::JoinNamespace { kind, .. } => {
            format!(
                "joining the {} namespace",
                super::namespaces::name_of(*kind).unwrap_or("unknown")
            )
        }
        Op::JoinCgroups { .. } => "adding pid of the new process to cgroups".to_owned(),
        Op::OpenRootfs { path } => format!("preparing rootfs {path}"),
        Op::Device { path, .. } => format!("creating device node {:?}", path.to_string()),
        other => super::show::init_op(other),
    }
}

/// Why a part of a tree cannot be copied (mount_namespaces(7)).
pub(crate) const LOCKED_BELOW: &str =
    "what is mounted below the source is locked in this user namespace: take it along with rbind";

/// Reasons that are not plain errnos.
fn explain(op: &Op, message: Message, error: Error) -> Error {
    let config = |text: &str| Error::new(ErrorKind::InvalidConfig, text);
    match message.call {
        call if call == Call::NotADirectory as u32 => {
            config("the filesystem must be mounted on ordinary directory, not on a symbolic link")
        }
        call if call == Call::Outside as u32 => config(
            "current working directory is outside of container mount namespace root -- possible container breakout detected",
        ),
        call if call == Call::NotProcfs as u32 => {
            config("/proc of the container is not procfs: refusing to write to it")
                .hint("mount proc at /proc")
        }
        call if call == Call::NotADevice as u32 && message.value != 0 => {
            let what = kind_of_file(message.value);
            let due = match op {
                Op::Device { bind: 0, .. } => "the device",
                _ => "a file or a device to mount on",
            };
            config(&format!("{what} is where {due} must be")).hint("remove it from the image")
        }
        call if call == Call::NotADevice as u32 => {
            config("what is there is not the device it should be")
        }
        call if call == Call::HiddenProc as u32 => {
            config("the target leads into /proc, where only a few files may be mounted over")
        }
        call if call == Call::NotProc as u32 => {
            config("\"/proc\" cannot be mounted because it is not of type proc")
                .hint("bind a procfs, or mount one")
        }
        call if call == Call::OtherLink as u32 => {
            config("another file is where the symbolic link is to be made")
        }
        call if call == Call::LockedFlags as u32 => {
            let flags = super::show::options(message.value, "");
            Error::new(ErrorKind::System, format!("cannot clear locked flags {flags}"))
                .with_errno(message.errno)
                .hint("a more privileged namespace has set them: ask for them, or for nothing")
        }
        _ => match (op, message.errno) {
            (_, libc::EPERM) if message.call == Call::MountSetattr as u32 => {
                error.hint("flags that a more privileged namespace has set cannot be cleared")
            }
            (Op::MountFs { data, .. }, libc::EINVAL) if has_context(&data.to_string()) => {
                error.hint("linux.mountLabel needs SELinux, which this kernel may not have enabled")
            }
            (Op::MountFs { data, .. }, libc::EINVAL) if data.as_bytes().len() >= PAGE => {
                error.hint("options longer than a page need Linux 6.8")
            }
            (Op::MountFs { fstype, .. }, libc::ENODEV) => {
                error.hint(format!("this kernel has no filesystem {fstype}"))
            }
            (Op::MountBind { source, .. }, libc::ENOENT)
                if message.call == Call::OpenTree as u32 =>
            {
                error.path(source.as_path()).hint("the source of a bind mount must exist")
            }
            (Op::MountBind { recursive: 0, .. }, libc::EINVAL)
                if message.call == Call::OpenTree as u32 =>
            {
                error.hint(LOCKED_BELOW)
            }
            (Op::MountBind { .. }, libc::ENOTDIR) => {
                error.hint("a directory is mounted on a directory only, and a file on a file")
            }
            (Op::Unmount { .. }, libc::EINVAL) => error.hint("nothing is mounted there"),
            (Op::Unmount { .. }, libc::ELOOP) => error.hint("links of the container are not followed"),
            (
                Op::MaskPath { .. } | Op::ReadonlyPath { .. } | Op::MakeDirectory { .. },
                libc::ELOOP,
            ) => error.hint("it leads through a magic link of procfs, which is not followed"),
            (Op::JoinNamespace { .. } | Op::JoinProcess { .. }, libc::EINVAL) => {
                error.hint("the path must name a namespace of that type")
            }
            (Op::MountFs { .. } | Op::MountBind { .. }, libc::ENOSYS)
                if message.call == Call::MountSetattr as u32 =>
            {
                error.hint("options for a whole tree of mounts (rro, rnosuid, …) need Linux 5.12")
            }
            (Op::OomScore { .. }, libc::EACCES | libc::EPERM) => error.hint(
                "below the runtime's own score needs CAP_SYS_RESOURCE: an ordinary user may only raise it",
            ),
            (Op::User { .. }, libc::EPERM) if message.call == Call::Setgroups as u32 => {
                error.context("cannot set any additional groups in a rootless container").hint(
                    "a user namespace that maps a single group of an ordinary user has no others: \
                     have ranges granted in /etc/subgid, or remove additionalGids",
                )
            }
            (Op::User { .. }, libc::EINVAL) => {
                error.hint("the id is not mapped in the container's user namespace")
            }
            (Op::MountFs { data, .. }, libc::EINVAL) if option_of(data, "gid=").is_some() => {
                let option = option_of(data, "gid=").unwrap_or_default();
                error.hint(format!(
                    "option {option}: the container's user namespace must map that group, and the \
                     file system take the option"
                ))
            }
            (Op::MountFs { fstype, .. }, libc::EPERM) if fstype.to_string() == "sysfs" => error.hint(
                "sysfs needs a network namespace of the container's own user namespace: make one, \
                 or bind /sys (type none, options rbind)",
            ),
            (Op::MountFs { fstype, .. }, libc::EPERM) if fstype.to_string() == "proc" => error.hint(
                "a new procfs needs a pid namespace of the container's own user namespace, and none \
                 of the host's /proc may be covered; else bind /proc (options rbind)",
            ),
            (Op::MountFs { .. }, libc::EINVAL) => error.hint("the filesystem refused an option"),
            (Op::Affinity { .. }, libc::EINVAL) => {
                error.hint("at least one of the CPUs must be online and in the cpuset")
            }
            (Op::Scheduler { attr }, errno) => why_not_scheduled(attr, errno, error),
            (Op::IoPriority { .. }, libc::EPERM) => {
                error.hint("IOPRIO_CLASS_RT needs CAP_SYS_ADMIN or CAP_SYS_NICE")
            }
            (Op::MemoryPolicy { .. }, libc::EINVAL) => error.hint(
                "the nodes must be online and in the cpuset; MPOL_PREFERRED_MANY needs Linux \
                 5.15, MPOL_WEIGHTED_INTERLEAVE 6.9",
            ),
            (Op::ExecLabel { .. }, libc::ENOENT | libc::EINVAL) => {
                error.hint("the profile or label must be loaded on the host")
            }
            (Op::TimeOffsets { .. }, libc::ERANGE) => error.hint(
                "it is added to the time since boot, which may become neither negative nor more \
                 than 146 years",
            ),
            (Op::Seccomp { .. }, libc::EINVAL) => {
                error.hint("the kernel refuses the program, or is too old for one of its flags")
            }
            (Op::PivotRoot {}, libc::EINVAL) => {
                error.hint("a root that is an initramfs needs --no-pivot")
            }
            _ => error,
        },
    }
}

/// What `S_IFMT` of a mode says.
fn kind_of_file(mode: u64) -> &'static str {
    match u32::try_from(mode).unwrap_or(0) & libc::S_IFMT {
        libc::S_IFLNK => "a symbolic link",
        libc::S_IFIFO => "a named pipe",
        libc::S_IFSOCK => "a socket",
        libc::S_IFDIR => "a directory",
        libc::S_IFREG => "a regular file",
        libc::S_IFBLK | libc::S_IFCHR => "another device",
        _ => "another file",
    }
}

/// The second word is the policy (`struct sched_attr`).
fn why_not_scheduled(attr: &[u8], errno: i32, error: Error) -> Error {
    const SCHED_DEADLINE: u8 = 6;
    let deadline = attr.get(4) == Some(&SCHED_DEADLINE);
    match errno {
        libc::EPERM if deadline => error.hint(
            "SCHED_DEADLINE needs CAP_SYS_NICE, and every CPU of the machine: this process \
             scheduler can't be used together with AllowedCPUs",
        ),
        libc::EPERM => error.hint(
            "a real-time policy or a lower nice value needs CAP_SYS_NICE, and on cgroup v1 a \
             cgroup with cpu.rt_runtime_us",
        ),
        libc::EBUSY => error.hint("no bandwidth is left for SCHED_DEADLINE: ask for less runtime"),
        libc::EINVAL if deadline => {
            error.hint("runtime is at least 1024 ns, and the period at most 4 s by default")
        }
        libc::EOPNOTSUPP => error.hint("this kernel has no utilization clamping"),
        _ => error,
    }
}

const PAGE: usize = 4095;

/// Whether a filesystem is given a context of SELinux.
fn has_context(data: &str) -> bool {
    data.split(',')
        .any(|word| word.split_once('=').is_some_and(|(name, _)| name.ends_with("context")))
}

/// The option of a mount's data that begins so.
fn option_of(data: &super::wire::Text, name: &str) -> Option<String> {
    let data = data.to_string();
    data.split(',').find(|option| option.starts_with(name)).map(str::to_owned)
}

/// `exec: "name": why`, as Go says it and engines look for it.
fn exec_failed(op: &Op, message: Message) -> Error {
    let text = match op {
        Op::FindExecutable { candidates, searched } => {
            let first = candidates.first().map(ToString::to_string).unwrap_or_default();
            let name = if *searched == 1 { base_name(&first) } else { first.as_str() };
            let why = match message.call {
                call if call == Call::Lookup as u32 => {
                    "executable file not found in $PATH".to_owned()
                }
                call if call == Call::Fstat as u32 => {
                    format!("stat {first}: {}", errno_text(message.errno))
                }
                // The words by which every engine tells 126 from other failures come first.
                call if call == Call::IsDirectory as u32 => {
                    "permission denied: is a directory".to_owned()
                }
                _ => errno_text(message.errno),
            };
            format!("exec: {name:?}: {why}")
        }
        Op::Exec { args, .. } => {
            let name = args.first().map(ToString::to_string).unwrap_or_default();
            format!("exec {name}: {}", errno_text(message.errno))
        }
        _ => errno_text(message.errno),
    };
    Error::new(ErrorKind::Exec, text).with_errno(message.errno)
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// A hook that init ran failed: what it wrote came along.
fn hook_failed(
    path: &str,
    timeout_ms: u64,
    pointer: &str,
    message: Message,
    words: &[u8],
) -> Error {
    let mut parts = words
        .splitn(2, |byte| *byte == 0)
        .map(|part| String::from_utf8_lossy(part).trim_end().to_owned());
    let (output, errors) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let status = i32::try_from(message.value).unwrap_or(-1);
    let why = match message.call {
        call if call == Call::HookTimeout as u32 => HostHook::past_timeout(timeout_ms),
        call if call == Call::HookExit as u32 && libc::WIFSIGNALED(status) => {
            signal_text(libc::WTERMSIG(status))
        }
        call if call == Call::HookExit as u32 => {
            format!("exit status {}", libc::WEXITSTATUS(status))
        }
        call if call == Call::Execve as u32 => format!("{path}: {}", errno_text(message.errno)),
        call => format!("{}: {}", Call::name(call), errno_text(message.errno)),
    };
    let mut place = pointer.rsplit('/');
    let index = place.next().and_then(|index| index.parse().ok()).unwrap_or(0);
    let kind = match place.next() {
        Some("startContainer") => "startContainer",
        _ => "createContainer",
    };
    let hook = HostHook {
        kind,
        index,
        path: String::new(),
        args: Vec::new(),
        env: None,
        timeout_ms: None,
        output: Output::default(),
    };
    hook.failed(&why, &output, &errors)
}
