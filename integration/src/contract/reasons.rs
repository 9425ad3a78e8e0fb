//! Why the runtimes that tare is compared with do not keep a row, where that is known.

/// The beginning of a column's title, the reason, and the rows.
type Known = (&'static str, &'static str, &'static [&'static str]);

const KNOWN: &[Known] = &[
    (
        "runc",
        "runc 1.1 does not look",
        &["`--root /` is refused", "`list` of a state directory that is not there fails"],
    ),
    (
        "runc",
        "it is an option of crun's",
        &[
            "`--cgroup-manager disabled`: no cgroups are made",
            "`--cgroup-manager disabled` before `create`",
        ],
    ),
    (
        "runc",
        "runc 1.1 stops at a record that it cannot read",
        &["`delete --force` of one whose record is damaged"],
    ),
    ("runc", "runc 1.1 lets numbers overflow", &["a user that is no number is refused"]),
    (
        "runc",
        "runc 1.1 passes on what Go's runtime sends to itself",
        &["a foreground `exec` forwards signals"],
    ),
    (
        "runc",
        "runc 1.1 does not know `--cpu-burst`",
        &["`--cpu-shares`, `--cpu-period`, `--cpu-quota`, `--cpu-burst`"],
    ),
    (
        "runc",
        "runc 1.1 says nothing of them",
        &[
            "`features` advertises user namespaces: `user`, and idmap enabled",
            "`features` lists annotations that change the host",
        ],
    ),
    (
        "runc",
        "runc 1.1 hands some of its words to the file system",
        &["every mount option of `features` is understood"],
    ),
    (
        "runc",
        "runc 1.1 ignores the mappings of a mount",
        &["id-mapped mounts are as `features` claims"],
    ),
    (
        "runc",
        "runc writes warnings into the log; podman then takes what stands on stderr",
        &["what is a warning does not stand before the error"],
    ),
    (
        "runc",
        "on v1 runc moves its init before it sets the limit",
        &["too little memory for init: `container init was OOM-killed (memory limit too low?)`"],
    ),
    (
        "runc",
        "runc 1.1 sends no barrier",
        &["NOTIFY_SOCKET: READY, MAINPID and BARRIER are relayed"],
    ),
    (
        "runc",
        "runc 1.1 does not know the option",
        &[
            "`create --pidfd-socket`: a pidfd of init",
            "`exec --pidfd-socket`: a pidfd of the process",
        ],
    ),
    ("runc", "it is an annotation of crun's", &["the annotation run.oci.pidfd_receiver"]),
    (
        "runc",
        "runc makes cgroups before it writes its state",
        &["a `create` that is killed leaves what `delete --force` removes"],
    ),
    (
        "crun",
        "crun does not follow Go's rules for options",
        &[
            "long options with one dash, as go-runc's `-no-subreaper`",
            "`delete ID --force`: options may follow the id",
        ],
    ),
    (
        "crun",
        "crun says it in other words",
        &[
            "a wrong count of arguments: `requires exactly 1 argument(s)`, 1",
            "`--log-format xml` is refused: `invalid log-format`",
            "the log is text unless asked for otherwise",
            "ids with other characters: `invalid container ID format`",
            "`start` of a running one: `cannot start an already running container`",
            "`start` of one that has ended: `cannot start a container that has stopped`",
            "`delete` of a running one: `cannot delete container ID that is not stopped: running`",
            "`delete` of an unknown one fails, 1: `does not exist`",
            "`kill`, `state`, `start`, `pause` of an unknown one: `does not exist`, 1",
            "`spec` where one is: `config.json exists`",
            "a command that is nowhere: `exec: \"nowhere\": executable file not found in $PATH`",
            "a path that is not there: `stat /no/where: no such file or directory`",
            "`kill` of an ended one: in words of CRI-O",
            "`kill` of an unknown one: `container does not exist` or `no such process`",
            "too little memory for init: `container init was OOM-killed (memory limit too low?)`",
            "a mount that the kernel refuses names its place",
            "kill of an ended task, and of none: both are told apart from failures",
            "`kill` of an ended one: exit code 1, and words that mean gone",
            "`exec` that fails before its process runs: 255",
            "in an ended one: `cannot exec in a stopped container`, 255",
            "`state` is written as runc writes it",
        ],
    ),
    (
        "crun",
        "crun 1.8 is built without it here",
        &[
            "`checkpoint --help` succeeds",
            "`restore --lsm-mount-context`: it wants a value, in words that podman knows",
        ],
    ),
    (
        "crun",
        "crun 1.8 has no such command",
        &[
            "`features` is as the specification's schema has it",
            "`features` advertises recursive read-only mounts: `rro` among mountOptions",
            "`features` advertises user namespaces: `user`, and idmap enabled",
            "`features` lists the actions of seccomp",
            "`features` lists annotations that change the host",
            "`features` tells of cgroups: v1, v2, systemd",
            "every mount option of `features` is understood",
            "id-mapped mounts are as `features` claims",
            "`features` before anything else, without a state directory",
        ],
    ),
    (
        "crun",
        "crun has no such command",
        &[
            "`events --stats ID`: one line, `type`, `id`, `data`",
            "`data.cpu.usage`: total, kernel, user, in nanoseconds",
            "`data.memory`: usage.usage, usage.limit, usage.failcnt, raw",
            "`data.memory`: swap, kernel and kernelTCP are objects, or left out",
            "`data.pids.current`",
            "`data.blkio` and `data.hugetlb` are objects",
            "`data.cpuset`: cpus and mems are lists",
            "`data.intel_rdt` is an object, `data.network_interfaces` a list or null",
            "the members are those of runc",
            "`events --interval=1s ID`: a line at each interval, until the end",
            "`type` `oom` when memory runs out",
            "of an ended one: `is not running`",
        ],
    ),
    (
        "crun",
        "crun has no `--keep`",
        &[
            "`--root DIR`, relative to the caller",
            "`run --keep` does not",
            "`run --bundle B --keep ID`, then `delete ID`",
            "a step that is cancelled: `kill ID 9` while `run` waits",
            "an exec in a step, once `state` says running: Bundle and Rootfs are told",
        ],
    ),
    (
        "crun",
        "crun does not look",
        &[
            "`--root /` is refused",
            "`list` of a state directory that is not there fails",
            "a `--cgroup` outside of the container's is refused",
            "`create` with a socket and without a terminal is refused",
            "a preserved one that is missing: `unable to stat preserved-fd`",
        ],
    ),
    ("crun", "crun 1.8 writes no more", &["`--debug` writes more lines, all of the same format"]),
    ("crun", "crun takes it from the bundle", &["`--pid-file FILE`, relative to the caller"]),
    (
        "crun",
        "crun keeps its state for itself",
        &["the state directory of a container is passable for others (0711)"],
    ),
    ("crun", "crun repeats the configuration", &["`state`: rootfs"]),
    (
        "crun",
        "crun 1.8 wants upper case",
        &["`kill ID SIGNAL`: a number or a name, with SIG or without, in any case"],
    ),
    ("crun", "crun 1.8 sends signal 0", &["`kill` of an unknown signal: `unknown signal`"]),
    ("crun", "crun's init does not hear it", &["SIGTERM ends one that waits for start"]),
    ("crun", "crun lets it wait until `resume`", &["`kill` of a paused one: SIGKILL takes effect"]),
    (
        "crun",
        "crun leaves HOME out",
        &["`--process FILE`: the whole process, in the place of all other options"],
    ),
    (
        "crun",
        "crun looks the command up before the environment is set",
        &["`--env NAME=VALUE` adds to the environment, and replaces"],
    ),
    ("crun", "crun has no `-g`", &["`--user UID:GID` and `--additional-gids GID`"]),
    ("crun", "crun takes what strtol takes", &["a user that is no number is refused"]),
    (
        "crun",
        "crun leaves the label out then",
        &["`--process-label LABEL` is taken, and fails without SELinux"],
    ),
    ("crun", "crun knows no controllers here", &["`--cgroup PATH`"]),
    (
        "crun",
        "crun exits with 1",
        &[
            "in a paused one: refused, unless `--ignore-paused`",
            "`--process` with a file that is not there: 255",
            "`exec` in an unknown container: 255",
        ],
    ),
    (
        "crun",
        "crun accepts it",
        &[
            "`pause` of a paused one fails, 1",
            "`resume` of a running one fails, 1: `not paused`",
            "`pause` of an ended one fails, 1: `container not running`",
            "of an ended one fails",
        ],
    ),
    ("crun", "crun 1.8 crashes on v1", &["`ps --format json` of an ended one: `null` or `[]`"]),
    ("crun", "crun takes no options of ps(1)", &["`ps --format table ID OPTIONS`"]),
    ("crun", "crun has other columns", &["`list`: ID, PID, STATUS, BUNDLE, CREATED, OWNER"]),
    (
        "crun",
        "crun wants bytes",
        &["`--memory`, `--memory-reservation`", "`--kernel-memory` is taken and changes nothing"],
    ),
    ("crun", "crun 1.8 writes −1 as it is", &["`--memory -1` frees swap, too", "`--pids-limit`"]),
    (
        "crun",
        "crun does not know `--cpu-burst`",
        &["`--cpu-shares`, `--cpu-period`, `--cpu-quota`, `--cpu-burst`"],
    ),
    ("crun", "crun puts nothing back", &["a failure puts the old limits back"]),
    ("crun", "crun opens its log later", &["a failed `create`: the log is one JSON object"]),
    ("crun", "crun sends a blank", &["the message with it is the terminal's name"]),
    (
        "crun",
        "crun does not set the size at the start",
        &[
            "its size follows",
            "`run` on a terminal that does not control its caller, and SIGWINCH",
            "`exec --tty` in the foreground",
        ],
    ),
    (
        "crun",
        "crun 1.8 leaves LISTEN_FDS out",
        &[
            "LISTEN_FDS: the descriptors, and LISTEN_FDS and LISTEN_PID=1 inside",
            "those of LISTEN_FDS stand before those of `--preserve-fds`",
        ],
    ),
    (
        "crun",
        "crun relays READY and BARRIER, and mounts the socket elsewhere",
        &[
            "NOTIFY_SOCKET: READY, MAINPID and BARRIER are relayed",
            "NOTIFY_SOCKET: READY and MAINPID are relayed",
            "NOTIFY_SOCKET of `create` is not the host's inside",
        ],
    ),
    (
        "crun",
        "crun does not know the option",
        &[
            "`create --pidfd-socket`: a pidfd of init",
            "`exec --pidfd-socket`: a pidfd of the process",
        ],
    ),
];

/// The reason for a row and a column, if it is known.
pub(super) fn of(row: &str, title: &str) -> Option<&'static str> {
    let about = |(kind, _, rows): &&Known| title.starts_with(kind) && rows.contains(&row);
    KNOWN.iter().find(about).map(|(_, reason, _)| *reason)
}

/// The rows that reasons are about.
#[cfg(test)]
pub(super) fn all() -> impl Iterator<Item = &'static str> {
    KNOWN.iter().flat_map(|(_, _, rows)| rows.iter().copied())
}
