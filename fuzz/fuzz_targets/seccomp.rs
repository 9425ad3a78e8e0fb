//! A seccomp profile to a program that the kernel would load: it ends with an
//! answer whatever the call, and knows no other architecture.
#![no_main]

use libfuzzer_sys::fuzz_target;
use runtime_core::bundle::parse_spec;
use runtime_core::seccomp::{Options, Program, compile};

const X86_64: u32 = 0xc000_003e;
const I386: u32 = 0x4000_0003;
const X32_BIT: u32 = 1 << 30;
const NO_ARCHITECTURE: u32 = 0;
const RET_KILL_THREAD: u32 = 0;
/// `BPF_MAXINSNS`.
const LONGEST: usize = 4096;

fuzz_target!(|input: ([u64; 6], u32, &str)| {
    let (args, number, profile) = input;
    let config = format!(r#"{{"ociVersion":"1.0.2","linux":{{"seccomp":{profile}}}}}"#);
    let Ok((spec, _)) = parse_spec(config.as_bytes()) else { return };
    let Some(profile) = spec.linux().as_ref().and_then(|linux| linux.seccomp().as_ref()) else {
        return;
    };
    let mut notices = Vec::new();
    let Ok(Some(program)) = compile(profile, &Options::default(), &mut notices) else { return };
    assert!(program.instructions.len() <= LONGEST);
    look_at(&program, number, args);
});

fn look_at(program: &Program, number: u32, args: [u64; 6]) {
    let numbers = (0..512).flat_map(|number| [number, number | X32_BIT]).chain([number, u32::MAX]);
    for number in numbers {
        for arch in [X86_64, I386] {
            assert!(program.evaluate(arch, number, args).is_some(), "{arch:x} {number}");
        }
    }
    assert_eq!(program.evaluate(NO_ARCHITECTURE, number, args), Some(RET_KILL_THREAD));
}
