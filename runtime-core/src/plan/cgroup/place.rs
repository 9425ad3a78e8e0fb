//! The cgroup of one container, as the state record keeps it.

use std::path::PathBuf;

use oci_spec::runtime::LinuxResources;
use serde::{Deserialize, Serialize};

use super::layout::Mode;
use super::path::clean;
use super::systemd::UnitRecord;
use crate::error::{Error, ErrorKind, Result};
use crate::plan::resources::{self, Limits, Present};

/// The cgroup of one container: a directory in each hierarchy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cgroup {
    /// The host's cgroup versions when the container was created.
    pub mode: Mode,
    /// The directory that every hierarchy is mounted below; empty for `/`.
    pub base: String,
    /// One for each hierarchy the container is in.
    pub directories: Vec<Directory>,
    /// The unit of systemd that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<UnitRecord>,
}

/// The container's directory in one hierarchy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directory {
    /// The v1 controllers, or `name=systemd`; empty for the v2 hierarchy.
    pub controllers: Vec<String>,
    /// The mount point, below [`Cgroup::base`]; empty when it is the base.
    pub mount: String,
    /// The cgroup, below the mount point; never empty.
    pub path: String,
}

/// The controllers of v2 that limits are for.
const V2_CONTROLLERS: [&str; 7] = ["cpu", "cpuset", "hugetlb", "io", "memory", "pids", "rdma"];

impl Directory {
    /// Whether this is the v2 hierarchy.
    pub fn is_v2(&self) -> bool {
        self.controllers.is_empty()
    }

    /// The directory, below [`Cgroup::base`].
    pub fn relative(&self) -> String {
        match self.mount.as_str() {
            "" => self.path.clone(),
            mount => format!("{mount}/{}", self.path),
        }
    }
}

impl Cgroup {
    /// The directory where `controller` has its files.
    pub fn directory_of(&self, controller: &str) -> Option<&Directory> {
        self.index_of(controller).and_then(|index| self.directories.get(index))
    }

    /// The same as an index into [`Cgroup::directories`].
    pub(crate) fn index_of(&self, controller: &str) -> Option<usize> {
        let find = |is: &dyn Fn(&Directory) -> bool| self.directories.iter().position(is);
        match self.mode {
            Mode::V2 => Some(0),
            Mode::V1 => find(&|directory| directory.has(controller)),
            // What no v1 hierarchy has can only be in the v2 hierarchy.
            Mode::Hybrid => find(&|directory| directory.has(controller)).or_else(|| {
                V2_CONTROLLERS.contains(&controller).then(|| find(&Directory::is_v2)).flatten()
            }),
        }
    }

    /// The writes that limit this cgroup: each of the version that its controller is in.
    ///
    /// # Errors
    /// Those of [`resources::v1`] and [`resources::v2`].
    pub fn limits(&self, resources: &LinuxResources, present: Present) -> Result<Limits> {
        match self.mode {
            Mode::V2 => resources::v2(resources),
            Mode::V1 | Mode::Hybrid => {
                resources::hybrid(resources, present, |controller| self.is_on_v1(controller))
            }
        }
    }

    /// Whether `controller` is in a v1 hierarchy, or would be.
    fn is_on_v1(&self, controller: &str) -> bool {
        match self.mode {
            Mode::V1 => true,
            Mode::V2 => false,
            Mode::Hybrid => self.directories.iter().any(|directory| directory.has(controller)),
        }
    }

    /// The directory in the v2 hierarchy, if the host has one.
    pub fn v2_directory(&self) -> Option<&Directory> {
        self.directories.iter().find(|directory| directory.is_v2())
    }

    /// Whether systemd puts the processes of a unit into `directory` to keep track of them;
    /// in other hierarchies of v1 it has a directory only for what it limits.
    pub(crate) fn is_followed_by_systemd(&self, directory: &Directory) -> bool {
        self.unit.is_some() && (directory.is_v2() || directory.has("name=systemd"))
    }

    /// The absolute path of `directory`.
    pub fn absolute(&self, directory: &Directory) -> PathBuf {
        PathBuf::from(format!("{}/{}", self.base, directory.relative()))
    }

    /// The sub-cgroup `path`: of the hierarchies with one of `controllers`, or
    /// of all when that is empty (`exec --cgroup [CONTROLLER,…:]PATH`). Where
    /// it is not named the container's own stays.
    ///
    /// # Errors
    /// A path that cannot be, or a controller that no hierarchy has.
    pub fn sub_cgroup(&self, controllers: &[&str], path: &str) -> Result<Self> {
        let path = clean(path)?;
        let mut sub = self.clone();
        for &controller in controllers {
            if !self.directories.iter().any(|directory| directory.has(controller)) {
                let message = format!("unknown controller {controller} in cgroup {path}");
                return Err(Error::new(ErrorKind::InvalidArgument, message));
            }
        }
        for directory in &mut sub.directories {
            let chosen = controllers.is_empty() || controllers.iter().any(|c| directory.has(c));
            if chosen && !path.is_empty() {
                directory.path = format!("{}/{path}", directory.path);
            }
        }
        Ok(sub)
    }
}

impl Directory {
    fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|name| name == controller)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v1() -> Cgroup {
        let directory = |names: &[&str], mount: &str| Directory {
            controllers: names.iter().map(|name| (*name).to_owned()).collect(),
            mount: mount.to_owned(),
            path: "a/id".to_owned(),
        };
        let directories = vec![directory(&["cpu", "cpuacct"], "cpu"), directory(&["pids"], "pids")];
        Cgroup { mode: Mode::V1, base: "/sys/fs/cgroup".to_owned(), directories, unit: None }
    }

    #[test]
    fn a_controller_is_found_where_it_is_mounted_with_others() {
        let cgroup = v1();
        let directory = cgroup.directory_of("cpuacct").unwrap();
        assert_eq!(cgroup.absolute(directory).to_str(), Some("/sys/fs/cgroup/cpu/a/id"));
        assert_eq!(cgroup.directory_of("memory"), None);
    }

    #[test]
    fn on_a_hybrid_host_the_v2_hierarchy_has_what_no_v1_hierarchy_has() {
        let mut cgroup = v1();
        cgroup.mode = Mode::Hybrid;
        let unified = Directory {
            controllers: Vec::new(),
            mount: "unified".to_owned(),
            path: "a/id".to_owned(),
        };
        cgroup.directories.push(unified);
        let mounts = ["pids", "hugetlb", "net_cls", "devices"].map(|controller| {
            cgroup.directory_of(controller).map(|directory| directory.mount.as_str())
        });
        assert_eq!(mounts, [Some("pids"), Some("unified"), None, None]);
        assert!(cgroup.is_on_v1("pids") && !cgroup.is_on_v1("hugetlb"));
    }

    #[test]
    fn the_record_survives_json() {
        let text = serde_json::to_string(&v1()).unwrap();
        assert_eq!(serde_json::from_str::<Cgroup>(&text).unwrap(), v1());
    }

    #[test]
    fn a_sub_cgroup_stays_inside_and_can_be_of_some_controllers() {
        let all = v1().sub_cgroup(&[], "/../x").unwrap();
        assert!(all.directories.iter().all(|directory| directory.path == "a/id/x"));
        let one = v1().sub_cgroup(&["pids"], "x").unwrap();
        let paths: Vec<_> = one.directories.iter().map(|d| d.path.as_str()).collect();
        assert_eq!(paths, ["a/id", "a/id/x"]);
        assert_eq!(v1().sub_cgroup(&["io"], "x").unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
}
