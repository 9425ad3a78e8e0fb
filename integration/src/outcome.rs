//! How a test ends.

use std::fmt;

/// Why a test did not pass.
#[derive(Debug)]
pub enum Stop {
    /// What was expected and what came.
    Fail(String),
    /// What this machine or mode lacks.
    Skip(String),
}

/// What a test returns.
pub type Outcome<T = ()> = Result<T, Stop>;

impl Stop {
    /// A failure.
    pub fn fail(message: impl fmt::Display) -> Self {
        Self::Fail(message.to_string())
    }

    /// A skip, with what is missing.
    pub fn skip(reason: impl fmt::Display) -> Self {
        Self::Skip(reason.to_string())
    }
}

impl<E: std::error::Error> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Fail(error.to_string())
    }
}

/// Fails the test with a message when a condition does not hold.
#[macro_export]
macro_rules! check {
    ($cond:expr, $($message:tt)+) => {
        if !$cond {
            return Err($crate::outcome::Stop::Fail(format!($($message)+)));
        }
    };
}

/// Fails the test when two values differ; the last argument says what they are.
#[macro_export]
macro_rules! check_eq {
    ($got:expr, $want:expr, $($what:tt)+) => {
        match (&$got, &$want) {
            (got, want) => {
                if got != want {
                    return Err($crate::outcome::Stop::Fail(
                        format!("{}: got {got:?}, expected {want:?}", format!($($what)+)),
                    ));
                }
            }
        }
    };
}
