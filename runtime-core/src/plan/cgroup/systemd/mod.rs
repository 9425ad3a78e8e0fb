//! A container's cgroup as a transient unit of systemd: its name, its properties.
//!
//! systemd writes what it knows by its own words, and undoes at its next reload what
//! others wrote in their place; so each limit that has a property is set by it, and
//! written directly as well.

mod annotations;
mod devices;
mod name;
mod properties;
mod text;
mod value;

pub(super) use name::UnitName;
pub(super) use properties::{Parts, unit};
pub use properties::{Property, Unit, limits};
pub use value::Value;
