//! runc's answer to calls newer than the profile, modelled on its own: it goes
//! before the filter that libseccomp builds.

use std::collections::BTreeMap;

use oci_spec::runtime::{Arch, LinuxSeccomp, LinuxSeccompAction as Action};

use crate::oracle::Oracle;

const X32_BIT: u32 = 1 << 30;
const ENOSYS: u32 = 0x0005_0026;

/// The largest number that a profile names, by the token of the architecture.
///
/// One difference is meant: the direct numbers of calls that are multiplexed
/// count here, while libseccomp hides them from runc, which then answers ENOSYS
/// to, say, an allowed semctl(2) if nothing newer is named.
pub(crate) struct Newest(BTreeMap<u32, u32>);

impl Newest {
    pub(crate) fn of(profile: &LinuxSeccomp, covered: &[Arch], oracle: &Oracle) -> Self {
        let permissive = [Action::ScmpActAllow, Action::ScmpActLog, Action::ScmpActTrace];
        if permissive.contains(&profile.default_action()) {
            return Self(BTreeMap::new());
        }
        let groups = profile.syscalls().iter().flatten();
        let names: Vec<_> = groups.flat_map(|group| group.names()).collect();
        let newest = |arch: Arch| {
            let table = &oracle.tables[&(arch as u32)];
            let named = table.iter().filter(|(_, name)| names.contains(name));
            let newest = named.map(|(number, _)| *number).max().filter(|number| *number != 0);
            newest.map(|newest| (arch as u32, newest))
        };
        Self(covered.iter().copied().filter_map(newest).collect())
    }

    /// ENOSYS if the call is answered before the filter is asked.
    pub(crate) fn answer(&self, audit: u32, nr: u32) -> Option<u32> {
        let x32 = audit == Arch::ScmpArchX86_64 as u32 && nr & X32_BIT != 0;
        let token = if x32 { Arch::ScmpArchX32 as u32 } else { audit };
        let newest = self.0.get(&token)?;
        (nr > *newest).then_some(ENOSYS)
    }
}
