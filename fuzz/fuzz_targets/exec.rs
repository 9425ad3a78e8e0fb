//! A process document, as `exec --process` reads one, to a plan.
#![no_main]

use libfuzzer_sys::fuzz_target;
use runtime_core::bundle::{parse_process, parse_spec, template, validate};
use runtime_core::plan::{self, ExecRequest, Facts};

fuzz_target!(|data: &[u8]| {
    let Ok((process, _)) = parse_process(data) else { return };
    let _ = validate::check_process(&process, "");
    let (spec, _) = parse_spec(template(None, true).as_bytes()).unwrap();
    let facts = Facts { permitted: u64::MAX, bounding: u64::MAX, ..Facts::default() };
    match plan::exec(&ExecRequest::new("fuzz", &spec, &process, &facts)) {
        Ok(plan) => drop((plan.to_string(), plan.to_json(), plan.encode(&[]))),
        Err(error) => drop(error.to_string()),
    }
});
