//! What a unit of systemd does to its cgroup beside what it is asked for.

use nix::errno::Errno;

use super::{LiveCgroup, file};
use crate::error::Result;
use crate::host::systemd;
use crate::plan::cgroup::Directory;
use crate::plan::cgroup::systemd::{UnitRecord, limits as properties_of};
use crate::plan::resources::Write;

const LIST: &str = "devices.list";

impl LiveCgroup {
    /// Whether [`LiveCgroup::update`] wants to know the container's device rules.
    pub(crate) fn may_lose_devices(&self) -> bool {
        self.cgroup.unit.is_some() && self.v1_devices().is_some()
    }

    /// Sets the properties that `writes` have. On v1 systemd then writes all that it knows of the
    /// unit anew, and begins with no device at all: the processes stand still until the
    /// devices are what they were.
    pub(super) fn set_properties(
        &self,
        unit: &UnitRecord,
        writes: &[Write],
        devices: &[Write],
    ) -> Result<()> {
        let properties = properties_of(writes);
        let Some(directory) = self.v1_devices().filter(|_| !properties.is_empty()) else {
            return systemd::set_properties(unit, &properties);
        };
        let before = self.content(directory, LIST)?.unwrap_or_default();
        // Without a freezer some open may fail meanwhile.
        let held = !self.is_frozen()? && self.freeze().is_ok();
        let set = systemd::set_properties(unit, &properties);
        let put_back = self.put_devices_back(directory, &before, devices);
        if held {
            self.thaw()?;
        }
        set.and(put_back)
    }

    fn v1_devices(&self) -> Option<&Directory> {
        self.directory_of("devices").filter(|directory| !directory.is_v2())
    }

    /// As the list was, which others may have added to. The kernel shows no exceptions from
    /// everything: those are of `devices`.
    fn put_devices_back(
        &self,
        directory: &Directory,
        before: &str,
        devices: &[Write],
    ) -> Result<()> {
        if before.starts_with("a ") {
            return match self.put_all(devices) {
                // With cgroups below it nothing is reset, by systemd neither.
                Err(error) if error.errno() == Some(Errno::EINVAL as i32) => Ok(()),
                put => put,
            };
        }
        let after = self.content(directory, LIST)?.unwrap_or_default();
        let put = |name: &str, from: &str, unless: &str| {
            let path = format!("{}/{name}", directory.relative());
            let mut lines = from.lines().filter(|line| !unless.lines().any(|one| one == *line));
            lines.try_for_each(|line| {
                file::write(self.base(), &path, line)
                    .map_err(|errno| self.failed("write", errno, &path))
            })
        };
        put("devices.deny", &after, before)?;
        put("devices.allow", before, &after)
    }
}
