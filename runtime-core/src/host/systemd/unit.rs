//! Units of containers: started, changed, stopped.

use super::bus::{Bus, Refusal};
use crate::error::{Error, ErrorKind, Result};
use crate::plan::cgroup::systemd::{Manager, Property, Unit, UnitRecord, Value};
use std::os::unix::fs::MetadataExt;

/// A unit that systemd was asked to start, and has not answered for yet.
#[derive(Debug)]
pub(crate) struct Starting {
    bus: Bus,
    unit: Unit,
    pid: u32,
    serial: u32,
}

/// What systemd is asked to do to a unit that is already queued for something else.
const MODE: &str = "replace";

impl Starting {
    /// Asks `manager` to start the transient unit with process `pid` in it. The answer is
    /// left to [`Starting::finish`], so that other work goes on meanwhile.
    pub(crate) fn ask(manager: Manager, unit: &Unit, pid: i32) -> Result<Self> {
        let mut bus = Bus::connect(manager)?;
        let pid = pid.unsigned_abs();
        let serial = bus.ask("StartTransientUnit", &start_arguments(unit, pid, true))?;
        Ok(Self { bus, unit: unit.clone(), pid, serial })
    }

    /// Waits until the unit is there and the process is in its cgroup.
    pub(crate) fn finish(mut self) -> Result<()> {
        let job = self.job()?;
        match self.bus.job_result(&job) {
            Ok(result) if result == "done" => Ok(()),
            Ok(result) => {
                let error = Error::new(ErrorKind::System, format!("systemd says: {result}"));
                Err(self.give_up(error))
            }
            Err(error) => Err(self.give_up(error)),
        }
    }

    /// A unit that failed earlier and was left so is reset, once. A property that this
    /// systemd is too old for is left out where the limit is set without it as well.
    fn job(&mut self) -> Result<String> {
        let mut answer = self.bus.answer(self.serial)?;
        if let Err(refusal) = &answer
            && refusal.is("UnitExists")
        {
            reset_failed(&mut self.bus, &self.unit.name)?;
            answer = self.again(true)?;
        }
        if let Err(refusal) = &answer
            && is_unknown_property(refusal)
            && self.unit.properties.iter().any(|property| property.optional)
        {
            answer = self.again(false)?;
        }
        let strings = answer.map_err(|refusal| self.cannot_start(refusal.into_error()))?;
        Ok(strings.into_iter().next().unwrap_or_default())
    }

    fn again(&mut self, optional: bool) -> Result<std::result::Result<Vec<String>, Refusal>> {
        let arguments = start_arguments(&self.unit, self.pid, optional);
        let serial = self.bus.ask("StartTransientUnit", &arguments)?;
        self.bus.answer(serial)
    }

    /// The unit is ours, and must not stay.
    fn give_up(&mut self, error: Error) -> Error {
        // The error that led here is the one to report.
        let _ = stop_over(&mut self.bus, &self.unit.name);
        self.cannot_start(error)
    }

    fn cannot_start(&self, error: Error) -> Error {
        error.context(format!("unable to start unit {:?}", self.unit.name)).at("/linux/cgroupsPath")
    }
}

/// Changes properties of a unit that runs; until the next boot, which it does not outlive.
pub(crate) fn set_properties(unit: &UnitRecord, properties: &[Property]) -> Result<()> {
    if properties.is_empty() {
        return Ok(());
    }
    let mut bus = Bus::connect(unit.manager)?;
    for optional in [true, false] {
        let list = encode(properties.iter().filter(|property| optional || !property.optional));
        let arguments = [Value::text(unit.name.as_str()), Value::Bool(true), list];
        let serial = bus.ask("SetUnitProperties", &arguments)?;
        match bus.answer(serial)? {
            Ok(_) => return Ok(()),
            Err(refusal) if optional && is_unknown_property(&refusal) => {}
            Err(refusal) => {
                let doing = format!("unable to set properties of unit {:?}", unit.name);
                return Err(refusal.into_error().context(doing));
            }
        }
    }
    Ok(())
}

/// Stops a unit; one that is gone already is no error. What it had failed with is
/// forgotten, so that its name is free again.
pub(crate) fn stop(unit: &UnitRecord) -> Result<()> {
    let mut bus = Bus::connect(unit.manager)?;
    stop_over(&mut bus, &unit.name)
}

/// Both are asked for at once: most units are gone by now.
fn stop_over(bus: &mut Bus, unit: &str) -> Result<()> {
    let stop = bus.ask("StopUnit", &[Value::text(unit), Value::text(MODE)])?;
    let reset = bus.ask("ResetFailedUnit", &[Value::text(unit)])?;
    let stopped = bus.answer(stop)?;
    // A unit that is not loaded any more has nothing to reset.
    let _ = bus.answer(reset)?;
    match stopped {
        Ok(strings) => {
            let job = strings.into_iter().next().unwrap_or_default();
            // Whatever came of it: what is left in the cgroup is removed next.
            bus.job_result(&job).map(drop).map_err(|error| {
                error.context(format!("waiting for systemd to stop unit {unit:?}"))
            })
        }
        Err(refusal) if refusal.is("NoSuchUnit") => Ok(()),
        Err(refusal) => Err(refusal.into_error().context(format!("unable to stop unit {unit:?}"))),
    }
}

/// The cgroup that the manager's units are in, below the top.
pub(crate) fn manager_cgroup(manager: Manager) -> Result<String> {
    Bus::connect(manager)?.property("ControlGroup")
}

/// Whether the system's manager is that of this user namespace's root: systemd may run inside
/// of one, or this is one of an ordinary user's on a host with systemd.
pub(crate) fn manager_is_roots() -> bool {
    std::fs::metadata("/run/systemd/system").is_ok_and(|directory| directory.uid() == 0)
}

fn reset_failed(bus: &mut Bus, unit: &str) -> Result<()> {
    let serial = bus.ask("ResetFailedUnit", &[Value::text(unit)])?;
    // One that is not loaded any more has nothing to reset.
    bus.answer(serial).map(drop)
}

fn is_unknown_property(refusal: &Refusal) -> bool {
    refusal.name == "org.freedesktop.DBus.Error.PropertyReadOnly"
        || refusal.text.contains("unknown property")
}

fn start_arguments(unit: &Unit, pid: u32, optional: bool) -> [Value; 4] {
    let pids = Value::Array("u".to_owned(), vec![Value::U32(pid)]);
    let pids = Property { name: "PIDs".to_owned(), value: pids, optional: false };
    let wanted = unit.properties.iter().filter(|property| optional || !property.optional);
    let properties = encode(wanted.chain([&pids]));
    let no_other_units = Value::Array("(sa(sv))".to_owned(), Vec::new());
    [Value::text(unit.name.as_str()), Value::text(MODE), properties, no_other_units]
}

fn encode<'a>(properties: impl Iterator<Item = &'a Property>) -> Value {
    let pairs = properties.map(|property| {
        let value = Value::Variant(Box::new(property.value.clone()));
        Value::Struct(vec![Value::text(property.name.as_str()), value])
    });
    Value::Array("(sv)".to_owned(), pairs.collect())
}
