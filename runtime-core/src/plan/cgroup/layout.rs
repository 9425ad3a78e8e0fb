//! How the host's cgroup file systems are mounted, read from the text of
//! `/proc/self/cgroup` and `/proc/self/mountinfo` (cgroups(7), proc(5)).

use serde::{Deserialize, Serialize};

/// Where systemd, and every host that follows it, mounts cgroups.
pub(crate) const DEFAULT_BASE: &str = "/sys/fs/cgroup";

/// Which cgroup versions a container is put into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// v1 hierarchies only.
    V1,
    /// v1 hierarchies for the limits, and a v2 hierarchy beside them.
    Hybrid,
    /// The v2 hierarchy only.
    V2,
}

/// One mounted hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    /// The v1 controllers, or `name=systemd`; empty for the v2 hierarchy.
    pub controllers: Vec<String>,
    /// The mount point, below [`Layout::base`]; empty when it is the base.
    pub mount: String,
    /// The cgroup of the calling process, below the mount point.
    pub own: String,
}

/// The facts about a host that a cgroup plan needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Which versions there are.
    pub mode: Mode,
    /// The directory that all mount points are below, without a final slash;
    /// empty for the root directory.
    pub base: String,
    /// The hierarchies a container is put into.
    pub hierarchies: Vec<Hierarchy>,
}

/// A line of `/proc/self/cgroup`.
struct Membership<'a> {
    controllers: &'a str,
    path: &'a str,
}

/// What counts of a cgroup line of mountinfo.
struct CgroupMount<'a> {
    root: &'a str,
    point: &'a str,
    options: &'a str,
    v2: bool,
}

impl Layout {
    /// A host whose [`DEFAULT_BASE`] is the v2 hierarchy. `memberships` is the
    /// text of `/proc/self/cgroup`; without it the caller counts as being at
    /// the root, which matters to relative paths only.
    pub fn v2(memberships: Option<&str>) -> Self {
        let own = memberships
            .into_iter()
            .flat_map(memberships_of)
            .find(|line| line.controllers.is_empty())
            .map_or("/", |line| line.path);
        let hierarchy =
            Hierarchy { controllers: Vec::new(), mount: String::new(), own: own.to_owned() };
        Self { mode: Mode::V2, base: DEFAULT_BASE.to_owned(), hierarchies: vec![hierarchy] }
    }

    /// Takes mountinfo line by line until every hierarchy of `memberships` is
    /// found, so that the rest of a long mount table need not be read.
    pub fn finder(memberships: &str) -> LayoutFinder<'_> {
        let wanted = memberships_of(memberships).filter(Membership::is_joined).collect();
        LayoutFinder { wanted, found: Vec::new() }
    }
}

/// Collects a [`Layout`] from lines of mountinfo.
pub struct LayoutFinder<'a> {
    wanted: Vec<Membership<'a>>,
    found: Vec<Hierarchy>,
}

impl LayoutFinder<'_> {
    /// Looks at one line.
    pub fn line(&mut self, line: &str) {
        let Some(mount) = CgroupMount::of(line) else { return };
        let Some(index) = self.wanted.iter().position(|wanted| mount.is_of(wanted)) else { return };
        let wanted = self.wanted.swap_remove(index);
        self.found.push(Hierarchy {
            controllers: wanted.names(),
            mount: unescape(mount.point),
            own: below(wanted.path, mount.root),
        });
    }

    /// Whether more lines can add nothing.
    pub fn is_complete(&self) -> bool {
        self.wanted.is_empty()
    }

    /// Where the v2 hierarchy is mounted, as far as is found.
    pub fn v2_mount(&self) -> Option<&str> {
        let mut found = self.found.iter();
        found.find(|found| found.controllers.is_empty()).map(|found| found.mount.as_str())
    }

    /// Leaves the v2 hierarchy out: something else is mounted over it.
    pub fn forget_v2(&mut self) {
        self.found.retain(|found| !found.controllers.is_empty());
    }

    /// The layout; `None` if no cgroup hierarchy is mounted.
    pub fn finish(mut self) -> Option<Layout> {
        let v2 = self.found.iter().any(|hierarchy| hierarchy.controllers.is_empty());
        let v1 = self.found.iter().any(|hierarchy| !hierarchy.controllers.is_empty());
        let mode = match (v1, v2) {
            (true, true) => Mode::Hybrid,
            (true, false) => Mode::V1,
            (false, true) => Mode::V2,
            (false, false) => return None,
        };
        let base = common_directory(&self.found);
        for hierarchy in &mut self.found {
            let mount = hierarchy.mount[base.len()..].trim_matches('/');
            hierarchy.mount = mount.to_owned();
        }
        // A stable order, whatever the mounts' is; the v2 hierarchy last.
        self.found.sort_by(|a, b| order(a).cmp(&order(b)));
        Some(Layout { mode, base, hierarchies: self.found })
    }
}

impl std::fmt::Debug for LayoutFinder<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LayoutFinder").field("found", &self.found).finish_non_exhaustive()
    }
}

fn order(hierarchy: &Hierarchy) -> (bool, &[String]) {
    (hierarchy.controllers.is_empty(), &hierarchy.controllers)
}

impl Membership<'_> {
    /// Named hierarchies belong to whoever mounted them; systemd's is the one
    /// that the services of a host expect to be followed.
    fn is_joined(&self) -> bool {
        !self.controllers.starts_with("name=") || self.controllers == "name=systemd"
    }

    fn names(&self) -> Vec<String> {
        self.controllers.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
    }
}

fn memberships_of(text: &str) -> impl Iterator<Item = Membership<'_>> {
    text.lines().filter_map(|line| {
        let (_id, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        Some(Membership { controllers, path })
    })
}

impl<'a> CgroupMount<'a> {
    /// `36 25 0:31 /root /point options… - type source superoptions`.
    fn of(line: &'a str) -> Option<Self> {
        let (mount, filesystem) = line.split_once(" - cgroup")?;
        let mut fields = mount.split(' ');
        let root = fields.nth(3)?;
        let point = fields.next()?;
        let v2 = filesystem.starts_with("2 ");
        let options = filesystem.rsplit(' ').next()?;
        (v2 || filesystem.starts_with(' ')).then_some(Self { root, point, options, v2 })
    }

    fn is_of(&self, membership: &Membership<'_>) -> bool {
        match membership.controllers.split(',').next() {
            None | Some("") => self.v2,
            Some(first) => !self.v2 && self.options.split(',').any(|option| option == first),
        }
    }
}

/// `path` as seen from a mount whose root is `root`. A path outside of the
/// mount cannot be named there; its root is the nearest there is.
fn below(path: &str, root: &str) -> String {
    if root == "/" {
        return path.to_owned();
    }
    match path.strip_prefix(root) {
        Some("") => "/".to_owned(),
        Some(rest) if rest.starts_with('/') => rest.to_owned(),
        _ => "/".to_owned(),
    }
}

/// The deepest directory that contains every mount point.
fn common_directory(hierarchies: &[Hierarchy]) -> String {
    let mut points = hierarchies.iter().map(|hierarchy| hierarchy.mount.as_str());
    let mut common = points.next().unwrap_or_default().trim_end_matches('/');
    for point in points {
        while !is_below(point, common) {
            common = common.rsplit_once('/').map_or("", |(parent, _)| parent);
        }
    }
    common.to_owned()
}

fn is_below(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Undoes mountinfo's octal escapes of space, tab, newline and backslash.
pub(in crate::plan) fn unescape(text: &str) -> String {
    let escapes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    if !text.contains('\\') {
        return text.to_owned();
    }
    escapes.iter().fold(text.to_owned(), |text, (escape, plain)| text.replace(escape, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(memberships: &str, mountinfo: &str) -> Option<Layout> {
        let mut finder = Layout::finder(memberships);
        mountinfo.lines().for_each(|line| finder.line(line));
        finder.finish()
    }

    const HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 /pod /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate
42 31 0:39 / /sys/fs/cgroup/other rw - cgroup cgroup rw,name=other
";

    #[test]
    fn a_hybrid_host_is_found_with_its_comounted_controllers() {
        let memberships =
            "9:name=other:/\n4:name=systemd:/s\n3:memory:/pod/x\n2:cpu,cpuacct:/c\n0::/u\n";
        let layout = find(memberships, HYBRID).unwrap();
        assert_eq!((layout.mode, layout.base.as_str()), (Mode::Hybrid, "/sys/fs/cgroup"));
        let rows: Vec<_> = layout
            .hierarchies
            .iter()
            .map(|h| (h.controllers.join(","), h.mount.as_str(), h.own.as_str()))
            .collect();
        assert_eq!(
            rows,
            [
                ("cpu,cpuacct".to_owned(), "cpu,cpuacct", "/c"),
                ("memory".to_owned(), "memory", "/x"),
                ("name=systemd".to_owned(), "systemd", "/s"),
                (String::new(), "unified", "/u"),
            ]
        );
    }

    #[test]
    fn hierarchies_that_are_not_mounted_are_left_out() {
        let layout = find("3:memory:/\n2:pids:/\n0::/\n", &HYBRID[..HYBRID.find("40").unwrap()]);
        let layout = layout.unwrap();
        assert_eq!((layout.mode, layout.hierarchies.len()), (Mode::V1, 1));
        assert_eq!(layout.base, "/sys/fs/cgroup/memory", "one mount is its own base");
        assert_eq!(layout.hierarchies[0].mount, "");
    }

    #[test]
    fn reading_can_stop_when_all_hierarchies_are_found() {
        let mut finder = Layout::finder("3:memory:/\n");
        assert!(!finder.is_complete());
        finder.line(HYBRID.lines().nth(2).unwrap());
        assert!(finder.is_complete());
    }

    #[test]
    fn a_v2_hierarchy_that_is_mounted_over_is_as_good_as_none() {
        let mut finder = Layout::finder("3:memory:/\n0::/\n");
        HYBRID.lines().for_each(|line| finder.line(line));
        assert_eq!(finder.v2_mount(), Some("/sys/fs/cgroup/unified"));
        finder.forget_v2();
        let layout = finder.finish().unwrap();
        assert_eq!((layout.mode, layout.hierarchies.len()), (Mode::V1, 1));
    }

    #[test]
    fn mounts_in_unrelated_places_share_the_root_as_base() {
        let text = "1 0 0:1 / /a/memory rw - cgroup x rw,memory\n\
                    2 0 0:2 / /b\\040c rw - cgroup2 x rw\n";
        let layout = find("3:memory:/\n0::/\n", text).unwrap();
        assert_eq!(layout.base, "");
        assert_eq!(layout.hierarchies[0].mount, "a/memory");
        assert_eq!(layout.hierarchies[1].mount, "b c");
    }

    #[test]
    fn a_host_without_cgroups_has_no_layout() {
        assert_eq!(find("0::/\n", "1 0 0:1 / / rw - ext4 /dev/sda rw\n"), None);
        assert_eq!(find("", ""), None);
    }

    #[test]
    fn a_mount_root_hides_what_is_outside() {
        assert_eq!(below("/docker/a/b", "/docker/a"), "/b");
        assert_eq!(below("/docker/a", "/docker/a"), "/");
        assert_eq!(below("/docker/ab", "/docker/a"), "/");
        assert_eq!(below("/", "/.."), "/");
    }

    #[test]
    fn v2_takes_the_callers_cgroup_from_the_line_without_controllers() {
        assert_eq!(
            Layout::v2(Some("1:cpu:/x\n0::/user.slice/a\n")).hierarchies[0].own,
            "/user.slice/a"
        );
        assert_eq!(Layout::v2(None).hierarchies[0].own, "/");
    }
}
