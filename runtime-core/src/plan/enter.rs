//! The way into namespaces.
//!
//! Usually one clone makes them all. A second process is needed where the first
//! cannot be inside itself: in a pid namespace that is joined, in a time
//! namespace, and in a user namespace, whose privileges would be lost at the
//! execveat of init before it has its maps.

use super::cgroup::{Cgroup, Directory, Mode, Part};
use super::clone_flags::{
    CLONE_NEWCGROUP, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWTIME, CLONE_NEWUSER,
};
use super::container::Parts;
use super::namespaces::{Join, names_of};
use super::ops::{NO_SLOT, Op, point};
use super::{Descriptor, Facts, HostOp, Plan};
use crate::bundle::member;
use crate::error::Result;
use oci_spec::runtime::{LinuxIdMapping, Process};

const CAP_SETGID: u64 = 1 << 6;
const CAP_SYS_ADMIN: u64 = 1 << 21;

/// Starts init and brings it into all namespaces but the cgroup's.
pub(super) fn spawn(plan: &mut Plan, parts: &Parts<'_>) -> Result<()> {
    let namespaces = &parts.namespaces;
    // The root of a cgroup namespace is where its maker is: not yet in place.
    let created = namespaces.create & !CLONE_NEWCGROUP;
    let in_child = namespaces.has(CLONE_NEWTIME)
        || namespaces.has(CLONE_NEWUSER)
        || namespaces.joined(CLONE_NEWPID).is_some();
    plan.clone_flags = if in_child { 0 } else { created };
    plan.host(
        "/linux/namespaces",
        HostOp::Spawn {
            namespaces: names_of(plan.clone_flags),
            into_cgroup: parts
                .cgroup
                .as_ref()
                .is_some_and(|cgroup| cgroup.v2_directory().is_some() && cgroup.unit.is_none()),
        },
    );
    // What the host side does now it does while init is at work on the rest.
    if let Some(cgroup) = &parts.cgroup {
        if cgroup.unit.is_some() {
            plan.host("/linux/cgroupsPath", HostOp::StartUnit);
            plan.host("/linux/cgroupsPath", HostOp::AwaitUnit);
            if cgroup.v2_directory().is_some() {
                plan.host("/linux/cgroupsPath", HostOp::MakeCgroup(Part::V2));
            }
        }
        if cgroup.mode != Mode::V2 {
            plan.host("/linux/cgroupsPath", HostOp::MakeCgroup(Part::V1));
        }
        plan.host("/linux/resources", HostOp::LimitCgroup);
    }
    plan.init("", Op::Signals { reset: parts.request.facts.ignored_signals });
    oom_score(plan, parts.request.facts, parts.spec.process().as_ref(), "/process");
    // As long as the host's file system and privileges are those of init.
    let leaves = in_child || namespaces.joined(CLONE_NEWNS).is_some();
    if let Some(cgroup) = parts.cgroup.as_ref().filter(|_| leaves) {
        join_made_cgroups(plan, cgroup)?;
    }
    join(plan, parts);
    if in_child {
        child(plan, parts, created)?;
    }
    plan.init("", Op::Session {});
    if !parts.request.no_new_keyring {
        let label =
            parts.spec.process().as_ref().and_then(|process| process.selinux_label().clone());
        plan.init(
            "",
            Op::Keyring {
                name: format!("_ses.{}", parts.request.id).into(),
                label: label.as_deref().unwrap_or_default().into(),
            },
        );
    }
    if namespaces.creates(CLONE_NEWNET) {
        plan.init("/linux/namespaces", Op::LoopbackUp {});
    }
    net_devices(plan, parts)
}

/// The container's own namespace is there: devices of the runtime's are moved into it.
fn net_devices(plan: &mut Plan, parts: &Parts<'_>) -> Result<()> {
    let devices = parts.linux.and_then(|linux| linux.net_devices().as_ref());
    let mut devices: Vec<_> = devices.into_iter().flatten().collect();
    if devices.is_empty() {
        return Ok(());
    }
    devices.sort_unstable_by_key(|(device, _)| *device);
    plan.sync(point::NETWORK, |plan| {
        for (device, inside) in devices {
            let name = inside.name().as_ref().filter(|name| !name.is_empty()).unwrap_or(device);
            let op = HostOp::MoveNetDevice { device: device.clone(), name: name.clone() };
            plan.host(member("/linux/netDevices", device), op);
        }
        Ok(())
    })
}

/// Whether the caller may mount and join without a user namespace of the container's.
pub(super) fn is_privileged(parts: &Parts<'_>) -> bool {
    parts.request.facts.permitted & CAP_SYS_ADMIN != 0
}

/// Who has privileges on the host joins with them, the user namespace last:
/// the others may not belong to it. Who has none gets them from it, first.
fn join(plan: &mut Plan, parts: &Parts<'_>) {
    let privileged = is_privileged(parts);
    let is_user = |join: &&Join| join.kind.flag == CLONE_NEWUSER;
    let joins = parts.namespaces.join.iter();
    let (first, last): (Vec<&Join>, Vec<&Join>) =
        joins.partition(|join| is_user(join) != privileged);
    for join in first.into_iter().chain(last) {
        let slot = plan.descriptor(Descriptor::Namespace {
            path: join.path.clone(),
            pointer: member(&join.pointer, "path"),
        });
        plan.init(join.pointer.as_str(), Op::JoinNamespace { slot, kind: join.kind.flag });
    }
}

/// The same once the host side has made them.
pub(super) fn join_made_cgroups(plan: &mut Plan, cgroup: &Cgroup) -> Result<()> {
    if cgroup.unit.is_some() || cgroup.mode != Mode::V2 {
        plan.sync(point::CGROUP, |_| Ok(()))?;
    }
    // systemd moves init where it keeps track of it.
    let left = |directory: &&Directory| !cgroup.is_followed_by_systemd(directory);
    let left = Vec::from_iter(cgroup.directories.iter().filter(left));
    if !left.is_empty() {
        join_directories(plan, cgroup, &left);
    }
    Ok(())
}

/// Init writes itself into the cgroups that its clone did not put it into. The
/// later, the less of the set-up counts against the container's memory.
pub(super) fn join_cgroups(plan: &mut Plan, cgroup: &Cgroup) {
    join_directories(plan, cgroup, &Vec::from_iter(&cgroup.directories));
}

fn join_directories(plan: &mut Plan, cgroup: &Cgroup, directories: &[&Directory]) {
    let v1 = directories.iter().filter(|directory| !directory.is_v2());
    let tasks =
        v1.map(|directory| cgroup.absolute(directory).join("tasks").as_path().into()).collect();
    let slot = match directories.iter().any(|directory| directory.is_v2()) {
        true => plan.descriptor(Descriptor::V2Tasks),
        false => NO_SLOT,
    };
    let may_be_denied = u64::from(plan.cgroup.as_ref().is_some_and(|plan| plan.may_stay_out()));
    plan.init("/linux/cgroupsPath", Op::JoinCgroups { tasks, slot, may_be_denied });
}

/// The child is made once everything that it inherits is in place.
fn child(plan: &mut Plan, parts: &Parts<'_>, created: u64) -> Result<()> {
    let namespaces = &parts.namespaces;
    if namespaces.creates(CLONE_NEWUSER) {
        plan.init("/linux/namespaces", Op::Unshare { flags: CLONE_NEWUSER });
    }
    if namespaces.creates(CLONE_NEWUSER) {
        // Who is not root may write the files of processes of its own only.
        let ordinary = parts.request.facts.uid != 0;
        if ordinary {
            plan.init("/linux/uidMappings", Op::Reachable { on: 1 });
        }
        plan.sync(point::IDENTITY, |plan| {
            maps(plan, parts);
            Ok(())
        })?;
        if ordinary {
            plan.init("/linux/uidMappings", Op::Reachable { on: 0 });
        }
    }
    if namespaces.has(CLONE_NEWUSER) {
        plan.init("/linux/namespaces", Op::BecomeRoot {});
    }
    if namespaces.creates(CLONE_NEWTIME) {
        plan.init("/linux/namespaces", Op::Unshare { flags: CLONE_NEWTIME });
        time_offsets(plan, parts);
    }
    plan.init("/linux/namespaces", Op::Fork { flags: created & !(CLONE_NEWUSER | CLONE_NEWTIME) });
    Ok(())
}

fn maps(plan: &mut Plan, parts: &Parts<'_>) {
    let list = |map: Option<&Vec<LinuxIdMapping>>| {
        let lines = map.into_iter().flatten();
        lines
            .map(|line| format!("{} {} {}\n", line.container_id(), line.host_id(), line.size()))
            .collect::<String>()
    };
    let uids = list(parts.linux.and_then(|linux| linux.uid_mappings().as_ref()));
    let gids = list(parts.linux.and_then(|linux| linux.gid_mappings().as_ref()));
    plan.host("/linux/uidMappings", HostOp::UidMap(uids));
    if maps_own_group(parts) {
        plan.host("/linux/gidMappings", HostOp::DenySetgroups);
    }
    plan.host("/linux/gidMappings", HostOp::GidMap(gids));
}

/// Whether the only group is the caller's own, which it maps without any helper
/// (user_namespaces(7), since Linux 3.19).
fn maps_own_group(parts: &Parts<'_>) -> bool {
    let facts = parts.request.facts;
    let maps = parts.linux.and_then(|linux| linux.gid_mappings().as_deref()).unwrap_or_default();
    facts.uid != 0
        && facts.permitted & CAP_SETGID == 0
        && matches!(maps, [only] if only.size() == 1 && only.host_id() == facts.gid)
}

/// The files of a process that is out of reach are root's: who is not root has init
/// write its own, while nothing of the container is near.
pub(super) fn oom_score(
    plan: &mut Plan,
    facts: &Facts,
    process: Option<&Process>,
    base: &'static str,
) {
    let score = process.and_then(Process::oom_score_adj).filter(|_| facts.uid != 0);
    if let Some(score) = score {
        let score = score.to_string().as_str().into();
        plan.init(format!("{base}/oomScoreAdj"), Op::OomScore { score });
    }
}

fn time_offsets(plan: &mut Plan, parts: &Parts<'_>) {
    let Some(offsets) = parts.linux.and_then(|linux| linux.time_offsets().as_ref()) else { return };
    let mut lines: Vec<String> = offsets
        .iter()
        .map(|(clock, offset)| {
            format!("{clock} {} {}\n", offset.secs().unwrap_or(0), offset.nanosecs().unwrap_or(0))
        })
        .collect();
    lines.sort_unstable();
    if lines.is_empty() {
        return;
    }
    plan.init("/linux/timeOffsets", Op::TimeOffsets { text: lines.concat().into() });
}
