//! The seccomp filter of a process: compiled from the profile, or given as it is
//! by an annotation of crun's.

use super::Plan;
use super::annotations::{self, SECCOMP_FAIL_UNKNOWN, SECCOMP_PROGRAM};
use super::ops::Op;
use super::step::HostOp;
use crate::bundle::seccomp_receiver;
use crate::error::{Error, Result};
use crate::seccomp;
use oci_spec::runtime::{LinuxSeccomp, Spec};

/// What is loaded, and where in the configuration it comes from.
pub(super) struct Filter {
    program: seccomp::Program,
    pointer: String,
}

impl Filter {
    pub(super) fn of(plan: &mut Plan, spec: &Spec) -> Result<Option<Self>> {
        let profile = profile(spec);
        let filter = match (annotations::value(spec, SECCOMP_PROGRAM), profile) {
            (Some(text), _) => {
                let program = raw(plan, spec, text)?;
                Some(Self { program, pointer: annotations::pointer(SECCOMP_PROGRAM) })
            }
            (None, Some(profile)) => {
                let fail_unknown = annotations::value(spec, SECCOMP_FAIL_UNKNOWN);
                let fail_unknown = fail_unknown.is_some_and(|word| word != "0");
                let options = seccomp::Options { fail_unknown, ..seccomp::Options::default() };
                let program = seccomp::compile(profile, &options, &mut plan.notices)?;
                program.map(|program| Self { program, pointer: "/linux/seccomp".to_owned() })
            }
            (None, None) => None,
        };
        Ok(filter)
    }

    pub(super) fn notifies(&self) -> bool {
        self.program.notify
    }

    pub(super) fn load(&self, plan: &mut Plan) {
        let program = self.program.instructions.iter().flat_map(|instruction| {
            let [code_low, code_high] = instruction.code.to_ne_bytes();
            let [a, b, c, d] = instruction.k.to_ne_bytes();
            [code_low, code_high, instruction.jt, instruction.jf, a, b, c, d]
        });
        plan.init(
            self.pointer.as_str(),
            Op::Seccomp {
                program: program.collect(),
                flags: self.program.flags,
                notify: u64::from(self.program.notify),
            },
        );
    }
}

/// The listener to the agent that answers for the filter.
pub(super) fn pass_listener(plan: &mut Plan, spec: &Spec) -> Result<()> {
    let (pointer, socket) = seccomp_receiver(spec).ok_or_else(|| {
        Error::config("/linux/seccomp/listenerPath", "SCMP_ACT_NOTIFY needs an agent to ask")
            .hint("set listenerPath to the agent's socket")
    })?;
    let metadata = profile(spec).and_then(|profile| profile.listener_metadata().clone());
    let metadata = metadata.unwrap_or_default();
    plan.host(pointer, HostOp::Listener { socket: socket.to_owned(), metadata });
    Ok(())
}

fn raw(plan: &mut Plan, spec: &Spec, text: &str) -> Result<seccomp::Program> {
    // As with crun whoever is named to listen gets a listener.
    let notify = seccomp_receiver(spec).is_some();
    seccomp::decode(text, profile(spec), notify, &mut plan.notices).map_err(|wrong| {
        Error::config(
            annotations::pointer(SECCOMP_PROGRAM),
            format!("invalid seccomp BPF data: {wrong}"),
        )
        .hint("give the base64 of an array of struct sock_filter")
    })
}

fn profile(spec: &Spec) -> Option<&LinuxSeccomp> {
    spec.linux().as_ref().and_then(|linux| linux.seccomp().as_ref())
}
