//! The operations that make a container's cgroup, in order, as data.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use oci_spec::runtime::LinuxResources;
use serde::Serialize;

use super::layout::{Layout, Mode};
use super::path::wanted;
use super::place::{Cgroup, Directory};
use super::systemd::{self, Manager, Unit, UnitName, UnitRecord};
use crate::error::{Error, ErrorKind, Notice, Result};
use crate::plan::resources::devices::{self, Instruction};
use crate::plan::resources::{Limits, Present, Write};

/// What a cgroup plan is made from.
#[derive(Clone, Copy, Debug)]
pub struct CgroupRequest<'a> {
    /// The host's hierarchies.
    pub layout: &'a Layout,
    /// The container's id; names the cgroup when there is no path.
    pub id: &'a str,
    /// `linux.cgroupsPath`.
    pub cgroups_path: Option<&'a Path>,
    /// `linux.resources`.
    pub resources: Option<&'a LinuxResources>,
    /// Whether systemd is to make the cgroup.
    pub systemd: Option<SystemdRequest<'a>>,
    /// Whether the caller lacks full privilege over the host: device rules may
    /// then fail, and so may the whole cgroup when nothing names or limits it.
    /// `None` when that is not known: see [`CgroupPlan::rootless`].
    pub rootless: Option<bool>,
    /// The host uid that is to own the v2 cgroup (spec, "Cgroup ownership").
    pub owner: Option<u32>,
}

/// What a unit of systemd is made from besides.
#[derive(Clone, Copy, Debug)]
pub struct SystemdRequest<'a> {
    /// The cgroup of the manager's own units, below the top.
    pub manager_cgroup: &'a str,
    /// The annotations of the configuration.
    pub annotations: Option<&'a HashMap<String, String>>,
}

/// Everything that is to be done for a container's cgroup.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CgroupPlan {
    /// Where it will be; goes to the state record before anything is made.
    pub cgroup: Cgroup,
    /// The unit that systemd is asked to start.
    pub unit: Option<Unit>,
    /// In order: directories, then limits, then the joins.
    pub ops: Vec<CgroupOp>,
    /// Go on without a cgroup where the host does not let the caller make one.
    pub may_be_denied: bool,
    /// Whether the caller does without what only root may do; `None`: it is root, of a user
    /// namespace perhaps, which is asked when something is denied.
    #[serde(skip)]
    pub rootless: Option<bool>,
    /// Settings that are ignored.
    #[serde(skip)]
    pub notices: Vec<Notice>,
}

/// One operation. `directory` counts in [`Cgroup::directories`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "op", rename_all = "kebab-case")]
pub enum CgroupOp {
    /// Make the directory, and its parents.
    MakeDirectory {
        /// Which one.
        directory: usize,
        /// The JSON pointer of the path.
        pointer: &'static str,
    },
    /// Fill an empty v1 cpuset from its parent: nothing can join before.
    InheritCpuset {
        /// Which one.
        directory: usize,
    },
    /// Give the v2 cgroup every controller that its hierarchy has.
    EnableControllers {
        /// Which one.
        directory: usize,
    },
    /// Give the v2 cgroup, not its limits, to another user.
    Delegate {
        /// Which one.
        directory: usize,
        /// The host uid.
        owner: u32,
    },
    /// Set a limit.
    Write {
        /// Where.
        directory: usize,
        /// The file and its text.
        #[serde(flatten)]
        write: Write,
        /// Go on when the kernel refuses (v1 device rules in a user namespace).
        may_be_denied: bool,
    },
    /// Attach the v2 device program.
    FilterDevices {
        /// Where.
        directory: usize,
        /// The program.
        program: Vec<Instruction>,
        /// The rules it enforces; the last that fits decides.
        rules: Vec<String>,
        /// The JSON pointer of the rules.
        pointer: &'static str,
        /// Leave the program of systemd in place: both must let a device through.
        beside: bool,
        /// Go on when the kernel refuses.
        may_be_denied: bool,
    },
    /// Put the container's first process into it.
    Join {
        /// Which one.
        directory: usize,
    },
}

/// Which hierarchies: a process can be started inside a v2 cgroup, which has to
/// be there before; it joins those of v1 itself, later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Those of v1.
    V1,
    /// The one of v2.
    V2,
}

const PATH: &str = "/linux/cgroupsPath";
const DEVICES: &str = "/linux/resources/devices";

impl CgroupOp {
    /// The directory that it is about, counted in [`Cgroup::directories`].
    pub fn directory(&self) -> usize {
        match self {
            Self::MakeDirectory { directory, .. }
            | Self::InheritCpuset { directory }
            | Self::EnableControllers { directory }
            | Self::Delegate { directory, .. }
            | Self::Write { directory, .. }
            | Self::FilterDevices { directory, .. }
            | Self::Join { directory } => *directory,
        }
    }
}

impl CgroupPlan {
    /// Decides everything; changes nothing.
    ///
    /// # Errors
    /// A path or a limit that cannot be, or a limit whose controller the host
    /// has not mounted.
    pub fn new(request: &CgroupRequest<'_>) -> Result<Self> {
        let (cgroup, name) = match request.systemd {
            Some(systemd) => place_unit(request, systemd)?,
            None => (place(request)?, None),
        };
        let limits = match request.resources {
            Some(resources) => cgroup.limits(resources, Present::default())?,
            None => Limits::default(),
        };
        let unit = name.map(|name| unit(&name, &limits, request)).transpose()?;
        let writes = in_directories(&cgroup, limits.writes)?;
        let mut ops = Vec::new();
        let is_v2 = |(directory, _): &(usize, Write)| cgroup.directories[*directory].is_v2();
        make(&cgroup, request.owner, writes.iter().any(is_v2), &mut ops);
        ops.extend(writes.into_iter().map(|(directory, write)| CgroupOp::Write {
            directory,
            write,
            may_be_denied: false,
        }));
        device_rules(&cgroup, request, &mut ops)?;
        ops.extend((0..cgroup.directories.len()).map(|directory| CgroupOp::Join { directory }));
        let named = request.cgroups_path.is_some_and(|path| !path.as_os_str().is_empty());
        let may_be_denied = request.rootless == Some(true) && !named;
        let rootless = request.rootless;
        Ok(Self { cgroup, unit, ops, may_be_denied, rootless, notices: limits.notices })
    }

    /// Whether the container may be left outside of cgroups that its user may not enter:
    /// where nothing limits it.
    pub(in crate::plan) fn may_stay_out(&self) -> bool {
        let limits = |op: &CgroupOp| matches!(op, CgroupOp::Write { may_be_denied: false, .. });
        self.may_be_denied && !self.ops.iter().any(limits)
    }

    /// The operations as lines of text, each with its place in config.json.
    pub fn lines(&self) -> impl Iterator<Item = (String, &str)> {
        self.ops.iter().map(|op| (op.describe(&self.cgroup), op.pointer()))
    }
}

fn place(request: &CgroupRequest<'_>) -> Result<Cgroup> {
    let wanted = wanted(request.cgroups_path, request.id)?;
    let layout = request.layout;
    let directories = layout.hierarchies.iter().map(|hierarchy| Directory {
        controllers: hierarchy.controllers.clone(),
        mount: hierarchy.mount.clone(),
        path: wanted.in_hierarchy(hierarchy, layout.mode),
    });
    let directories = directories.collect();
    Ok(Cgroup { mode: layout.mode, base: layout.base.clone(), directories, unit: None })
}

/// Where systemd will put the unit: at one path below the top of each hierarchy. Those of v1
/// that it does not manage follow it.
fn place_unit(
    request: &CgroupRequest<'_>,
    systemd: SystemdRequest<'_>,
) -> Result<(Cgroup, Option<UnitName>)> {
    let layout = request.layout;
    let rootless = request.rootless == Some(true);
    if rootless && layout.mode != Mode::V2 {
        let message = "cannot use rootless systemd cgroups manager on cgroup v1";
        return Err(Error::new(ErrorKind::Unsupported, message).hint(
            "boot with systemd.unified_cgroup_hierarchy=1, or run without --systemd-cgroup",
        ));
    }
    let name = UnitName::of(request.cgroups_path, request.id, rootless)?;
    let path = match systemd.manager_cgroup.trim_matches('/') {
        "" => name.path()?,
        above => format!("{above}/{}", name.path()?),
    };
    let directories = layout.hierarchies.iter().map(|hierarchy| Directory {
        controllers: hierarchy.controllers.clone(),
        mount: hierarchy.mount.clone(),
        path: path.clone(),
    });
    let directories = directories.collect();
    let manager = if rootless { Manager::User } else { Manager::System };
    let unit = Some(UnitRecord { name: name.unit.clone(), manager });
    let (mode, base) = (layout.mode, layout.base.clone());
    Ok((Cgroup { mode, base, directories, unit }, Some(name)))
}

fn unit(name: &UnitName, limits: &Limits, request: &CgroupRequest<'_>) -> Result<Unit> {
    let listed = request.resources.and_then(|resources| resources.devices().as_deref());
    systemd::unit(&systemd::Parts {
        name,
        writes: &limits.writes,
        rules: &devices::rules(listed)?,
        on_v1: request.layout.mode != Mode::V2,
        annotations: request.systemd.and_then(|systemd| systemd.annotations),
    })
}

/// On a hybrid host controllers are passed on to the v2 cgroup only where some
/// limit is set there.
fn make(cgroup: &Cgroup, owner: Option<u32>, limited_on_v2: bool, ops: &mut Vec<CgroupOp>) {
    for (directory, place) in cgroup.directories.iter().enumerate() {
        if !cgroup.is_followed_by_systemd(place) {
            ops.push(CgroupOp::MakeDirectory { directory, pointer: PATH });
        }
        if place.controllers.iter().any(|name| name == "cpuset") {
            ops.push(CgroupOp::InheritCpuset { directory });
        }
        if place.is_v2() && (cgroup.mode == Mode::V2 || limited_on_v2) {
            ops.push(CgroupOp::EnableControllers { directory });
        }
        if cgroup.mode == Mode::V2 {
            ops.extend(owner.map(|owner| CgroupOp::Delegate { directory, owner }));
        }
    }
}

fn in_directories(cgroup: &Cgroup, writes: Vec<Write>) -> Result<Vec<(usize, Write)>> {
    let directory = |write: &Write| cgroup.index_of(&write.controller);
    let place = |write: Write| match directory(&write) {
        Some(directory) => Ok((directory, write)),
        None => Err(not_mounted(&write.controller, write.pointer)),
    };
    writes.into_iter().map(place).collect()
}

fn not_mounted(controller: &str, pointer: String) -> Error {
    let message = format!(
        "cannot set {controller} limit: container could not join or create cgroup: \
         no {controller} cgroup is mounted"
    );
    Error::new(ErrorKind::Unsupported, message)
        .at(pointer)
        .hint(format!("mount the v1 {controller} controller, or remove the limit"))
}

fn device_rules(
    cgroup: &Cgroup,
    request: &CgroupRequest<'_>,
    ops: &mut Vec<CgroupOp>,
) -> Result<()> {
    let listed = request.resources.and_then(|resources| resources.devices().as_deref());
    let rules = devices::rules(listed)?;
    let may_be_denied = request.rootless != Some(false);
    let Some(directory) = cgroup.index_of("devices").filter(|_| cgroup.mode != Mode::V2) else {
        let v2 = cgroup.directories.iter().position(Directory::is_v2);
        let Some(directory) = v2 else {
            // Without it every device of the host would be the container's.
            let error = not_mounted("devices", DEVICES.to_owned());
            return if request.rootless == Some(true) { Ok(()) } else { Err(error) };
        };
        ops.push(CgroupOp::FilterDevices {
            directory,
            program: devices::filter(&rules),
            rules: rules.iter().map(allow_or_deny).collect(),
            pointer: DEVICES,
            beside: cgroup.unit.is_some(),
            may_be_denied,
        });
        return Ok(());
    };
    for write in devices::v1(&rules)? {
        ops.push(CgroupOp::Write { directory, write, may_be_denied });
    }
    Ok(())
}

fn allow_or_deny(rule: &devices::DeviceRule) -> String {
    format!("{} {rule}", if rule.allow { "allow" } else { "deny" })
}

impl CgroupOp {
    /// The JSON pointer of what asks for it; empty when nothing special does.
    pub fn pointer(&self) -> &str {
        match self {
            Self::MakeDirectory { pointer, .. } | Self::FilterDevices { pointer, .. } => pointer,
            Self::Write { write, .. } => &write.pointer,
            Self::InheritCpuset { .. }
            | Self::EnableControllers { .. }
            | Self::Delegate { .. }
            | Self::Join { .. } => "",
        }
    }

    /// One line for a reader.
    pub fn describe(&self, cgroup: &Cgroup) -> String {
        let directory = |index: usize| match cgroup.directories.get(index) {
            Some(directory) => cgroup.absolute(directory),
            None => PathBuf::new(),
        };
        match self {
            Self::MakeDirectory { directory: at, .. } => {
                format!("mkdir {}", directory(*at).display())
            }
            Self::InheritCpuset { directory: at } => {
                format!("copy the parent's cpuset to {}", directory(*at).display())
            }
            Self::EnableControllers { directory: at } => {
                format!("enable controllers for {}", directory(*at).display())
            }
            Self::Delegate { directory: at, owner } => {
                format!("chown {owner} {}", directory(*at).display())
            }
            Self::Write { directory: at, write, .. } => {
                format!("write {}/{write}", directory(*at).display())
            }
            Self::FilterDevices { directory: at, rules, .. } => {
                format!(
                    "attach device filter to {}: {}",
                    directory(*at).display(),
                    rules.join(", ")
                )
            }
            Self::Join { directory: at } => format!("join {}", directory(*at).display()),
        }
    }
}

impl fmt::Display for CgroupPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (line, pointer) in self.lines() {
            match pointer {
                "" => writeln!(f, "{line}")?,
                pointer => writeln!(f, "{line}  ({pointer})")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::cgroup::layout::Hierarchy;
    use serde_json::json;

    fn hybrid() -> Layout {
        let hierarchy = |name: &str| Hierarchy {
            controllers: if name == "unified" { vec![] } else { vec![name.to_owned()] },
            mount: name.to_owned(),
            own: "/own".to_owned(),
        };
        Layout {
            mode: Mode::Hybrid,
            base: "/sys/fs/cgroup".to_owned(),
            hierarchies: ["cpuset", "devices", "pids", "unified"].map(hierarchy).to_vec(),
        }
    }

    fn plan(layout: &Layout, resources: serde_json::Value) -> Result<CgroupPlan> {
        let resources: LinuxResources = serde_json::from_value(resources).unwrap();
        CgroupPlan::new(&CgroupRequest {
            layout,
            id: "web",
            cgroups_path: Some(Path::new("/box/web")),
            resources: Some(&resources),
            systemd: None,
            rootless: Some(false),
            owner: Some(1000),
        })
    }

    #[test]
    fn a_hybrid_plan_makes_limits_and_then_joins() {
        let text = plan(&hybrid(), json!({"pids": {"limit": 5}})).unwrap().to_string();
        let without_devices: Vec<_> =
            text.lines().filter(|line| !line.contains("devices.allow")).collect();
        assert_eq!(
            without_devices,
            [
                "mkdir /sys/fs/cgroup/cpuset/box/web  (/linux/cgroupsPath)",
                "copy the parent's cpuset to /sys/fs/cgroup/cpuset/box/web",
                "mkdir /sys/fs/cgroup/devices/box/web  (/linux/cgroupsPath)",
                "mkdir /sys/fs/cgroup/pids/box/web  (/linux/cgroupsPath)",
                "mkdir /sys/fs/cgroup/unified/box/web  (/linux/cgroupsPath)",
                "write /sys/fs/cgroup/pids/box/web/pids.max = 5  (/linux/resources/pids/limit)",
                "write /sys/fs/cgroup/devices/box/web/devices.deny = a  (/linux/resources/devices)",
                "join /sys/fs/cgroup/cpuset/box/web",
                "join /sys/fs/cgroup/devices/box/web",
                "join /sys/fs/cgroup/pids/box/web",
                "join /sys/fs/cgroup/unified/box/web",
            ]
        );
    }

    #[test]
    fn a_v2_plan_enables_delegates_limits_and_filters() {
        let plan = plan(&Layout::v2(None), json!({"pids": {"limit": 5}})).unwrap();
        let text = plan.to_string();
        let starts: Vec<_> = text.lines().map(|line| line.split(' ').next().unwrap()).collect();
        assert_eq!(starts, ["mkdir", "enable", "chown", "write", "attach", "join"]);
        assert!(serde_json::to_string(&plan).is_ok());
    }

    #[test]
    fn on_a_hybrid_host_a_limit_of_v2_has_its_controller_passed_on() {
        let text = plan(&hybrid(), json!({"cpu": {"shares": 1024}})).unwrap().to_string();
        let lines: Vec<_> = text.lines().filter(|line| line.contains("/unified/")).collect();
        assert_eq!(
            lines,
            [
                "mkdir /sys/fs/cgroup/unified/box/web  (/linux/cgroupsPath)",
                "enable controllers for /sys/fs/cgroup/unified/box/web",
                "write /sys/fs/cgroup/unified/box/web/cpu.weight = 100  \
                 (/linux/resources/cpu/shares)",
                "join /sys/fs/cgroup/unified/box/web",
            ]
        );
    }

    #[test]
    fn without_the_devices_controller_of_v1_devices_are_filtered_on_v2_or_refused() {
        let mut layout = hybrid();
        layout.hierarchies.retain(|hierarchy| hierarchy.mount != "devices");
        let text = plan(&layout, json!({})).unwrap().to_string();
        assert!(text.contains("attach device filter to /sys/fs/cgroup/unified/box/web"), "{text}");
        layout.hierarchies.retain(|hierarchy| hierarchy.mount != "unified");
        layout.mode = Mode::V1;
        let error = plan(&layout, json!({})).unwrap_err();
        assert_eq!(error.pointer(), Some("/linux/resources/devices"));
    }

    #[test]
    fn a_limit_without_its_controller_is_refused_before_anything_is_made() {
        let mut layout = hybrid();
        layout.mode = Mode::V1;
        layout.hierarchies.retain(|hierarchy| hierarchy.mount != "unified");
        let error = plan(&layout, json!({"memory": {"limit": 5}})).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert_eq!(error.pointer(), Some("/linux/resources/memory/limit"));
    }

    fn unit_plan(layout: &Layout, rootless: bool) -> Result<CgroupPlan> {
        CgroupPlan::new(&CgroupRequest {
            layout,
            id: "web",
            cgroups_path: Some(Path::new("a-b.slice:p:n")),
            resources: None,
            systemd: Some(SystemdRequest { manager_cgroup: "/", annotations: None }),
            rootless: Some(rootless),
            owner: None,
        })
    }

    #[test]
    fn systemd_makes_the_cgroup_on_v2() {
        let plan = unit_plan(&Layout::v2(None), false).unwrap();
        assert_eq!(plan.cgroup.directories[0].path, "a.slice/a-b.slice/p-n.scope");
        assert_eq!(plan.unit.unwrap().name, "p-n.scope");
        assert!(!plan.ops.iter().any(|op| matches!(op, CgroupOp::MakeDirectory { .. })));
    }

    #[test]
    fn what_systemd_does_not_follow_of_v1_is_made_where_the_unit_is() {
        let mut layout = hybrid();
        layout.hierarchies.push(Hierarchy {
            controllers: vec!["name=systemd".to_owned()],
            mount: "systemd".to_owned(),
            own: "/own".to_owned(),
        });
        let text = unit_plan(&layout, false).unwrap().to_string();
        let made: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("mkdir ")).collect();
        let path = "a.slice/a-b.slice/p-n.scope  (/linux/cgroupsPath)";
        let expected = ["cpuset", "devices", "pids"];
        assert_eq!(made, expected.map(|mount| format!("/sys/fs/cgroup/{mount}/{path}")));
    }

    #[test]
    fn the_manager_of_a_user_needs_v2() {
        assert_eq!(unit_plan(&hybrid(), true).unwrap_err().kind(), ErrorKind::Unsupported);
        assert!(unit_plan(&Layout::v2(None), true).is_ok());
    }

    #[test]
    fn only_a_rootless_container_without_a_path_may_go_without_a_cgroup() {
        let denied = |rootless, path: Option<&str>| {
            CgroupPlan::new(&CgroupRequest {
                layout: &hybrid(),
                id: "web",
                cgroups_path: path.map(Path::new),
                resources: None,
                systemd: None,
                rootless,
                owner: None,
            })
            .unwrap()
            .may_be_denied
        };
        assert!(denied(Some(true), None));
        assert!(!denied(Some(true), Some("/x")));
        assert!(!denied(Some(false), None));
    }
}
