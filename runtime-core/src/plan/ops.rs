//! The operations that init carries out, and the messages it sends back.
//!
//! This one file is compiled into both sides: the library, which encodes, and
//! the init program (`--cfg tare_init`), which decodes. `Text`, `Blob` and
//! `List` are owned on the host and borrowed from the mapped plan in init; see
//! `wire.rs` of each side.
//!
//! Encoding: a header (see [`Header`]), the table of file descriptors, then the
//! operations. Everything is little-endian 64-bit words. An operation is its
//! code, its place in the plan, and its fields in order. A text is its length
//! and its bytes with a NUL, padded to a word; a blob the same without the NUL;
//! a list is the count of its strings, as many empty words plus one (init puts
//! the pointers there and hands the array to the kernel), then the strings.

use super::wire::{Blob, List, Text};

/// A number: flags, an id, a descriptor slot, or a truth value.
pub type Word = u64;

/// The first word of an encoded plan; changes with the encoding.
pub const MAGIC: u64 = 0x7461_7265_0001;

/// Means "no descriptor" where an operation names a slot.
pub const NO_SLOT: u64 = u64::MAX;

/// What stands before the operations: magic, count of descriptors, count of
/// operations, then the descriptors, one word each.
#[cfg_attr(not(tare_init), derive(Debug))]
pub struct Header;

impl Header {
    /// In the count of operations: init is to tell when it begins each.
    pub const TRACED: u64 = 1 << 63;
    /// In the word of a descriptor: it only holds its number, and is not for the container.
    pub const PLACEHOLDER: i64 = 1 << 32;
    /// Words before the table of descriptors.
    pub const WORDS: usize = 3;
}

/// Slots of the descriptor table that every plan has.
pub mod slot {
    /// The socket to the host side.
    pub const CONTROL: u64 = 0;
    /// The listening socket on which `start` knocks; `-1` when the host side
    /// starts the process itself over the control socket.
    pub const GATE: u64 = 1;
    /// First of the three standard streams given by the caller; `-1` inherits.
    pub const STDIN: u64 = 2;
    /// First slot that a plan may give to its own descriptors.
    pub const FIRST_FREE: u64 = 5;
}

macro_rules! operations {
    ($( $(#[$doc:meta])* $name:ident = $code:literal { $( $field:ident : $kind:ty ),* $(,)? } )*) => {
        /// One operation of init.
        #[cfg_attr(not(tare_init), derive(Clone, Debug, PartialEq, Eq, serde::Serialize))]
        pub enum Op {
            $( $(#[$doc])* #[allow(missing_docs)] $name { $( $field: $kind ),* }, )*
        }

        impl Op {
            /// Appends the operation's code, `place`, and fields.
            #[cfg(not(tare_init))]
            pub fn encode(&self, place: u64, out: &mut super::wire::Writer) {
                use super::wire::Put;
                match self {
                    $( Self::$name { $( $field ),* } => {
                        out.word($code);
                        out.word(place);
                        $( $field.put(out); )*
                    } )*
                }
            }

            /// Reads the next operation and its place; `None` when the bytes are no operation.
            pub fn decode(input: &mut super::wire::Reader<'_>) -> Option<(u64, Self)> {
                use super::wire::Get;
                let code = input.word()?;
                let place = input.word()?;
                let op = match code {
                    $( $code => Self::$name { $( $field: <$kind as Get>::get(input)? ),* }, )*
                    _ => return None,
                };
                Some((place, op))
            }
        }
    };
}

operations! {
    /// Join the namespaces in `flags` of the process behind the pidfd in `slot`
    /// (setns with a pidfd, Linux 5.8; before, by the files of `/proc/PID/ns`).
    JoinProcess = 1 { slot: Word, flags: Word, pid: Word }
    /// Join one namespace by its file in `slot`; `kind` is its CLONE_NEW flag.
    JoinNamespace = 2 { slot: Word, kind: Word }
    /// Leave for new namespaces.
    Unshare = 3 { flags: Word }
    /// Clock offsets of the new time namespace, before its first process.
    TimeOffsets = 4 { text: Text }
    /// Go on in a child that has the same parent: the way into pid, user and
    /// time namespaces. The first process reports the child's pid and ends.
    Fork = 5 { flags: Word }
    /// Become user and group 0 of the user namespace, once it has its maps.
    BecomeRoot = 6 {}
    /// Tell the host side that this point is reached and wait for its word.
    Sync = 7 { point: Word }
    /// A session of its own (setsid).
    Session = 8 {}
    /// A fresh session keyring of that name.
    Keyring = 9 { name: Text, label: Text }
    /// Bring the loopback interface up.
    LoopbackUp = 10 {}
    /// Set the propagation of the host's root, then, unless `parent` is 0, of the
    /// mount that holds the rootfs.
    RootPropagation = 11 { flags: Word, parent: Word, rootfs: Text }
    /// Bind the rootfs onto itself; its descriptor is the root of all further paths.
    OpenRootfs = 12 { path: Text }
    /// Take a directory as rootfs as it is (no mount namespace of its own, or exec).
    OpenRoot = 13 { path: Text }
    /// Mount a filesystem below the rootfs. `attr_*` are MOUNT_ATTR bits for the
    /// whole tree; `propagation` holds changes in turn, five bits each, first one lowest:
    /// unbindable, private, slave, shared, and recursive on top. `inherit` has bits of [`inherit`].
    MountFs = 14 { target: Text, source: Text, fstype: Text, flags: Word, data: Text, propagation: Word,
                   attr_set: Word, attr_clear: Word, copy_up: Word, inherit: Word }
    /// Bind `source` (a path, or a tree in `slot`) below the rootfs. `set` and
    /// `clear` are the MS_* flags asked for and asked off.
    /// `directory` says that the source is one; it is asked otherwise. A 2 there says that it may
    /// be missing: an empty read-only one is shown then. `links` has bits of [`link`].
    MountBind = 15 { target: Text, source: Text, slot: Word, recursive: Word, directory: Word, links: Word,
                     set: Word, clear: Word, propagation: Word, attr_set: Word, attr_clear: Word }
    /// Change flags of the mount at `target`.
    Remount = 16 { target: Text, flags: Word, data: Text }
    /// Create a symbolic link below the rootfs; an existing file is left alone.
    Symlink = 17 { path: Text, content: Text, replace: Word }
    /// A regular file to mount on; one that is there, or a device, does as well.
    EmptyFile = 90 { path: Text }
    /// Create a device node, or bind the host's when `bind` is set.
    Device = 18 { path: Text, mode: Word, major: Word, minor: Word, uid: Word, gid: Word, bind: Word }
    /// A terminal from the container's devpts: its master goes to the host side,
    /// its other end becomes the standard streams, and /dev/console if `mount`.
    Console = 19 { mount: Word, width: Word, height: Word, uid: Word }
    /// Run a hook in this process's namespaces. The state on its standard input
    /// is `state_head`, this process's pid, `state_tail`.
    Hook = 20 { path: Text, args: List, env: List, home: Word, timeout_ms: Word, state_head: Text, state_tail: Text }
    /// Make the rootfs the root (pivot_root), the old one gone.
    PivotRoot = 21 {}
    /// Make the rootfs the root by moving the mount (for an initramfs).
    MoveRoot = 22 {}
    /// chroot to the rootfs (no mount namespace of its own).
    Chroot = 23 {}
    /// Propagation of the new root.
    RootfsPropagation = 24 { flags: Word }
    /// Make the root mount read-only.
    RootReadonly = 25 {}
    /// Standard streams that are the host's /dev/null become the container's.
    ReopenNull = 26 {}
    /// Create a directory and its parents below the rootfs.
    MakeDirectory = 27 { path: Text, mode: Word }
    /// Host name.
    Hostname = 28 { name: Text }
    /// NIS domain name.
    Domainname = 29 { name: Text }
    /// Write a file of /proc/sys.
    Sysctl = 30 { path: Text, value: Text }
    /// Write a /proc/self/attr file: LSM label at the next execve. `fallback`
    /// is tried when `path` is not there.
    ExecLabel = 31 { path: Text, fallback: Text, value: Text }
    /// Keep the host's /dev/null at hand for masking files.
    OpenNull = 32 {}
    /// Hide a path: /dev/null over a file, an empty read-only tmpfs over a directory.
    MaskPath = 33 { path: Text, label: Text }
    /// Make a path read-only.
    ReadonlyPath = 34 { path: Text }
    /// No privileges gained at execve from here on.
    NoNewPrivileges = 35 {}
    /// `struct sched_attr`.
    Scheduler = 36 { attr: Blob }
    /// I/O priority, class and level as ioprio_set(2) packs them.
    IoPriority = 37 { priority: Word }
    /// Execution domain and flags.
    Personality = 38 { persona: Word }
    /// NUMA memory policy.
    MemoryPolicy = 39 { mode: Word, nodes: Blob, max_node: Word }
    /// CPUs to run on.
    Affinity = 40 { mask: Blob }
    /// Every CPU that the cpuset allows: what the caller is pinned to is not the container's.
    EveryCpu = 75 {}
    /// Take these out of the capability bounding set.
    Bounding = 41 { drop: Word }
    /// Working directory; tried before the change of user and, when refused, after.
    WorkDirectory = 42 { path: Text }
    /// Groups, group, user, umask. `set_groups` is false where the user namespace denies it.
    User = 43 { uid: Word, gid: Word, groups: Blob, set_groups: Word, umask: Word }
    /// Capability sets. `until_filter` are kept as well until the seccomp filter is loaded.
    Capabilities = 44 { effective: Word, permitted: Word, inheritable: Word, ambient: Word, until_filter: Word }
    /// HOME from the container's /etc/passwd, into the last string of the environment.
    Home = 45 { uid: Word }
    /// Find the program: the first of `candidates` that is an executable file.
    FindExecutable = 46 { candidates: List, searched: Word }
    /// Put the caller's standard streams in place.
    Stdio = 47 {}
    /// Put the descriptors of `count` slots from `first` on at 3, 4, …; close placeholders.
    PassDescriptors = 48 { first: Word, count: Word }
    /// Load a seccomp filter; with `notify` its descriptor is left for the host to fetch.
    Seccomp = 49 { program: Blob, flags: Word, notify: Word }
    /// Wait for `start`.
    Gate = 50 {}
    /// Everything from descriptor `from` on closes at execve.
    CloseOnExec = 51 { from: Word }
    /// Signals to `reset` from ignored to default; none blocked.
    Signals = 52 { reset: Word }
    /// Become the container's program.
    Exec = 53 { args: List, env: List, home: Word }
    /// Write itself into cgroups: v1 by the paths of their `tasks` files, v2 by the
    /// file in `slot` where its clone could not start it inside. A lone process
    /// that moves itself need not wait for a lock of the whole host. What the host does not
    /// let it join is passed over where it `may_be_denied`.
    JoinCgroups = 54 { tasks: List, slot: Word, may_be_denied: Word }
    /// Flags (MS_*) for the mount at `target` and all mounts below it. `below` names
    /// those, for kernels that cannot change a whole tree at once.
    TreeFlags = 56 { target: Text, below: List, flags: Word }
    /// Hooks write to the files in these slots; to memory where there is none.
    HookOutput = 85 { stdout: Word, stderr: Word }
    /// Mount cgroup v2, or, where the kernel refuses a new mount of it, bind `fallback`.
    /// When that is not there either and `mask` is set, an empty directory hides the place.
    MountCgroup2 = 60 { target: Text, flags: Word, data: Text, propagation: Word, attr_set: Word, attr_clear: Word,
                        fallback: Text, mask: Word }
    /// Change flags of the mount that is at `target`: as for `MountBind`.
    RemountBind = 61 { target: Text, set: Word, clear: Word, propagation: Word, attr_set: Word, attr_clear: Word }
    /// Keep the root that this process has before it joins a mount namespace; with `back`, the
    /// root there becomes that of all further paths, and this process goes back to the one kept.
    /// What is below /proc is the host's then, and not the container's to forge.
    HostRoot = 120 { back: Word }
    /// Detach the mount at `target` below the root, with what is mounted below it.
    Unmount = 121 { target: Text }
    /// Hold back signals that would end a process without a handler and are not meant to end a
    /// container, or, without `on`, forget those that came and let signals through again.
    HoldSignals = 122 { on: Word }
    /// A resource limit of its own.
    Rlimit = 55 { resource: Word, soft: Word, hard: Word }
    /// Within reach of a host side that is not root, for its files of `/proc/PID`, or out of
    /// reach again.
    Reachable = 81 { on: Word }
    /// Write its own /proc/self/oom_score_adj, before anything of the container is near.
    OomScore = 82 { score: Text }
}

/// What a tmpfs takes over from the directory that it covers.
pub mod inherit {
    /// Its mode.
    pub const MODE: u64 = 1;
    /// Its owner.
    pub const OWNER: u64 = 2;
}

/// What a bind mount does about symbolic links at its ends.
pub mod link {
    /// A source that is one is made anew, not mounted.
    pub const COPY: u64 = 1;
    /// A source that is one is mounted itself.
    pub const SOURCE: u64 = 2;
    /// A target that is one is mounted on itself.
    pub const DESTINATION: u64 = 4;
}

/// What a message of init says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Fact {
    /// `op` failed: `call` gave `errno`; `value` tells more where the call has more to say.
    Failed = 1,
    /// Sync point `value` is reached.
    Reached = 2,
    /// The work goes on in process `value` (a pid of the sender's namespace).
    Child = 3,
    /// A terminal's master is attached; `value` is its number in devpts.
    Console = 4,
    /// The seccomp listener will be descriptor `value` of this process.
    Listener = 5,
    /// `op` begins; `value` is the time, in nanoseconds of CLOCK_REALTIME. Only in a
    /// plan that is [traced](Header::TRACED).
    Begins = 6,
}

impl Fact {
    /// The fact with that number.
    pub fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            1 => Self::Failed,
            2 => Self::Reached,
            3 => Self::Child,
            4 => Self::Console,
            5 => Self::Listener,
            6 => Self::Begins,
            _ => return None,
        })
    }
}

/// A message of init: fixed size; a failed hook's output may follow it.
#[cfg_attr(not(tare_init), derive(Debug))]
#[derive(Clone, Copy)]
pub struct Message {
    /// A [`Fact`].
    pub fact: u32,
    /// The operation's place in the plan.
    pub op: u32,
    /// A [`Call`].
    pub call: u32,
    /// 0, or the errno.
    pub errno: i32,
    /// See the fact.
    pub value: u64,
}

impl Message {
    /// Size on the wire.
    pub const SIZE: usize = 24;

    /// The bytes on the wire.
    pub fn to_bytes(self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        bytes[..4].copy_from_slice(&self.fact.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.op.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.call.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.errno.to_le_bytes());
        bytes[16..].copy_from_slice(&self.value.to_le_bytes());
        bytes
    }

    /// Reads the bytes on the wire; `None` when there are too few.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (fixed, _) = bytes.split_first_chunk::<{ Self::SIZE }>()?;
        let four = |at: usize| [fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]];
        let [.., a, b, c, d, e, f, g, h] = *fixed;
        Some(Self {
            fact: u32::from_le_bytes(four(0)),
            op: u32::from_le_bytes(four(4)),
            call: u32::from_le_bytes(four(8)),
            errno: i32::from_le_bytes(four(12)),
            value: u64::from_le_bytes([a, b, c, d, e, f, g, h]),
        })
    }
}

/// The host side's word at a sync point: go on.
pub const GO: u8 = b'g';

macro_rules! calls {
    ($( $name:ident = $number:literal $text:literal )*) => {
        /// What init was doing when an operation failed: mostly the system call.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u32)]
        pub enum Call {
            $( #[doc = concat!("`", $text, "`")] $name = $number, )*
        }

        impl Call {
            /// The name to show for a number.
            #[cfg(not(tare_init))]
            pub fn name(number: u32) -> &'static str {
                match number {
                    $( $number => $text, )*
                    _ => "unknown",
                }
            }
        }
    };
}

calls! {
    None = 0 ""
    Openat2 = 1 "openat2"
    Open = 2 "open"
    Mkdirat = 3 "mkdirat"
    Mknodat = 4 "mknodat"
    Symlinkat = 5 "symlinkat"
    Mount = 6 "mount"
    OpenTree = 7 "open_tree"
    MoveMount = 8 "move_mount"
    MountSetattr = 9 "mount_setattr"
    Umount = 10 "umount2"
    PivotRoot = 11 "pivot_root"
    Chroot = 12 "chroot"
    Chdir = 13 "chdir"
    Getcwd = 14 "getcwd"
    Fstat = 15 "fstat"
    Fstatfs = 16 "fstatfs"
    Write = 17 "write"
    Read = 18 "read"
    Setns = 19 "setns"
    Unshare = 20 "unshare"
    Clone = 21 "clone"
    Setsid = 22 "setsid"
    Keyctl = 23 "keyctl"
    Socket = 24 "socket"
    Ioctl = 25 "ioctl"
    Sethostname = 26 "sethostname"
    Setdomainname = 27 "setdomainname"
    Prctl = 28 "prctl"
    Capset = 29 "capset"
    Setgroups = 30 "setgroups"
    Setgid = 31 "setresgid"
    Setuid = 32 "setresuid"
    SchedSetattr = 33 "sched_setattr"
    SchedSetaffinity = 34 "sched_setaffinity"
    IoprioSet = 35 "ioprio_set"
    Personality = 36 "personality"
    SetMempolicy = 37 "set_mempolicy"
    Seccomp = 38 "seccomp"
    Fcntl = 39 "fcntl"
    CloseRange = 40 "close_range"
    Dup = 41 "dup3"
    Accept = 42 "accept4"
    Execve = 43 "execve"
    Fchmod = 44 "fchmod"
    Fchown = 45 "fchown"
    Pipe = 46 "pipe2"
    Wait = 47 "wait4"
    Poll = 48 "poll"
    Readlink = 49 "readlinkat"
    Faccess = 50 "faccessat"
    Getdents = 51 "getdents64"
    Control = 52 "control socket"
    HookExit = 53 "hook exited"
    HookTimeout = 54 "hook ran past its timeout"
    NotADirectory = 55 "not a real directory"
    NotADevice = 56 "not the expected device"
    NotProcfs = 57 "not procfs"
    Outside = 58 "outside the root filesystem"
    Lookup = 59 "executable file not found"
    Plan = 60 "the encoded plan"
    IsDirectory = 61 "is a directory"
    Copy = 62 "copy"
    Fchmodat = 63 "fchmodat"
    Prlimit = 65 "prlimit"
    HiddenProc = 64 "the target is inside /proc"
    Fsopen = 70 "fsopen"
    Fsconfig = 71 "fsconfig"
    Fsmount = 72 "fsmount"
    NotProc = 73 "not of type proc"
    OtherLink = 74 "another symbolic link is there"
    LockedFlags = 75 "locked mount flags"
    Sigprocmask = 120 "rt_sigprocmask"
}

/// Sync points of the lifecycle, in their order.
pub mod point {
    /// In a new user namespace (or a child for another reason): the host writes id maps and offsets.
    pub const IDENTITY: u64 = 1;
    /// The v1 cgroups are made: init may join them.
    pub const CGROUP: u64 = 6;
    /// In its network namespace: the host moves devices into it.
    pub const NETWORK: u64 = 5;
    /// Limits that only the host side may set are set now.
    pub const LIMITS: u64 = 2;
    /// Mounts are in place; the host runs prestart and createRuntime hooks.
    pub const MOUNTED: u64 = 3;
    /// All is set: the host records the container, then init waits at the gate or executes.
    pub const READY: u64 = 4;
}
