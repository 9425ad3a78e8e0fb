//! A state record that somebody damaged. Nothing is done with it but to look.
#![no_main]

use libfuzzer_sys::fuzz_target;
use runtime_core::Runtime;
use std::path::PathBuf;
use std::sync::LazyLock;

static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
    let root = std::env::temp_dir().join(format!("fuzz-state-{}", std::process::id()));
    std::fs::create_dir_all(root.join("fuzz")).unwrap();
    root
});

fuzz_target!(|data: &[u8]| {
    std::fs::write(ROOT.join("fuzz/state.json"), data).unwrap();
    std::fs::write(ROOT.join("fuzz/config.json"), data).unwrap();
    let Ok(container) = Runtime::new(&*ROOT).container("fuzz") else { return };
    let _ = (container.state(), container.spec());
});
