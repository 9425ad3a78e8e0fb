//! Reviewed plans of real configurations: `plans/SAMPLE.v1.txt` on a host with
//! v1 hierarchies and a v2 one beside them, `plans/SAMPLE.v2.txt` with v2 only.
//! `UPDATE_PLANS=1 cargo test --test plans` writes them anew, to be reviewed.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use runtime_core::Bundle;
use runtime_core::bundle::{parse_process, parse_spec};
use runtime_core::plan::cgroup::Layout;
use runtime_core::plan::{self, ExecRequest, Facts, Plan, Request};

/// A process document needs a container to be executed in.
const CONTAINER_OF_EXEC: &str = "docker-run-default.json";

#[test]
fn plans_are_those_that_were_reviewed() {
    let wrong: Vec<String> = snapshots().into_iter().filter_map(difference).collect();
    assert!(wrong.is_empty(), "{}\nwrite them with UPDATE_PLANS=1", wrong.join("\n"));
}

#[test]
fn every_reviewed_plan_is_of_a_sample() {
    let there: BTreeSet<PathBuf> = files(&project("runtime-core/tests/plans"), "txt").collect();
    let wanted: BTreeSet<PathBuf> = snapshots().into_iter().map(|(file, _)| file).collect();
    assert_eq!(there, wanted);
}

#[test]
fn the_same_request_leads_to_the_same_plan() {
    assert_eq!(snapshots(), snapshots());
}

#[test]
fn what_is_planned_arrives_at_init_as_it_was() {
    use runtime_core::plan::ops::{Header, Op};
    use runtime_core::plan::{Action, wire::Reader};
    for sample in containers() {
        let plan = container(&sample, &facts(v1()));
        let bytes = plan.encode(&[]);
        let mut reader = Reader::new(&bytes[Header::WORDS * 8..]);
        let heard: Vec<Op> =
            std::iter::from_fn(|| Op::decode(&mut reader)).map(|(_, op)| op).collect();
        let said: Vec<Op> = plan
            .steps
            .into_iter()
            .filter_map(|step| match step.action {
                Action::Init(op) => Some(op),
                Action::Host(_) => None,
            })
            .collect();
        assert_eq!(heard, said, "{}", sample.display());
    }
}

/// Each file with what should be in it.
fn snapshots() -> Vec<(PathBuf, String)> {
    let mut all = Vec::new();
    for (version, layout) in [("v1", v1()), ("v2", v2())] {
        let facts = facts(layout);
        for sample in containers() {
            all.push((snapshot(&sample, version), container(&sample, &facts).to_string()));
        }
        for sample in processes() {
            all.push((snapshot(&sample, version), exec(&sample, &facts).to_string()));
        }
    }
    all
}

fn snapshot(sample: &Path, version: &str) -> PathBuf {
    let name = match name_of(sample) {
        "config.json" => "hello",
        name => name.trim_end_matches(".json"),
    };
    project("runtime-core/tests/plans").join(format!("{name}.{version}.txt"))
}

fn containers() -> impl Iterator<Item = PathBuf> {
    let hello = project("bundles/hello/config.json");
    samples().filter(|file| !is_process(file)).chain([hello])
}

fn processes() -> impl Iterator<Item = PathBuf> {
    samples().filter(|file| is_process(file))
}

fn samples() -> impl Iterator<Item = PathBuf> {
    files(&project("bundles/samples"), "json")
}

fn is_process(file: &Path) -> bool {
    name_of(file).ends_with(".process.json")
}

fn container(sample: &Path, facts: &Facts) -> Plan {
    let bundle = bundle(sample);
    let mut request = Request::new("sample", &bundle, facts, Path::new("/run/tare/sample"));
    let terminal = bundle.spec().process().as_ref().and_then(|process| process.terminal());
    request.console_socket = (terminal == Some(true)).then(|| "/run/console.sock".into());
    plan::container(&request).unwrap()
}

fn exec(sample: &Path, facts: &Facts) -> Plan {
    let bundle = bundle(&project("bundles/samples").join(CONTAINER_OF_EXEC));
    let cgroup = container(&project("bundles/samples").join(CONTAINER_OF_EXEC), facts).cgroup;
    let (process, _) = parse_process(&fs::read(sample).unwrap()).unwrap();
    let mut request = ExecRequest::new("sample", bundle.spec(), &process, facts);
    request.cgroup = cgroup.as_ref().map(|plan| &plan.cgroup);
    plan::exec(&request).unwrap()
}

/// At a place that is the same on every machine.
fn bundle(sample: &Path) -> Bundle {
    let (spec, _) = parse_spec(&fs::read(sample).unwrap()).unwrap();
    Bundle::from_parts("/", spec).unwrap()
}

/// Root with all capabilities, in a Rust program: SIGPIPE is ignored.
fn facts(layout: Layout) -> Facts {
    const CAPABILITIES: u64 = (1 << 41) - 1;
    const SIGPIPE: u64 = 1 << 12;
    Facts {
        permitted: CAPABILITIES,
        bounding: CAPABILITIES,
        ignored_signals: SIGPIPE,
        pinned: false,
        uid: 0,
        gid: 0,
        layout: Some(layout),
        ..Facts::default()
    }
}

fn v2() -> Layout {
    Layout::v2(Some("0::/user.slice\n"))
}

fn v1() -> Layout {
    const HIERARCHIES: [(&str, &str); 10] = [
        ("cpuset", "cpuset"),
        ("cpu,cpuacct", "cpu,cpuacct"),
        ("blkio", "blkio"),
        ("memory", "memory"),
        ("devices", "devices"),
        ("freezer", "freezer"),
        ("hugetlb", "hugetlb"),
        ("pids", "pids"),
        ("name=systemd", "systemd"),
        ("", "unified"),
    ];
    let mut memberships = String::new();
    let mut mounts = String::new();
    for (number, (controllers, directory)) in HIERARCHIES.iter().enumerate() {
        let kind = if controllers.is_empty() { "cgroup2" } else { "cgroup" };
        writeln!(memberships, "{number}:{controllers}:/user.slice").unwrap();
        writeln!(
            mounts,
            "{number} 31 0:{number} / /sys/fs/cgroup/{directory} rw - {kind} {kind} rw,{controllers}"
        )
        .unwrap();
    }
    let mut finder = Layout::finder(&memberships);
    mounts.lines().for_each(|line| finder.line(line));
    finder.finish().unwrap()
}

/// Writes the file when that is asked for; otherwise the lines that differ.
fn difference((file, plan): (PathBuf, String)) -> Option<String> {
    if std::env::var_os("UPDATE_PLANS").is_some() {
        fs::write(&file, plan).unwrap();
        return None;
    }
    let reviewed = fs::read_to_string(&file).unwrap_or_default();
    (reviewed != plan).then(|| format!("{}:\n{}", name_of(&file), changed(&reviewed, &plan)))
}

/// The lines of two texts that are not common to both: - and + as in a diff.
fn changed(old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    // How long the common part is of what follows line i of old and line j of new.
    let mut common = vec![vec![0_usize; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] = if old[i] == new[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let (mut i, mut j, mut text) = (0, 0, String::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || i < old.len() && common[i + 1][j] >= common[i][j + 1] {
            writeln!(text, "-{}", old[i]).unwrap();
            i += 1;
        } else {
            writeln!(text, "+{}", new[j]).unwrap();
            j += 1;
        }
    }
    text
}

#[test]
fn a_difference_shows_only_the_lines_that_differ() {
    assert_eq!(changed("a\nb\nc\n", "a\nx\nc\nd\n"), "-b\n+x\n+d\n");
    assert_eq!(changed("a\n", "a\n"), "");
}

fn files(directory: &Path, extension: &str) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let found: BTreeSet<PathBuf> =
        entries.filter(|file| file.extension().is_some_and(|ending| ending == extension)).collect();
    assert!(!found.is_empty(), "no files in {}", directory.display());
    found.into_iter()
}

fn name_of(file: &Path) -> &str {
    file.file_name().and_then(|name| name.to_str()).unwrap()
}

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path)
}
