//! config.json to a plan, to its text, to what init reads.
#![no_main]

use libfuzzer_sys::fuzz_target;
use runtime_core::Bundle;
use runtime_core::bundle::{parse_spec, validate};
use runtime_core::plan::cgroup::Layout;
use runtime_core::plan::ops::{Header, Op};
use runtime_core::plan::wire::Reader;
use runtime_core::plan::{self, Action, Descriptor, Facts, Plan, Request};
use std::path::Path;

const V1: &str = "\
1 31 0:1 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
2 31 0:2 / /sys/fs/cgroup/devices rw - cgroup cgroup rw,devices
3 31 0:3 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
4 31 0:4 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
";

fuzz_target!(|data: &[u8]| {
    let _ = validate::check_text(data);
    let Ok((spec, _)) = parse_spec(data) else { return };
    let _ = validate::check(&spec);
    let _ = validate::warnings(&spec);
    let Ok(bundle) = Bundle::from_parts("/", spec) else { return };
    // A plan of what validation refuses must not panic either.
    for layout in [v1(), Some(Layout::v2(None)), None] {
        let facts = Facts { permitted: u64::MAX, bounding: u64::MAX, layout, ..Facts::default() };
        let request = Request::new("fuzz", &bundle, &facts, Path::new("/run/fuzz"));
        match plan::container(&request) {
            Ok(plan) => look_at(plan),
            Err(error) => drop(error.to_string()),
        }
    }
});

fn v1() -> Option<Layout> {
    let mut finder = Layout::finder("1:memory:/a\n2:devices:/\n3:cpu,cpuacct:/a/b\n0::/\n");
    V1.lines().for_each(|line| finder.line(line));
    finder.finish()
}

fn look_at(plan: Plan) {
    // Every mapping of a tree is there, and there once.
    let trees = plan.descriptors.iter().filter_map(|descriptor| match descriptor {
        Descriptor::Tree(tree) => tree.id_map,
        _ => None,
    });
    assert!(trees.into_iter().all(|map| map.namespace < plan.user_namespaces.len()));
    for (at, namespace) in plan.user_namespaces.iter().enumerate() {
        assert!(!plan.user_namespaces[..at].contains(namespace));
    }
    let _ = (plan.to_string(), plan.to_json());
    let bytes = plan.encode(&[]);
    let mut reader = Reader::new(&bytes[Header::WORDS * 8..]);
    for step in plan.steps {
        if let Action::Init(op) = step.action {
            assert_eq!(Op::decode(&mut reader).map(|(_, heard)| heard), Some(op));
        }
    }
    assert!(Op::decode(&mut reader).is_none());
}
