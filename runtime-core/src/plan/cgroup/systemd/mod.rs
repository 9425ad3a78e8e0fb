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
mod v1;
mod value;

use serde::{Deserialize, Serialize};

pub use properties::{Property, Unit, limits};
pub use value::Value;

pub(super) use name::UnitName;
pub(super) use properties::{Parts, unit};

/// Which manager a unit belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Manager {
    /// The host's.
    System,
    /// That of the calling user.
    User,
}

/// The unit whose cgroup a container is in, as the state record keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitRecord {
    /// Its name, with its type.
    pub name: String,
    /// Whose it is.
    pub manager: Manager,
}
