//! A failure for programs: one JSON object (`--error-format json`).

use std::path::Path;

use nix::errno::Errno;
use runtime_core::Error;
use serde::Serialize;

use crate::failure::Failure;

/// Every member is always there; `null` is what is not known or does not apply.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    /// What kind of failure it was, a name of `runtime_core::ErrorKind`.
    kind: String,
    /// The line that people get.
    message: &'a str,
    /// What was being attempted, outermost first.
    step: Option<String>,
    /// The JSON pointer into config.json of the cause.
    pointer: Option<&'a str>,
    syscall: Option<&'a str>,
    errno: Option<i32>,
    /// Its name in errno(3).
    errno_name: Option<String>,
    path: Option<&'a Path>,
    /// What the user can do about it.
    hint: Option<&'a str>,
    exit_code: u8,
}

/// `failure` on one line.
pub(crate) fn json(failure: &Failure) -> String {
    let cause = failure.cause.as_ref();
    let errno = cause.and_then(Error::errno);
    // What the library was not asked for is an argument's fault.
    let kind = cause.map_or("InvalidArgument".to_owned(), |error| format!("{:?}", error.kind()));
    let report = Report {
        kind,
        message: &failure.message,
        step: cause.and_then(Error::doing),
        pointer: cause.and_then(Error::pointer),
        syscall: cause.and_then(Error::syscall),
        errno,
        errno_name: errno.and_then(name),
        path: cause.and_then(Error::file),
        hint: cause.and_then(Error::remedy),
        exit_code: failure.code,
    };
    // Only a path that is not UTF-8 has no JSON form.
    let text = serde_json::to_string(&report)
        .or_else(|_| serde_json::to_string(&Report { path: None, ..report }));
    text.map(|text| text + "\n").unwrap_or_default()
}

fn name(errno: i32) -> Option<String> {
    let known = Errno::from_raw(errno);
    (known != Errno::UnknownErrno).then(|| format!("{known:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_an_error_has_its_member() {
        let error = Error::os("mount", libc::EPERM)
            .path("/dev/pts")
            .at("/mounts/3")
            .context("mounting devpts")
            .hint("ask root");
        let failure = Failure::from(error).context("tare create failed").code(255);
        let object: serde_json::Value = serde_json::from_str(&json(&failure)).unwrap();
        let message = "tare create failed: mounting devpts: mount /dev/pts: operation not \
                       permitted (config.json /mounts/3); ask root";
        let expected = serde_json::json!({
            "kind": "System", "message": message, "step": "mounting devpts",
            "pointer": "/mounts/3", "syscall": "mount", "errno": 1, "errnoName": "EPERM",
            "path": "/dev/pts", "hint": "ask root", "exitCode": 255,
        });
        assert_eq!(object, expected);
    }

    #[test]
    fn wrong_arguments_have_all_members_too_and_stay_on_one_line() {
        let text = json(&Failure::new("a\n\"b\""));
        assert_eq!(text.matches('\n').count(), 1);
        let object: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(object.as_object().unwrap().len(), 10);
        assert_eq!((&object["kind"], &object["errno"]), (&"InvalidArgument".into(), &().into()));
    }

    #[test]
    fn a_path_that_json_cannot_hold_is_left_out() {
        use std::os::unix::ffi::OsStrExt;
        let path = std::ffi::OsStr::from_bytes(b"/\xff");
        let failure = Failure::from(Error::os("open", libc::ENOENT).path(path));
        let object: serde_json::Value = serde_json::from_str(&json(&failure)).unwrap();
        assert_eq!((&object["path"], &object["errnoName"]), (&().into(), &"ENOENT".into()));
    }
}
