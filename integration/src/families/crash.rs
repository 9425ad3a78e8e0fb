//! The runtime is killed at any instant of `create`; `delete --force` removes what is left.

use std::time::{Duration, Instant};

use crate::bundle::Bundle;
use crate::context::Context;
use crate::leftovers;
use crate::outcome::Outcome;
use crate::process::wait_for;
use crate::random::Random;
use crate::{check, family};

family!("crash":
    runtime_killed_during_create_leaves_nothing_that_delete_does_not_remove,
    runtime_killed_during_start_leaves_nothing_that_delete_does_not_remove,
    runtime_killed_during_delete_leaves_nothing_that_delete_does_not_remove,
);

const TIMES: u32 = 200;

fn runtime_killed_during_create_leaves_nothing_that_delete_does_not_remove(
    ctx: &Context,
) -> Outcome {
    let mut whole = time_of_create(ctx)?;
    let mut random = Random::new();
    let mut unfinished = 0;
    for round in 0..TIMES {
        let delay = whole.mul_f64(random.fraction() * 1.2);
        let c = Bundle::new(ctx)?.payload(&["sleep", "60000"]).container()?;
        let mut run = c.command("create", &[])?.start()?;
        std::thread::sleep(delay);
        run.kill()?;
        let killed = run.done()?.code == 137;
        unfinished += u32::from(killed);
        // How long create takes changes with what else the machine does.
        whole = whole.mul_f64(if killed { 1.02 } else { 0.95 });
        ctx.ok(&["delete", "--force", &c.id])?;
        nothing_is_left(ctx, round, delay)?;
    }
    println!("      {unfinished} of {TIMES} creates were killed before their end");
    check!(unfinished > TIMES / 4, "only {unfinished} creates were killed before their end");
    Ok(())
}

fn runtime_killed_during_start_leaves_nothing_that_delete_does_not_remove(
    ctx: &Context,
) -> Outcome {
    killed_during(ctx, "start", 40)
}

fn runtime_killed_during_delete_leaves_nothing_that_delete_does_not_remove(
    ctx: &Context,
) -> Outcome {
    killed_during(ctx, "delete", 40)
}

fn killed_during(ctx: &Context, verb: &str, times: u32) -> Outcome {
    let mut random = Random::new();
    for round in 0..times {
        let delay = Duration::from_micros(5000).mul_f64(random.fraction());
        let c = Bundle::new(ctx)?.payload(&["sleep", "60000"]).container()?;
        c.create()?;
        let mut run = ctx.cmd(&[verb, &c.id])?.start()?;
        std::thread::sleep(delay);
        run.kill()?;
        run.done()?;
        ctx.ok(&["delete", "--force", &c.id])?;
        c.exit_code()?;
        nothing_is_left(ctx, round, delay)?;
    }
    Ok(())
}

fn time_of_create(ctx: &Context) -> Outcome<Duration> {
    let c = Bundle::new(ctx)?.payload(&["true"]).container()?;
    let begin = Instant::now();
    c.create()?;
    let time = begin.elapsed();
    drop(c);
    wait_for("an empty machine", || Ok(leftovers::look(ctx).is_empty().then_some(())))?;
    Ok(time)
}

/// A process that was killed needs a moment to be gone.
fn nothing_is_left(ctx: &Context, round: u32, delay: Duration) -> Outcome {
    let until = Instant::now() + Duration::from_secs(2);
    let mut left = leftovers::look(ctx);
    while !left.is_empty() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(2));
        left = leftovers::look(ctx);
    }
    let left = left.join(", ");
    check!(left.is_empty(), "round {round}, killed after {delay:?}: left behind {left}");
    Ok(())
}
