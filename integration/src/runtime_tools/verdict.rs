//! What becomes of a program's run.

use std::fmt;

use super::tap::Tap;

/// How a program ended with a runtime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Pass,
    Skip,
    /// How much of it failed, and the first words about it.
    Fail {
        part: String,
        words: String,
    },
}

impl Verdict {
    /// The verdict on what a program printed and its exit code, which is none at the deadline.
    pub fn of(tap: &Tap, code: Option<i32>, stderr: &str) -> Self {
        let fail = |part: String, words: Option<&str>| Self::Fail {
            part,
            words: words.unwrap_or_else(|| last_line(stderr)).to_owned(),
        };
        let first = tap.first_failure.as_deref();
        if code.is_none() {
            return fail("not done in time".to_owned(), first);
        }
        if tap.failed > 0 {
            return fail(format!("{} of {}", tap.failed, tap.points()), first);
        }
        if code != Some(0) {
            return fail(format!("exit code {}", code.unwrap_or(-1)), None);
        }
        if let Some(error) = &tap.error {
            return fail("an error".to_owned(), Some(error));
        }
        match tap.planned {
            // The programs that count in advance say 0 and then their points.
            Some(planned) if planned != 0 && planned != tap.points() => {
                fail(format!("{} of {planned} points came", tap.points()), None)
            }
            _ if tap.skipped > 0 && tap.passed == 0 => Self::Skip,
            _ => Self::Pass,
        }
    }

    /// Whether nothing failed and something was tried.
    pub fn passed(&self) -> bool {
        *self == Self::Pass
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pass => f.write_str("pass"),
            Self::Skip => f.write_str("skip"),
            Self::Fail { part, .. } => write!(f, "fails: {part}"),
        }
    }
}

fn last_line(text: &str) -> &str {
    text.lines().rev().find(|l| !l.trim().is_empty() && !l.starts_with("exit status")).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(text: &str, code: i32) -> String {
        Verdict::of(&Tap::parse(text), Some(code), "").to_string()
    }

    #[test]
    fn a_program_passes_only_as_a_whole() {
        assert_eq!(verdict("ok 1 - a\n1..1\n", 0), "pass");
        assert_eq!(verdict("1..0\n", 0), "pass");
        assert_eq!(verdict("ok 1 - a\nnot ok 2 - b\n1..2\n", 0), "fails: 1 of 2");
        assert_eq!(verdict("ok 1 - a\n1..1\n", 1), "fails: exit code 1");
        assert_eq!(verdict("ok 1 - a\n1..2\n", 0), "fails: 1 of 2 points came");
        assert_eq!(verdict("ok 1 # SKIP no such thing\n1..1\n", 0), "skip");
        assert_eq!(verdict("  \"error\": \"x\"\n1..0\n", 0), "fails: an error");
        assert_eq!(Verdict::of(&Tap::default(), None, "").to_string(), "fails: not done in time");
    }
}
