//! All containers whose ids match an expression, as crun's `--regex` has it.

use regex_lite::Regex;
use runtime_core::Runtime;

use super::Context;
use crate::failure::{Failure, Outcome};

/// Does `act` to each of them. What fails with one does not spare the others.
pub(super) fn each(
    context: &Context,
    expression: &str,
    act: impl Fn(&Runtime, &str) -> Result<(), Failure>,
) -> Outcome {
    // What a script's variable without a value would say: every container.
    if expression.is_empty() {
        return Err(Failure::new(
            "an empty regular expression matches every container: say \".*\"",
        ));
    }
    let regex = Regex::new(expression).map_err(|error| {
        Failure::new(format!("invalid regular expression \"{expression}\": {error}"))
    })?;
    let runtime = context.runtime()?;
    let all = match runtime.list() {
        // No state directory: no containers.
        Err(error) if error.errno() == Some(libc::ENOENT) => return Ok(0),
        all => all?,
    };
    let mut failed = 0;
    for (id, _) in all.iter().filter(|(id, _)| regex.is_match(id)) {
        if let Err(failure) = act(&runtime, id) {
            failed += 1;
            context.log.failure(&failure.context(format!("container {id}")));
        }
    }
    match failed {
        0 => Ok(0),
        count => Err(Failure::new(format!("failed for {count} of the containers that match"))),
    }
}
