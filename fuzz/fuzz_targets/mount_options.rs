//! Mount options, one a line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use runtime_core::plan::mounts::options::parse;

fuzz_target!(|text: &str| {
    let options: Vec<String> = text.lines().map(str::to_owned).collect();
    let Ok(parsed) = parse(&options, "/mounts/0") else { return };
    // What is handed to the filesystem was given, and no flag is both asked for and asked off.
    for word in parsed.data.split(',').filter(|word| !word.is_empty()) {
        assert!(text.contains(word), "{word:?} is not of {options:?}");
    }
    assert_eq!(parsed.flags & parsed.cleared, 0, "{options:?}");
    assert_eq!(parsed.tree_set & parsed.tree_clear & !ATIME, 0, "{options:?}");
});

/// `MOUNT_ATTR__ATIME` is a field, cleared as a whole whenever it is set.
const ATIME: u64 = 0x70;
