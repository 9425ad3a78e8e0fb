//! Device rules: what a container may do with a device that it has.

use std::path::Path;

use serde_json::{Value, json};

use crate::bundle::{Bundle, parse_lines};
use crate::context::{Context, Layout};
use crate::outcome::{Outcome, Stop};
use crate::process::{Done, Run};
use crate::{check_eq, family};

/// A character device that is not among the defaults and asks for no privilege of its own.
const LOOP_CONTROL: [&str; 3] = ["10", "237", "c"];
/// A block device.
const LOOP: [&str; 3] = ["7", "6", "b"];
const NULL: [&str; 3] = ["1", "3", "c"];

/// The device, the rules as JSON, and the letters of what is allowed: making any node always is.
macro_rules! rows {
    ($($name:ident: $device:ident, $rules:literal => $allowed:literal;)+) => {
        $(fn $name(ctx: &Context) -> Outcome {
            row(ctx, &$device, $rules, $allowed)
        })+
        family!("devices":
            $($name,)+
            rules_hold_for_executed_processes,
            without_the_controller_of_v1_rules_hold_on_v2,
            without_any_controller_devices_are_not_left_open,
        );
    };
}

rows! {
    without_rules_other_devices_are_closed: LOOP_CONTROL, "null" => "m";
    without_rules_default_devices_are_open: NULL, "null" => "mrw";
    rule_for_all_closes: LOOP_CONTROL, r#"[{"allow": false, "access": "rwm"}]"# => "m";
    rule_for_all_leaves_the_default_devices_open: NULL,
        r#"[{"allow": false, "access": "rwm"}]"# => "mrw";
    default_device_cannot_be_closed: NULL,
        r#"[{"allow": false, "type": "c", "major": 1, "minor": 3, "access": "rwm"}]"# => "mrw";
    rule_for_all_opens: LOOP_CONTROL, r#"[{"allow": true, "access": "rwm"}]"# => "mrw";
    rule_of_type_a_opens_block_devices: LOOP,
        r#"[{"allow": true, "type": "a", "access": "rwm"}]"# => "mrw";
    rule_for_one_device_opens_it: LOOP_CONTROL, r#"[{"allow": false, "access": "rwm"},
        {"allow": true, "type": "c", "major": 10, "minor": 237, "access": "rwm"}]"# => "mrw";
    rule_for_one_device_opens_no_other: LOOP_CONTROL, r#"[{"allow": false, "access": "rwm"},
        {"allow": true, "type": "c", "major": 10, "minor": 236, "access": "rwm"}]"# => "m";
    rule_for_a_major_number_opens: LOOP_CONTROL, r#"[{"allow": false, "access": "rwm"},
        {"allow": true, "type": "c", "major": 10, "access": "rw"}]"# => "mrw";
    rule_for_a_minor_number_opens: LOOP_CONTROL, r#"[{"allow": false, "access": "rwm"},
        {"allow": true, "type": "c", "minor": 237, "access": "rw"}]"# => "mrw";
    minus_one_stands_for_all_numbers: LOOP_CONTROL, r#"[{"allow": false, "access": "rwm"},
        {"allow": true, "type": "c", "major": 10, "minor": -1, "access": "rw"}]"# => "mrw";
    rule_for_block_devices_opens_no_character_device: LOOP_CONTROL,
        r#"[{"allow": false, "access": "rwm"},
        {"allow": true, "type": "b", "major": 10, "minor": 237, "access": "rwm"}]"# => "m";
    rule_for_a_block_device_opens_it: LOOP, r#"[{"allow": false, "access": "rwm"},
        {"allow": true, "type": "b", "major": 7, "access": "r"}]"# => "mr";
    device_can_be_for_reading_only: LOOP_CONTROL, r#"[{"allow": false, "access": "rwm"},
        {"allow": true, "type": "c", "major": 10, "minor": 237, "access": "r"}]"# => "mr";
    device_can_be_for_writing_only: LOOP_CONTROL, r#"[{"allow": false, "access": "rwm"},
        {"allow": true, "type": "c", "major": 10, "minor": 237, "access": "w"}]"# => "mw";
    later_rule_takes_away_what_an_earlier_gave: LOOP_CONTROL,
        r#"[{"allow": false, "access": "rwm"},
        {"allow": true, "type": "c", "major": 10, "minor": 237, "access": "rwm"},
        {"allow": false, "type": "c", "major": 10, "minor": 237, "access": "w"}]"# => "mr";
    later_rule_for_all_takes_everything_away: LOOP_CONTROL,
        r#"[{"allow": true, "type": "c", "major": 10, "minor": 237, "access": "rwm"},
        {"allow": false, "access": "rwm"}]"# => "m";
    one_device_can_be_taken_from_all: LOOP_CONTROL, r#"[{"allow": true, "access": "rwm"},
        {"allow": false, "type": "c", "major": 10, "minor": 237, "access": "rw"}]"# => "m";
    one_device_taken_from_all_leaves_the_others: LOOP, r#"[{"allow": true, "access": "rwm"},
        {"allow": false, "type": "c", "major": 10, "minor": 237, "access": "rw"}]"# => "mrw";
}

fn bundle<'c>(ctx: &'c Context, rules: &str) -> Outcome<Bundle<'c>> {
    let mut bundle = Bundle::new(ctx)?.mount("/d", "tmpfs", "d", &[]);
    for set in ["bounding", "permitted", "effective"] {
        bundle = bundle.set(&format!("/process/capabilities/{set}"), json!(["CAP_MKNOD"]));
    }
    let rules: Value = serde_json::from_str(rules)?;
    Ok(match rules {
        Value::Null => bundle.remove("/linux/resources", "devices"),
        rules => bundle.set("/linux/resources/devices", rules),
    })
}

fn row(ctx: &Context, device: &[&str; 3], rules: &str, allowed: &str) -> Outcome {
    let [major, minor, kind] = device;
    let line = bundle(ctx, rules)?.report(&["mknod", "/d/node", major, minor, kind])?;
    check_eq!(letters(&line), allowed, "allowed in {line}");
    Ok(())
}

/// What was not refused. Without its driver a device cannot be opened either, but for another
/// reason than EPERM.
fn letters(line: &Value) -> String {
    let places = [("m", "made"), ("r", "opened"), ("w", "written")];
    places.iter().filter(|(_, place)| line[place] != libc::EPERM).map(|(one, _)| *one).collect()
}

fn rules_hold_for_executed_processes(ctx: &Context) -> Outcome {
    let rules = r#"[{"allow": false, "access": "rwm"},
        {"allow": true, "type": "c", "major": 10, "minor": 237, "access": "r"}]"#;
    let c = bundle(ctx, rules)?.payload(&["sleep", "60000"]).container()?;
    c.up()?;
    let line = c.exec_report(&[], &["mknod", "/d/node", "10", "237"])?;
    check_eq!(letters(&line), "mr", "allowed in {line}");
    Ok(())
}

/// `run` where some hierarchies are unmounted.
fn run_without(ctx: &Context, hierarchies: &[&str]) -> Outcome<Done> {
    let here = |name: &&str| Path::new("/sys/fs/cgroup").join(name).join("cgroup.procs").exists();
    if ctx.layout != Layout::Host || !["devices", "unified"].iter().all(here) {
        return Err(Stop::skip("not a hybrid host"));
    }
    let rules = r#"[{"allow": false, "access": "rwm"}]"#;
    let c = bundle(ctx, rules)?.payload(&["mknod", "/d/node", "10", "237"]).container()?;
    let unmount: String =
        hierarchies.iter().map(|name| format!("umount /sys/fs/cgroup/{name} && ")).collect();
    let script = format!(
        "mount --make-rprivate / && {unmount} \
         exec \"$RUNTIME\" --root \"$ROOT\" run --bundle \"$BUNDLE\" \"$ID\""
    );
    Run::new("/usr/bin/unshare".as_ref(), &["--mount", "sh", "-c", &script], &ctx.dir)?
        .env("RUNTIME", &ctx.runtime)
        .env("ROOT", ctx.root())
        .env("BUNDLE", &c.dir)
        .env("ID", &c.id)
        .done()
}

fn without_the_controller_of_v1_rules_hold_on_v2(ctx: &Context) -> Outcome {
    let lines = parse_lines(&run_without(ctx, &["devices"])?.ok()?.stdout)?;
    let line = lines.first().cloned().unwrap_or_default();
    check_eq!(letters(&line), "m", "allowed in {line}");
    Ok(())
}

fn without_any_controller_devices_are_not_left_open(ctx: &Context) -> Outcome {
    let done = run_without(ctx, &["devices", "unified"])?;
    done.exits(1)?.says(&["devices"]).map(drop)
}
