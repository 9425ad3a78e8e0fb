//! Which user namespace maps the ids of a mount.

use super::id_map::{Range, Ranges};
use super::options::MountOptions;
use crate::bundle::member;
use crate::error::{Error, Result};
use crate::plan::clone_flags::CLONE_NEWUSER;
use crate::plan::container::Parts;
use crate::plan::{IdMapping, Plan, UserNamespace};
use oci_spec::runtime::{LinuxIdMapping, Mount};

/// The mapping that `mount` asks for: by its own lists, by its option, or, with
/// the option alone, that of the container's user namespace.
pub(super) fn of(
    plan: &mut Plan,
    parts: &Parts<'_>,
    mount: &Mount,
    options: &MountOptions,
    pointer: &str,
) -> Result<Option<IdMapping>> {
    let uids = mount.uid_mappings().as_deref().unwrap_or_default();
    let gids = mount.gid_mappings().as_deref().unwrap_or_default();
    let listed = !uids.is_empty() || !gids.is_empty();
    let ranges = options.id_map.as_ref().and_then(|map| map.ranges.as_ref());
    let refused = |message: &str, remedy: &str| Err(Error::config(pointer, message).hint(remedy));
    let namespace = match (listed, ranges, &options.id_map) {
        (false, _, None) => return Ok(None),
        (true, Some(_), _) => {
            return refused(
                "id-mapped mount with mappings of its own and others in its option",
                "give uidMappings and gidMappings, or the ranges in the option",
            );
        }
        (true, None, _) if uids.is_empty() || gids.is_empty() => {
            return refused(
                "id-mapped mounts must have both uid and gid mappings specified",
                "give uidMappings and gidMappings",
            );
        }
        (true, None, _) => UserNamespace::Made { uids: lines(uids), gids: lines(gids) },
        (false, Some(ranges), _) => inline(parts, ranges, pointer)?,
        (false, None, Some(_)) => of_container(parts, pointer)?,
    };
    if parts.request.facts.uid != 0 {
        return refused(
            "id-mapped mounts are not supported for rootless containers",
            "remove the mappings, or run as root",
        );
    }
    Ok(Some(IdMapping {
        namespace: plan.user_namespace(namespace),
        whole_tree: options.id_map.as_ref().is_some_and(|map| map.whole_tree),
    }))
}

fn of_container(parts: &Parts<'_>, pointer: &str) -> Result<UserNamespace> {
    if let Some(join) = parts.namespaces.joined(CLONE_NEWUSER) {
        return Ok(UserNamespace::Joined(join.path.clone()));
    }
    let [uids, gids] = container_lists(parts);
    if parts.namespaces.creates(CLONE_NEWUSER) && !uids.is_empty() && !gids.is_empty() {
        return Ok(UserNamespace::Made { uids: lines(uids), gids: lines(gids) });
    }
    let message = "id-mapped mount without mappings, and the container has no user namespace";
    Err(Error::config(pointer, message).hint("give uidMappings and gidMappings"))
}

fn container_lists<'a>(parts: &'a Parts<'_>) -> [&'a [LinuxIdMapping]; 2] {
    let Some(linux) = parts.linux else { return [&[], &[]] };
    [linux.uid_mappings(), linux.gid_mappings()].map(|list| list.as_deref().unwrap_or_default())
}

fn inline(parts: &Parts<'_>, ranges: &Ranges, pointer: &str) -> Result<UserNamespace> {
    let [uids, gids] = container_lists(parts);
    let pointer = member(pointer, "options");
    let text = |ranges: &[Range], container: &[LinuxIdMapping]| {
        ranges
            .iter()
            .map(|range| {
                let target = if range.relative { within(range, container) } else { Some(range.target) };
                target.map(|target| format!("{} {target} {}\n", range.source, range.size))
            })
            .collect::<Option<String>>()
            .ok_or_else(|| {
                let message = "could not find a user namespace mapping for a relative id mapping";
                Error::config(pointer.as_str(), message).hint(
                    "what stands after @ must be ids that one of the container's mappings has all of",
                )
            })
    };
    Ok(UserNamespace::Made { uids: text(&ranges.uids, uids)?, gids: text(&ranges.gids, gids)? })
}

/// The host's id behind the first of a range of the container's. The range must not
/// lead out of the mapping that it starts in: what follows is not the container's.
fn within(range: &Range, container: &[LinuxIdMapping]) -> Option<u32> {
    container.iter().find_map(|mapping| {
        let at = range.target.checked_sub(mapping.container_id())?;
        let rest = mapping.size().checked_sub(at)?;
        (range.size <= rest).then(|| mapping.host_id().checked_add(at)).flatten()
    })
}

/// As `/proc/PID/uid_map` takes it: inside, outside, count.
fn lines(list: &[LinuxIdMapping]) -> String {
    list.iter()
        .map(|one| format!("{} {} {}\n", one.container_id(), one.host_id(), one.size()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::{Bundle, parse_spec};
    use crate::plan::{Descriptor, Facts, Request, container};
    use std::path::Path;

    fn plan(mounts: &str, linux: &str) -> Result<Plan> {
        let text = format!(
            r#"{{"ociVersion":"1.2.0","process":{{"cwd":"/","args":["a"]}},"root":{{"path":"r"}},
                "mounts":[{mounts}],"linux":{{{linux}}}}}"#
        );
        let (spec, _) = parse_spec(text.as_bytes()).unwrap();
        let bundle = Bundle::from_parts("/", spec).unwrap();
        let facts = Facts::default();
        container(&Request::new("a", &bundle, &facts, Path::new("/run/a")))
    }

    fn mount(options: &str, more: &str) -> String {
        format!(r#"{{"destination":"/m","source":"/s","type":"bind","options":[{options}]{more}}}"#)
    }

    const MAPS: &str = r#""namespaces":[{"type":"mount"},{"type":"user"}],
        "uidMappings":[{"containerID":0,"hostID":1000,"size":10}],
        "gidMappings":[{"containerID":0,"hostID":2000,"size":10}]"#;
    const LISTS: &str = r#","uidMappings":[{"containerID":0,"hostID":5,"size":1}],
        "gidMappings":[{"containerID":0,"hostID":6,"size":1}]"#;

    fn made(uids: &str, gids: &str) -> UserNamespace {
        UserNamespace::Made { uids: uids.to_owned(), gids: gids.to_owned() }
    }

    #[test]
    fn one_namespace_does_for_all_mounts_with_the_same_mapping() {
        let mounts = [
            mount(r#""rbind""#, LISTS),
            mount(r#""rbind","ridmap""#, LISTS),
            mount(r#""bind","idmap""#, ""),
            mount(r#""bind","idmap=uids=0-5-1;gids=0-6-1""#, ""),
        ];
        let plan = plan(&mounts.join(","), MAPS).unwrap();
        let wanted = [made("0 5 1\n", "0 6 1\n"), made("0 1000 10\n", "0 2000 10\n")];
        assert_eq!(plan.user_namespaces, wanted);
        let maps = plan.descriptors.iter().filter_map(|descriptor| match descriptor {
            Descriptor::Tree(tree) => tree.id_map,
            _ => None,
        });
        let maps = maps.map(|map| (map.namespace, map.whole_tree)).collect::<Vec<_>>();
        assert_eq!(maps, [(0, false), (0, true), (1, false), (0, false)]);
    }

    #[test]
    fn a_relative_range_is_of_the_containers_ids() {
        let option = r#""bind","idmap=uids=0-@2-3#7-9-1;gids=@0-1-2""#;
        assert!(plan(&mount(option, ""), MAPS).is_err(), "@ stands before the triplet");
        let option = r#""bind","idmap=uids=@0-2-3#7-9-1;gids=@0-1-2""#;
        let plan_made = plan(&mount(option, ""), MAPS).unwrap();
        assert_eq!(plan_made.user_namespaces, [made("0 1002 3\n7 9 1\n", "0 2001 2\n")]);
        let beyond = r#""bind","idmap=uids=@0-8-3;gids=@0-1-2""#;
        let error = plan(&mount(beyond, ""), MAPS).unwrap_err();
        assert_eq!(error.pointer(), Some("/mounts/0/options"));
    }

    #[test]
    fn a_joined_namespace_is_opened_and_none_is_an_error() {
        let joins = r#""namespaces":[{"type":"mount"},{"type":"user","path":"/proc/7/ns/user"}]"#;
        let joined = plan(&mount(r#""bind","idmap""#, ""), joins).unwrap();
        assert_eq!(joined.user_namespaces, [UserNamespace::Joined("/proc/7/ns/user".into())]);
        let none = r#""namespaces":[{"type":"mount"}]"#;
        let error = plan(&mount(r#""bind","idmap""#, ""), none).unwrap_err();
        assert!(error.to_string().contains("no user namespace"), "{error}");
        let twice = mount(r#""bind","idmap=uids=0-1-1;gids=0-1-1""#, LISTS);
        assert!(plan(&twice, none).is_err());
    }
}
