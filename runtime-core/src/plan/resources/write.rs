//! One write to one file of a cgroup.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;

/// Writes `value` to `file` in the container's cgroup of `controller`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Write {
    /// The controller the file belongs to, as the kernel names it.
    pub controller: Cow<'static, str>,
    /// The file's name in the cgroup directory.
    pub file: Cow<'static, str>,
    /// Exactly the bytes to write.
    pub value: String,
    /// The JSON pointer into config.json of what asks for it.
    pub pointer: String,
    /// What to do when the kernel has no such file.
    pub missing: Missing,
    /// Files that limit one another (period and quota): when the kernel says
    /// EINVAL, write once more after the others.
    pub retry_last: bool,
    /// What has to hold before anything is written
    /// (`memory.checkBeforeUpdate`).
    pub not_below: Option<NotBelow>,
}

/// A limit that the usage must be below.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotBelow {
    /// The file that says what is used.
    pub usage: &'static str,
    /// The new limit.
    pub limit: u64,
    /// The new limit of memory and swap together.
    pub with_swap: Option<u64>,
}

/// What to do when the kernel has no such file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Missing {
    /// Fail: the limit could not be set.
    Fail,
    /// Go on: without the file the setting holds anyway.
    Skip,
    /// Write to another file, which takes another scale.
    Instead {
        /// The other file's name.
        file: Cow<'static, str>,
        /// The bytes for it.
        value: String,
    },
}

impl Write {
    /// A write that must succeed; `field` is relative to `linux.resources`.
    pub(super) fn new(
        controller: &'static str,
        file: impl Into<Cow<'static, str>>,
        value: impl Into<String>,
        field: &str,
    ) -> Self {
        Self {
            controller: controller.into(),
            file: file.into(),
            value: value.into(),
            pointer: super::pointer(field),
            missing: Missing::Fail,
            retry_last: false,
            not_below: None,
        }
    }

    pub(super) fn or_skip(mut self) -> Self {
        self.missing = Missing::Skip;
        self
    }

    pub(super) fn or_instead(
        mut self,
        file: impl Into<Cow<'static, str>>,
        value: impl Into<String>,
    ) -> Self {
        self.missing = Missing::Instead { file: file.into(), value: value.into() };
        self
    }

    pub(super) fn or_skip_if(self, condition: bool) -> Self {
        if condition { self.or_skip() } else { self }
    }

    pub(super) fn retry_last_if(mut self, condition: bool) -> Self {
        self.retry_last = condition;
        self
    }
}

impl fmt::Display for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}", self.file, self.value)
    }
}
