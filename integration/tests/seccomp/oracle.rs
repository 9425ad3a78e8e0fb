//! libseccomp, run in a helper process that this file compiles with `cc`.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use oci_spec::runtime::{Arch, LinuxSeccomp, LinuxSeccompArg};
use runtime_core::seccomp::{Program, sock_filter};

use crate::action;

/// The architectures of config-linux.md, of which the library has tables.
pub(crate) const ARCHES: [Arch; 23] = [
    Arch::ScmpArchX86_64,
    Arch::ScmpArchX32,
    Arch::ScmpArchX86,
    Arch::ScmpArchAarch64,
    Arch::ScmpArchArm,
    Arch::ScmpArchMips,
    Arch::ScmpArchMips64,
    Arch::ScmpArchMips64n32,
    Arch::ScmpArchMipsel,
    Arch::ScmpArchMipsel64,
    Arch::ScmpArchMipsel64n32,
    Arch::ScmpArchPpc,
    Arch::ScmpArchPpc64,
    Arch::ScmpArchPpc64le,
    Arch::ScmpArchS390,
    Arch::ScmpArchS390x,
    Arch::ScmpArchParisc,
    Arch::ScmpArchParisc64,
    Arch::ScmpArchRiscv64,
    Arch::ScmpArchLoongarch64,
    Arch::ScmpArchM68k,
    Arch::ScmpArchSh,
    Arch::ScmpArchSheb,
];

/// The architecture of the kernel, as the tests have it if they do not say.
pub(crate) const NATIVE: Arch = Arch::ScmpArchX86_64;

/// The token in `seccomp_data`.
pub(crate) fn audit(arch: Arch) -> u32 {
    if arch == Arch::ScmpArchX32 { Arch::ScmpArchX86_64 as u32 } else { arch as u32 }
}

/// Where the numbers of `arch` begin.
pub(crate) fn base(arch: Arch) -> u32 {
    match arch {
        Arch::ScmpArchX32 => 1 << 30,
        Arch::ScmpArchMips | Arch::ScmpArchMipsel => 4000,
        Arch::ScmpArchMips64 | Arch::ScmpArchMipsel64 => 5000,
        Arch::ScmpArchMips64n32 | Arch::ScmpArchMipsel64n32 => 6000,
        _ => 0,
    }
}

/// Whether `arch` stores the higher half of an argument first.
pub(crate) fn is_big_endian(arch: Arch) -> bool {
    matches!(
        arch,
        Arch::ScmpArchMips
            | Arch::ScmpArchMips64
            | Arch::ScmpArchMips64n32
            | Arch::ScmpArchPpc
            | Arch::ScmpArchPpc64
            | Arch::ScmpArchS390
            | Arch::ScmpArchS390x
            | Arch::ScmpArchParisc
            | Arch::ScmpArchParisc64
            | Arch::ScmpArchM68k
            | Arch::ScmpArchSheb
    )
}

/// libseccomp, at hand.
pub(crate) struct Oracle {
    program: PathBuf,
    helper: Helper,
    /// Number and name of each call, by the `SCMP_ARCH_*` token. Empty for an
    /// architecture that this libseccomp does not know.
    pub(crate) tables: BTreeMap<u32, BTreeMap<u32, String>>,
}

/// What libseccomp made of a profile.
pub(crate) enum Built {
    Filter(Program),
    /// A rule was refused with this errno.
    Refused(i32),
    /// It did not come to an end.
    Hung,
}

impl Oracle {
    /// `None` if this machine has no libseccomp to compile against.
    pub(crate) fn start() -> Option<Self> {
        let program = compile()?;
        let mut helper = Helper::start(&program);
        let tables = ARCHES.map(|arch| (arch as u32, helper.read_table(arch))).into();
        Some(Self { program, helper, tables })
    }

    /// The architectures that both sides know.
    pub(crate) fn arches(&self) -> impl Iterator<Item = Arch> {
        ARCHES.into_iter().filter(|arch| !self.tables[&(*arch as u32)].is_empty())
    }

    /// The number of a call, by name.
    pub(crate) fn number(&self, arch: Arch, name: &str) -> Option<u32> {
        let table = &self.tables[&(arch as u32)];
        table.iter().find(|(_, other)| *other == name).map(|(number, _)| *number)
    }

    /// Whether libseccomp has heard of a call.
    pub(crate) fn knows(&mut self, name: &str) -> bool {
        self.helper.say(&format!("known {name}"));
        self.helper.answer() == ["known", "1"]
    }

    /// The filter for `profile` on a machine of the architecture `native`, its
    /// rules added as runc adds them.
    pub(crate) fn build(&mut self, profile: &LinuxSeccomp, native: Arch) -> Built {
        for command in commands(profile, native) {
            self.helper.say(&command);
        }
        let built = self.helper.read_program(is_big_endian(native));
        if matches!(built, Built::Hung) {
            self.helper = Helper::start(&self.program);
        }
        built
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        // Nothing depends on it but tidiness.
        let _ = std::fs::remove_file(&self.program);
    }
}

/// A running helper. It ends itself when it takes too long over a filter.
struct Helper {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Helper {
    fn start(program: &Path) -> Self {
        let mut command = Command::new(program);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the helper was just compiled");
        let input = child.stdin.take().expect("piped");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        Self { child, input, output }
    }

    fn read_program(&mut self, big_endian: bool) -> Built {
        let head = self.answer();
        match head.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["ok", length] => Built::Filter(self.read_instructions(number(length), big_endian)),
            ["error", errno, _] => Built::Refused(errno.parse().expect("an errno")),
            _ => Built::Hung,
        }
    }

    /// libseccomp writes a program in the order of bytes of its machine, but for
    /// some of the values that are returned (seen in 2.5.4).
    fn read_instructions(&mut self, length: u32, big_endian: bool) -> Program {
        let instruction = |_| {
            let words = self.answer();
            let [code, jt, jf, k] = [0, 1, 2, 3].map(|index: usize| number(&words[index]));
            let read = sock_filter { code: code as u16, jt: jt as u8, jf: jf as u8, k };
            if big_endian { swapped(read) } else { read }
        };
        let instructions = (0..length).map(instruction).collect();
        Program { instructions, flags: 0, notify: false }
    }

    fn read_table(&mut self, arch: Arch) -> BTreeMap<u32, String> {
        let base = base(arch);
        let mut table = BTreeMap::new();
        for number in (base..base + 1000).chain(0xf_0000..0xf_0010) {
            self.say(&format!("name {} {number}", arch as u32));
            let name = self.answer().swap_remove(1);
            if name != "-" {
                table.insert(number, name);
            }
        }
        table
    }

    fn say(&mut self, command: &str) {
        // A helper that has ended is found out by its answer.
        let _ = writeln!(self.input, "{command}");
    }

    /// The words of a line; none when the helper has ended.
    fn answer(&mut self) -> Vec<String> {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("the helper answers in text");
        line.split_whitespace().map(str::to_owned).collect()
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // Only fails if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn swapped(read: sock_filter) -> sock_filter {
    let (code, k) = (read.code.swap_bytes(), read.k.swap_bytes());
    let left_as_it_is = code == RET_K && is_action(read.k) && !is_action(k);
    sock_filter { code, k: if left_as_it_is { read.k } else { k }, ..read }
}

const RET_K: u16 = 0x06;

/// Whether a filter of ours could return `value`.
fn is_action(value: u32) -> bool {
    match value & libc::SECCOMP_RET_ACTION_FULL {
        libc::SECCOMP_RET_ERRNO | libc::SECCOMP_RET_TRACE => true,
        libc::SECCOMP_RET_KILL_PROCESS
        | libc::SECCOMP_RET_KILL_THREAD
        | libc::SECCOMP_RET_TRAP
        | libc::SECCOMP_RET_USER_NOTIF
        | libc::SECCOMP_RET_LOG
        | libc::SECCOMP_RET_ALLOW => value & libc::SECCOMP_RET_DATA == 0,
        _ => false,
    }
}

fn number(word: &str) -> u32 {
    word.parse().expect("a number")
}

fn compile() -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/seccomp/oracle.c");
    let name = format!("seccomp-oracle-{}-{:?}", std::process::id(), std::thread::current().id());
    let program = std::env::temp_dir().join(name);
    let mut cc = Command::new("cc");
    cc.arg("-O1").arg("-o").arg(&program).arg(source).arg("-lseccomp").stderr(Stdio::null());
    cc.status().is_ok_and(|status| status.success()).then_some(program)
}

/// What runc asks of libseccomp, in its order.
fn commands(profile: &LinuxSeccomp, native: Arch) -> Vec<String> {
    let default = action(profile.default_action(), profile.default_errno_ret());
    let rules = rules(profile, default);
    // runc asks for a tree above 32 rules. Here it is always one: without it
    // libseccomp 2.5.4 forgets to load the number if x86_64 and x32 are covered
    // and the first call is one that x86_64 lacks.
    let optimize = if rules.is_empty() { 1 } else { 2 };
    let arches = profile.architectures().iter().flatten();
    let arches = arches.map(|arch| format!("arch {}", *arch as u32));
    let only = (native != NATIVE).then(|| format!("only {}", native as u32));
    let begin = [format!("new {default} {optimize}")];
    begin.into_iter().chain(only).chain(arches).chain(rules).chain(["build".to_owned()]).collect()
}

/// One command for each rule that runc adds.
fn rules(profile: &LinuxSeccomp, default: u32) -> Vec<String> {
    let mut rules = Vec::new();
    for group in profile.syscalls().iter().flatten() {
        let action = action(group.action(), group.errno_ret());
        if action == default {
            continue;
        }
        let args = group.args().as_deref().unwrap_or_default();
        for name in group.names() {
            for args in alternatives(args) {
                rules.push(rule(action, name, args));
            }
        }
    }
    rules
}

/// All conditions are needed; any one is enough if two are on one argument.
pub(crate) fn alternatives(args: &[LinuxSeccompArg]) -> Vec<&[LinuxSeccompArg]> {
    let repeated = |arg: &LinuxSeccompArg| {
        args.iter().filter(|other| other.index() == arg.index()).count() > 1
    };
    if args.iter().any(repeated) { args.chunks(1).collect() } else { vec![args] }
}

fn rule(action: u32, name: &str, args: &[LinuxSeccompArg]) -> String {
    let mut line = format!("rule {action} {name} {}", args.len());
    for arg in args {
        let (op, two) = (arg.op() as u32, arg.value_two().unwrap_or(0));
        line += &format!(" {} {op} {} {two}", arg.index(), arg.value());
    }
    line
}
