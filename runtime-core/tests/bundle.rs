//! Real configurations and the samples of the runtime-spec, whole and damaged.

use std::fs;
use std::path::{Path, PathBuf};

use runtime_core::bundle::{parse_process, parse_spec, validate};
use runtime_core::{Bundle, Error, ErrorKind};
use serde_json::Value;

fn samples() -> Vec<PathBuf> {
    json_files("../bundles/samples")
}

fn json_files(dir: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join(dir);
    let mut files: Vec<_> =
        fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    assert!(!files.is_empty(), "no files in {}", dir.display());
    files
}

fn is_process_document(file: &Path) -> bool {
    file.to_string_lossy().ends_with(".process.json")
}

/// All faults of a document, and that each says where and what instead.
fn faults(raw: &[u8], process: bool) -> Vec<Error> {
    let mut faults = validate::check_text(raw);
    if process {
        match parse_process(raw) {
            Ok((process, _)) => faults.extend(validate::check_process(&process, "")),
            Err(error) => faults.push(error),
        }
    } else {
        match parse_spec(raw) {
            Ok((spec, _)) => faults.extend(validate::check(&spec)),
            Err(error) => faults.push(error),
        }
    }
    for fault in &faults {
        let text = fault.to_string();
        assert_eq!(fault.kind(), ErrorKind::InvalidConfig, "{text}");
        assert!(fault.pointer().is_some() || text.contains("at line "), "no place: {text}");
    }
    faults
}

#[test]
fn every_configuration_that_engines_wrote_is_valid() {
    for file in samples() {
        let raw = fs::read(&file).unwrap();
        let process = is_process_document(&file);
        assert!(faults(&raw, process).is_empty(), "{}", file.display());
        let notices = match process {
            true => parse_process(&raw).unwrap().1,
            false => parse_spec(&raw).unwrap().1,
        };
        assert_eq!(notices, [], "{}", file.display());
    }
}

#[test]
fn the_good_samples_of_the_spec_are_read() {
    for file in json_files("tests/data/good") {
        let raw = fs::read(&file).unwrap();
        let found: Vec<_> =
            faults(&raw, false).iter().map(|fault| fault.pointer().unwrap().to_owned()).collect();
        // The schema leaves to a runtime what only a namespace makes necessary.
        let expected: &[&str] = match file.file_name().unwrap().to_str().unwrap() {
            "zos-example.json" | "freebsd-example.json" => &["/hostname"],
            "linux-netdevice.json" => &["/linux/netDevices"],
            _ => &[],
        };
        assert_eq!(found, expected, "{}", file.display());
    }
}

#[test]
fn the_bad_samples_of_the_spec_are_refused() {
    // The fault of freebsd-vnet-disable is FreeBSD's, which is not looked at here.
    for (name, place) in [
        ("invalid-json", "at line 1 column 2"),
        ("linux-hugepage", "/linux/resources/hugepageLimits/0/pageSize"),
        ("linux-netdevice", "/linux/netDevices/eth0/name"),
        ("linux-rdma", "/linux/resources/rdma/mlx5_1/hcaHandles"),
    ] {
        let file = format!("{}/tests/data/bad/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let faults = faults(&fs::read(file).unwrap(), false);
        assert!(faults.iter().any(|fault| fault.to_string().contains(place)), "{name}: {faults:?}");
    }
}

/// xorshift64*: the same damage in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let bits = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(bits).unwrap() % bound
    }
}

fn pointers(tree: &Value, base: &str, all: &mut Vec<String>) {
    all.push(base.to_owned());
    match tree {
        Value::Object(members) => {
            for (key, value) in members {
                let key = key.replace('~', "~0").replace('/', "~1");
                pointers(value, &format!("{base}/{key}"), all);
            }
        }
        Value::Array(entries) => {
            for (index, value) in entries.iter().enumerate() {
                pointers(value, &format!("{base}/{index}"), all);
            }
        }
        _ => {}
    }
}

fn damage(tree: &mut Value, random: &mut Random) {
    let mut all = Vec::new();
    pointers(tree, "", &mut all);
    // The long seccomp lists would get nearly all the damage.
    all.retain(|pointer| !pointer.contains("/names/") || random.below(40) == 0);
    let pointer = &all[random.below(all.len())];
    let replacements = [
        Value::Null,
        Value::Bool(true),
        Value::from(-1),
        Value::from(u64::MAX),
        Value::from(1.5),
        Value::from(""),
        Value::from("/"),
        Value::from("a\u{0}b\n\"../.."),
        Value::from(Vec::<Value>::new()),
        serde_json::json!([[]]),
        serde_json::json!({}),
        serde_json::json!({"": {}}),
    ];
    if random.below(4) == 0 {
        let (parent, key) = pointer.rsplit_once('/').unwrap_or_default();
        let key = key.replace("~1", "/").replace("~0", "~");
        match tree.pointer_mut(parent) {
            Some(Value::Object(members)) => drop(members.remove(&key)),
            Some(Value::Array(entries)) => {
                entries.truncate(random.below(entries.len().max(1)));
            }
            _ => {}
        }
    } else if let Some(value) = tree.pointer_mut(pointer) {
        *value = replacements[random.below(replacements.len())].clone();
    }
}

#[test]
fn a_damaged_configuration_is_read_or_refused_with_a_place() {
    let mut random = Random(0x7a5e_0001);
    let mut refused = 0;
    for file in samples() {
        let sample: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        for _ in 0..80 {
            let mut tree = sample.clone();
            for _ in 0..=random.below(3) {
                damage(&mut tree, &mut random);
            }
            let text = serde_json::to_vec_pretty(&tree).unwrap();
            refused += usize::from(!faults(&text, is_process_document(&file)).is_empty());
        }
    }
    assert!(refused > 400, "only {refused} were refused");
}

#[test]
fn a_value_of_the_wrong_type_is_found_where_it_was_put() {
    let mut random = Random(0x7a5e_0003);
    let mut refused = 0;
    for file in samples().iter().filter(|file| !is_process_document(file)) {
        let sample: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        let mut all = Vec::new();
        pointers(&sample, "", &mut all);
        for _ in 0..40 {
            let damaged = &all[random.below(all.len())];
            let mut tree = sample.clone();
            let Some(value) = tree.pointer_mut(damaged) else { continue };
            *value = if value.is_boolean() { Value::from(-1) } else { Value::from(true) };
            let text = serde_json::to_vec_pretty(&tree).unwrap();
            if let Err(error) = parse_spec(&text) {
                assert_eq!(error.pointer(), Some(damaged.as_str()), "{error}");
                refused += 1;
            }
        }
    }
    assert!(refused > 300, "only {refused} were refused");
}

#[test]
fn a_text_cut_or_with_a_byte_changed_is_read_or_refused_with_a_place() {
    let mut random = Random(0x7a5e_0002);
    for file in samples() {
        let sample = fs::read(&file).unwrap();
        for _ in 0..60 {
            let mut text = sample.clone();
            match random.below(2) {
                0 => text.truncate(random.below(sample.len())),
                _ => {
                    let at = random.below(text.len());
                    text[at] = u8::try_from(random.below(256)).unwrap();
                }
            }
            faults(&text, is_process_document(&file));
        }
    }
}

/// A directory that is gone when the test ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("tare-bundle-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        Self(dir.canonicalize().unwrap())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_bundle_is_a_directory_with_a_configuration_and_a_root() {
    let scratch = Scratch::new("whole");
    let text = r#"{"ociVersion":"1.3.0","root":{"path":"rootfs"},
        "process":{"cwd":"/","args":["sh"],"capabilities":{"bounding":["CAP_MAGIC"]}}}"#;
    fs::create_dir(scratch.0.join("real")).unwrap();
    std::os::unix::fs::symlink("real", scratch.0.join("rootfs")).unwrap();
    fs::write(scratch.0.join("config.json"), text).unwrap();

    let bundle = Bundle::load(scratch.0.join(".")).unwrap();
    bundle.validate().unwrap();
    assert_eq!(bundle.dir(), scratch.0);
    assert_eq!(bundle.rootfs(), scratch.0.join("real"));
    assert_eq!(bundle.raw(), text.as_bytes());
    assert_eq!(bundle.notices()[0].pointer, "/process/capabilities/bounding");

    let again = Bundle::from_parts(bundle.dir(), bundle.spec().clone()).unwrap();
    again.validate().unwrap();
    assert_eq!(parse_spec(again.raw()).unwrap().0, *bundle.spec());
}

#[test]
fn what_is_missing_of_a_bundle_is_named() {
    let scratch = Scratch::new("missing");
    let error = Bundle::load(scratch.0.join("nowhere")).unwrap_err();
    assert_eq!(error.errno(), Some(2));
    assert!(error.to_string().contains("no such file or directory"), "{error}");

    let error = Bundle::load(&scratch.0).unwrap_err();
    assert!(error.to_string().contains("JSON specification file config.json not found"), "{error}");

    fs::write(scratch.0.join("config.json"), r#"{"ociVersion":"1.0.0","root":{"path":"r"}}"#)
        .unwrap();
    let faults = Bundle::load(&scratch.0).unwrap().check();
    let pointers: Vec<_> = faults.iter().filter_map(Error::pointer).collect();
    assert_eq!(pointers, ["/root/path"]);
}
