//! Container ids and cgroup paths: what is taken stays below its place.
#![no_main]

use libfuzzer_sys::fuzz_target;
use runtime_core::plan::cgroup::{CgroupPlan, CgroupRequest, Layout, clean};
use runtime_core::{ErrorKind, Runtime};
use std::path::{Component, Path};

fuzz_target!(|text: &str| {
    let answer = Runtime::new("/nonexistent").container(text).map(drop);
    if answer.is_err_and(|error| error.kind() != ErrorKind::InvalidId) {
        assert!(is_one_name(Path::new(text)), "{text:?}");
    }
    if let Ok(cleaned) = clean(text) {
        assert!(stays_below(Path::new(&cleaned)), "{text:?} became {cleaned:?}");
        assert_eq!(clean(&cleaned).unwrap(), cleaned);
    }
    let layout = Layout::v2(Some("0::/user.slice/own\n"));
    let request = CgroupRequest {
        layout: &layout,
        id: "fuzz",
        cgroups_path: Some(Path::new(text)),
        resources: None,
        systemd: None,
        rootless: Some(false),
        owner: None,
    };
    let Ok(plan) = CgroupPlan::new(&request) else { return };
    for directory in &plan.cgroup.directories {
        let place = plan.cgroup.absolute(directory);
        let below = place.strip_prefix(&plan.cgroup.base).unwrap();
        assert!(stays_below(below) && below != Path::new(""), "{text:?} became {place:?}");
        let Ok(sub) = plan.cgroup.sub_cgroup(&[], text) else { continue };
        let sub = sub.absolute(&sub.directories[0]);
        assert!(sub.starts_with(&place), "{text:?} became {sub:?}");
    }
});

fn is_one_name(path: &Path) -> bool {
    stays_below(path) && path.components().count() == 1
}

fn stays_below(path: &Path) -> bool {
    path.components().all(|component| matches!(component, Component::Normal(_)))
}
