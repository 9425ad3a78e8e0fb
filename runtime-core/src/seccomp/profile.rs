//! A profile → what to answer to each system call of each interface.

use oci_spec::runtime::{Arch, LinuxSeccomp, LinuxSyscall};

use super::abi::{self, Abi};
use super::args::{Condition, Conjunction};
use super::enosys::{self, Newest};
use super::names::Call;
use super::rules::{Rule, Verdict};
use super::{Options, POINTER, action};
use crate::error::{Error, ErrorKind, Notice, Result};

/// The profile, resolved.
#[derive(Debug)]
pub(super) struct Policy {
    /// The value returned when no rule matches.
    pub(super) default: u32,
    /// The interfaces covered, the native one first.
    pub(super) interfaces: Vec<Interface>,
}

/// The part of a policy for one interface.
#[derive(Debug)]
pub(super) struct Interface {
    pub(super) abi: &'static Abi,
    /// Sorted by number, each once.
    pub(super) calls: Vec<(u32, Verdict)>,
    /// Numbers above it are answered ENOSYS.
    pub(super) newest: Option<u32>,
}

/// An element of `syscalls`, read.
struct Group<'a> {
    names: &'a [String],
    /// Those of the names that some architecture has.
    calls: Vec<Call>,
    action: u32,
    /// The rules that each name gets.
    alternatives: Vec<Conjunction>,
    place: usize,
}

impl Policy {
    pub(super) fn read(
        profile: &LinuxSeccomp,
        options: &Options,
        notices: &mut Vec<Notice>,
    ) -> Result<Self> {
        let default = default_action(profile, notices)?;
        let abis = covered(profile, options.native)?;
        let groups = groups(profile, notices)?;
        if options.fail_unknown {
            refuse_unknown(&groups)?;
        }
        let answers_new = enosys::wanted(profile.default_action());
        let interface = |abi| Interface::build(abi, &groups, default, answers_new);
        let interfaces = abis.into_iter().map(interface).collect::<Result<_>>()?;
        Ok(Self { default, interfaces })
    }
}

fn default_action(profile: &LinuxSeccomp, notices: &mut Vec<Notice>) -> Result<u32> {
    let pointer = || format!("{POINTER}/defaultErrnoRet");
    let (default, errno_ret) = (profile.default_action(), profile.default_errno_ret());
    action::notice_useless_errno(default, errno_ret, pointer, notices);
    action::value(default, errno_ret, pointer)
}

/// The interfaces that `profile` lists, and the native one. Those that this
/// machine cannot run are covered as well: it is no error to list them.
fn covered(profile: &LinuxSeccomp, native: Arch) -> Result<Vec<&'static Abi>> {
    let native = abi::find(native).ok_or_else(|| {
        Error::new(ErrorKind::Unsupported, "seccomp: no system call table for this processor")
            .at(POINTER)
    })?;
    let mut abis = vec![native];
    let listed = profile.architectures().iter().flatten();
    for abi in listed.filter_map(|arch| abi::find(*arch)) {
        if abis.iter().all(|other| other.arch != abi.arch) {
            abis.push(abi);
        }
    }
    Ok(abis)
}

fn groups<'a>(profile: &'a LinuxSeccomp, notices: &mut Vec<Notice>) -> Result<Vec<Group<'a>>> {
    let calls = profile.syscalls().iter().flatten().enumerate();
    calls.map(|(place, call)| Group::read(place, call, notices)).collect()
}

fn refuse_unknown(groups: &[Group<'_>]) -> Result<()> {
    for group in groups {
        if let Some(name) = group.names.iter().position(|name| Call::find(name).is_none()) {
            let message = format!("unknown system call \"{}\"", group.names[name]);
            return Err(Error::config(group.name_pointer(name), message));
        }
    }
    Ok(())
}

impl<'a> Group<'a> {
    fn read(place: usize, call: &'a LinuxSyscall, notices: &mut Vec<Notice>) -> Result<Self> {
        let pointer = || format!("{POINTER}/syscalls/{place}");
        let errno_pointer = || pointer() + "/errnoRet";
        action::notice_useless_errno(call.action(), call.errno_ret(), errno_pointer, notices);
        let action = action::value(call.action(), call.errno_ret(), errno_pointer)?;
        let args = call.args().as_deref().unwrap_or_default();
        let alternatives = Conjunction::read_all(args, pointer)?;
        let calls = call.names().iter().filter_map(|name| Call::find(name)).collect();
        let group = Self { names: call.names(), calls, action, alternatives, place };
        match group.names.iter().position(String::is_empty) {
            None => Ok(group),
            Some(name) => {
                Err(Error::config(group.name_pointer(name), "empty string is not a valid syscall"))
            }
        }
    }

    fn name_pointer(&self, name: usize) -> String {
        format!("{POINTER}/syscalls/{}/names/{name}", self.place)
    }

    /// The rules of the group as `abi` sees them.
    fn rules(&self, abi: &Abi, selector: Option<u32>) -> impl Iterator<Item = Rule> {
        self.alternatives.iter().map(move |conditions| {
            let conditions = match selector {
                None => conditions.on(abi.layout),
                Some(value) => conditions.with(Condition::equal(0, value.into())).on(abi.layout),
            };
            Rule { conditions, action: self.action, place: self.place }
        })
    }
}

/// A name of a group, found in an interface.
struct Mention<'a> {
    number: u32,
    /// What argument 0 must be when the call is made through another one. The
    /// other arguments then are in memory, out of the filter's sight; like
    /// libseccomp we test the register all the same.
    selector: Option<u32>,
    group: &'a Group<'a>,
}

impl Interface {
    fn build(
        abi: &'static Abi,
        groups: &[Group<'_>],
        default: u32,
        answers_new: bool,
    ) -> Result<Self> {
        let (mut mentions, newest) = find_all(abi, groups);
        // A rule equal to the default says nothing, whatever its conditions.
        mentions.retain(|mention| mention.group.action != default);
        let mut calls = Vec::with_capacity(mentions.len());
        for same_call in by_number(&mentions).chunk_by(|one, next| one.number() == next.number()) {
            let mentions = same_call.iter().map(|key| &mentions[key.index()]);
            calls.extend(verdict(abi, mentions)?.map(|verdict| (same_call[0].number(), verdict)));
        }
        Ok(Self { abi, calls, newest: newest.number().filter(|_| answers_new) })
    }
}

fn find_all<'a>(abi: &Abi, groups: &'a [Group<'a>]) -> (Vec<Mention<'a>>, Newest) {
    let names = groups.iter().map(|group| group.calls.len()).sum();
    let (mut mentions, mut newest) = (Vec::with_capacity(names), Newest::default());
    for group in groups {
        for &call in &group.calls {
            if let Some(through) = abi.multiplexed(call) {
                let selector = Some(through.selector);
                mentions.push(Mention { number: through.carrier, selector, group });
            }
            if let Some(number) = abi.number(call) {
                newest.saw(number);
                mentions.push(Mention { number, selector: None, group });
            }
        }
    }
    (mentions, newest)
}

/// The number of a mention, and below it its index: one integer, which sorts
/// several times faster than the pair or the mention.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct SortKey(u64);

impl SortKey {
    fn number(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn index(self) -> usize {
        self.0 as u32 as usize
    }
}

/// The mentions by number; those of one call stay in the order of the profile.
fn by_number(mentions: &[Mention<'_>]) -> Vec<SortKey> {
    let numbers = mentions.iter().map(|mention| u64::from(mention.number) << 32);
    let mut keys: Vec<_> =
        numbers.zip(0..).map(|(number, index)| SortKey(number | index)).collect();
    keys.sort_unstable();
    keys
}

fn verdict<'a>(
    abi: &Abi,
    mentions: impl Iterator<Item = &'a Mention<'a>>,
) -> Result<Option<Verdict>> {
    let mut verdict: Option<Verdict> = None;
    for rule in mentions.flat_map(|mention| mention.group.rules(abi, mention.selector)) {
        match &mut verdict {
            None => verdict = Some(Verdict::of(rule)),
            Some(verdict) => verdict.add(rule)?,
        }
    }
    Ok(verdict)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: serde_json::Value) -> Result<Policy> {
        let profile = serde_json::from_value(json).unwrap();
        let options = Options { native: Arch::ScmpArchX86_64, fail_unknown: false };
        Policy::read(&profile, &options, &mut Vec::new())
    }

    fn numbers(interface: &Interface) -> Vec<u32> {
        interface.calls.iter().map(|(number, _)| *number).collect()
    }

    #[test]
    fn the_native_interface_is_implied_and_listed_once() {
        let policy = read(serde_json::json!({
            "defaultAction": "SCMP_ACT_ERRNO",
            "architectures": ["SCMP_ARCH_X86", "SCMP_ARCH_NATIVE", "SCMP_ARCH_X86_64", "SCMP_ARCH_S390X"],
        }))
        .unwrap();
        let arches: Vec<_> = policy.interfaces.iter().map(|i| i.abi.arch).collect();
        assert_eq!(arches, [Arch::ScmpArchX86_64, Arch::ScmpArchX86, Arch::ScmpArchS390x]);
    }

    #[test]
    fn rules_equal_to_the_default_are_skipped_but_count_for_the_newest() {
        let policy = read(serde_json::json!({
            "defaultAction": "SCMP_ACT_ERRNO",
            "defaultErrnoRet": 1,
            "syscalls": [
                { "names": ["close_range"], "action": "SCMP_ACT_ERRNO" },
                { "names": ["close", "nothing_like_it"], "action": "SCMP_ACT_ALLOW" },
            ],
        }))
        .unwrap();
        let native = &policy.interfaces[0];
        assert_eq!((numbers(native), native.newest), (vec![3], Some(436)));
    }

    #[test]
    fn a_socket_call_of_x86_is_reached_both_ways() {
        let policy = read(serde_json::json!({
            "defaultAction": "SCMP_ACT_ERRNO",
            "architectures": ["SCMP_ARCH_X86"],
            "syscalls": [{ "names": ["socket", "accept"], "action": "SCMP_ACT_ALLOW" }],
        }))
        .unwrap();
        assert_eq!(numbers(&policy.interfaces[0]), [41, 43]);
        assert_eq!(numbers(&policy.interfaces[1]), [102, 359]);
    }

    #[test]
    fn an_empty_name_is_an_error_with_its_place() {
        let error = read(serde_json::json!({
            "defaultAction": "SCMP_ACT_ERRNO",
            "syscalls": [{ "names": ["read", ""], "action": "SCMP_ACT_ALLOW" }],
        }))
        .unwrap_err();
        assert_eq!(error.pointer(), Some("/linux/seccomp/syscalls/0/names/1"));
    }

    #[test]
    fn unknown_names_are_refused_only_on_request() {
        let json = serde_json::json!({
            "defaultAction": "SCMP_ACT_ERRNO",
            "syscalls": [{ "names": ["chown32", "frobnicate"], "action": "SCMP_ACT_ALLOW" }],
        });
        let profile = serde_json::from_value(json).unwrap();
        let options = Options { native: Arch::ScmpArchX86_64, fail_unknown: true };
        let error = Policy::read(&profile, &options, &mut Vec::new()).unwrap_err();
        assert_eq!(error.pointer(), Some("/linux/seccomp/syscalls/0/names/1"));
    }
}
