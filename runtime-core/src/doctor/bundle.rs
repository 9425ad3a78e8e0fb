//! A bundle: every rule that it breaks.

use super::{Finding, Verdict};
use crate::bundle::{Bundle, CONFIG, check_types, validate};
use crate::error::{Error, Notice};
use crate::lifecycle::{CreateOptions, Runtime};
use std::path::Path;

const AREA: &str = "bundle";

/// Everything that is wrong with the bundle in `dir`, on this host and for this caller.
/// One that breaks no rule is planned, too.
pub fn bundle(dir: &Path, runtime: &Runtime) -> Vec<Finding> {
    let bundle = match Bundle::load(dir) {
        Ok(bundle) => bundle,
        Err(error) => return unreadable(dir, &error),
    };
    let mut findings: Vec<Finding> = bundle.notices().iter().map(notice).collect();
    findings.extend(validate::warnings(bundle.spec()).iter().map(notice));
    let mut faults = bundle.check();
    if !super::is_root() {
        faults.extend(validate::check_rootless(bundle.spec()));
    }
    if faults.is_empty() {
        faults.extend(plan(&bundle, runtime));
    }
    findings.extend(faults.iter().map(fault));
    if faults.is_empty() {
        findings.push(Finding::fine(AREA, "config.json", "breaks no rule"));
    }
    findings
}

/// Of a configuration that cannot be read all that keeps it from that.
fn unreadable(dir: &Path, error: &Error) -> Vec<Finding> {
    let file = dir.join(CONFIG);
    // A pipe would be waited for.
    let text = if file.is_file() { std::fs::read(&file).unwrap_or_default() } else { Vec::new() };
    match check_types(&text).as_slice() {
        [] => vec![fault(error)],
        faults => faults.iter().map(fault).collect(),
    }
}

/// What only shows when everything is decided.
fn plan(bundle: &Bundle, runtime: &Runtime) -> Option<Error> {
    let process = bundle.spec().process().as_ref();
    let terminal = process.and_then(oci_spec::runtime::Process::terminal).unwrap_or(false);
    // Any will do: nobody connects to it.
    let console_socket = terminal.then(|| "/".into());
    let options = CreateOptions { console_socket, ..CreateOptions::default() };
    runtime.plan("doctor", bundle, &options).err()
}

fn fault(error: &Error) -> Finding {
    let pointer = error.pointer().map(str::to_owned);
    // The place and the remedy have members of their own.
    let text = error.to_string();
    let text = text.split(" (config.json ").next().unwrap_or_default();
    let text = match error.remedy() {
        Some(remedy) => text.strip_suffix(&format!("; {remedy}")).unwrap_or(text),
        None => text,
    };
    Finding {
        area: AREA,
        subject: pointer.clone().unwrap_or_else(|| "config.json".to_owned()),
        verdict: Verdict::Problem,
        text: text.to_owned(),
        pointer,
        remedy: error.remedy().map(str::to_owned),
    }
}

fn notice(notice: &Notice) -> Finding {
    let pointer = Some(notice.pointer.clone()).filter(|pointer| !pointer.is_empty());
    Finding {
        area: AREA,
        subject: pointer.clone().unwrap_or_else(|| "config.json".to_owned()),
        verdict: Verdict::Note,
        text: notice.message.clone(),
        pointer,
        remedy: None,
    }
}
