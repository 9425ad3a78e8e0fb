//! The state of a container as the spec, engines and hooks see it.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Where a container is in its life (runtime.md, State).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// `create` has not ended.
    Creating,
    /// Ready for `start`.
    Created,
    /// The user's program runs.
    Running,
    /// Frozen by `pause`.
    Paused,
    /// The program has ended.
    Stopped,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Creating => "creating",
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        })
    }
}

/// What `state` prints, in runc's order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// The version of the spec that the bundle is of.
    pub oci_version: String,
    /// The container's id.
    pub id: String,
    /// Its first process, as the host numbers it; 0 once it has ended.
    pub pid: i32,
    /// Where it is in its life.
    pub status: Status,
    /// The bundle's absolute path.
    pub bundle: PathBuf,
    /// The absolute path of its root filesystem.
    pub rootfs: PathBuf,
    /// When it was created: RFC 3339, UTC.
    pub created: String,
    /// As in the configuration.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// The name of the user who created it; the number where there is no name.
    pub owner: String,
}

/// The state that a hook reads: only what the spec lists.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HookState<'a> {
    oci_version: &'a str,
    id: &'a str,
    status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<i32>,
    bundle: &'a Path,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<BTreeMap<&'a String, &'a String>>,
}

/// The state for a hook that the host side runs; without a pid when it is 0.
pub(crate) fn with_pid(
    version: &str,
    id: &str,
    status: &str,
    pid: i32,
    bundle: &Path,
    annotations: &BTreeMap<String, String>,
) -> String {
    let annotations: BTreeMap<_, _> = annotations.iter().collect();
    let state = HookState {
        oci_version: version,
        id,
        status,
        pid: (pid != 0).then_some(pid),
        bundle,
        annotations: (!annotations.is_empty()).then_some(annotations),
    };
    serde_json::to_string(&state).unwrap_or_default()
}

/// The state for a hook that init runs, before and after the pid, which init
/// alone knows in the container's numbering.
pub(crate) fn around_pid(
    version: &str,
    id: &str,
    status: &str,
    bundle: &Path,
    annotations: Option<&HashMap<String, String>>,
) -> (String, String) {
    let annotations: Option<BTreeMap<_, _>> = annotations.map(|all| all.iter().collect());
    let annotations = annotations.filter(|all| !all.is_empty());
    let state =
        HookState { oci_version: version, id, status, pid: Some(PLACEHOLDER), bundle, annotations };
    let text = serde_json::to_string(&state).unwrap_or_default();
    let place = format!("\"pid\":{PLACEHOLDER}");
    match text.split_once(&place) {
        Some((head, tail)) => (format!("{head}\"pid\":"), tail.to_owned()),
        None => (text, String::new()),
    }
}

/// No pid is negative.
const PLACEHOLDER: i32 = -1;

/// The present as RFC 3339 in UTC with nanoseconds.
pub(crate) fn now() -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let (seconds, nanos) = (since.as_secs(), since.subsec_nanos());
    let (days, left) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (left / 3600, left / 60 % 60, left % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanos:09}Z")
}

/// The date of a day counted from 1970-01-01, by counting from March, so that
/// the leap day is a year's last.
fn civil(days: u64) -> (u64, u64, u64) {
    const DAYS_OF_400_YEARS: u64 = 146_097;
    const FROM_YEAR_0_TO_1970: u64 = 719_468;
    let days = days + FROM_YEAR_0_TO_1970;
    let era = days / DAYS_OF_400_YEARS;
    let day = days % DAYS_OF_400_YEARS;
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, date)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(11_016), (2000, 2, 29));
        assert_eq!(civil(20_778), (2026, 11, 21));
        assert_eq!(now().len(), "2026-01-01T00:00:00.000000000Z".len());
    }

    #[test]
    fn the_state_around_the_pid_becomes_whole_json() {
        let (head, tail) = around_pid("1.3.0", "a\"pid\":-1", "creating", Path::new("/b"), None);
        let whole: serde_json::Value = serde_json::from_str(&format!("{head}1{tail}")).unwrap();
        assert_eq!((&whole["pid"], &whole["status"]), (&1.into(), &"creating".into()));
    }
}
