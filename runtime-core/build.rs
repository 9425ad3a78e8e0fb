//! Compiles init with the same rustc and hands it to the library as bytes; turns
//! the table of system calls into constants.

mod syscalls;

use std::path::{Path, PathBuf};
use std::process::Command;

/// How the small program is built: static, at a fixed address, nothing of libc.
const FLAGS: &[&str] = &[
    "--edition=2024",
    "--crate-name=tare_init",
    "--crate-type=bin",
    "--cfg=tare_init",
    "-Cpanic=abort",
    "-Copt-level=s",
    "-Ccodegen-units=1",
    "-Clto=fat",
    "-Crelocation-model=static",
    "-Cforce-unwind-tables=no",
    "-Cstrip=symbols",
    "-Cdefault-linker-libraries=no",
    "-Clink-arg=-nostartfiles",
    "-Clink-arg=-nostdlib",
    "-Clink-arg=-static",
    "-Clink-arg=-no-pie",
    "-Clink-arg=-Wl,--build-id=none",
    "-Clink-arg=-Wl,-z,norelro",
];

/// The plan is mapped here; `link.ld` says the same.
const PLAN_ADDRESS: u64 = 0x1000_0000;

fn main() {
    let directory = PathBuf::from(variable("OUT_DIR"));
    for source in ["init", "src/plan/ops.rs", "syscalls", "src/seccomp/hash.rs"] {
        println!("cargo:rerun-if-changed={source}");
    }
    write_constants(&directory.join("syscalls.rs"));
    let out = directory.join("tare-init");
    compile(&out);
    let image =
        std::fs::read(&out).unwrap_or_else(|error| panic!("read {}: {error}", out.display()));
    println!("cargo:rustc-env=TARE_INIT={}", out.display());
    println!("cargo:rustc-env=TARE_INIT_PLAN_HEADER={}", plan_header(&image));
}

fn write_constants(to: &Path) {
    let constants = syscalls::encode(include_str!("syscalls/table"));
    std::fs::write(to, constants).unwrap_or_else(|error| panic!("{}: {error}", to.display()));
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn compile(out: &Path) {
    let status = Command::new(variable("RUSTC"))
        .args(FLAGS)
        .arg(format!("--target={}", variable("TARGET")))
        .arg(format!("-Clink-arg=-Wl,-T,{}/init/link.ld", variable("CARGO_MANIFEST_DIR")))
        .arg("init/main.rs")
        .arg("-o")
        .arg(out)
        .status();
    match status {
        Ok(status) if status.success() => {}
        answer => panic!("building init: {answer:?}"),
    }
}

/// The offset, in the ELF file, of the program header of the plan's segment.
fn plan_header(image: &[u8]) -> usize {
    let word = |at: usize, size: usize| {
        image[at..at + size].iter().rev().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte))
    };
    let (table, size, count) = (word(32, 8), word(54, 2), word(56, 2));
    (0..count)
        .map(|index| usize::try_from(table + index * size).unwrap_or(usize::MAX))
        .find(|header| word(header + 16, 8) == PLAN_ADDRESS)
        .unwrap_or_else(|| panic!("init has no segment for the plan"))
}
