//! The OCI runtime-spec lifecycle as a library.
//!
//! A [`Bundle`] is read and checked; everything is then decided into one
//! immutable [`Plan`]; the host side and a tiny init carry out its two halves.
//!
//! ```no_run
//! use runtime_core::{Bundle, CreateOptions, Runtime};
//! # fn main() -> runtime_core::Result<()> {
//! let runtime = Runtime::new("/run/example");
//! let bundle = Bundle::load("/bundles/hello")?;
//! let container = runtime.create("hello", &bundle, CreateOptions::default())?;
//! container.start()?;
//! container.delete(true)?;
//! # Ok(()) }
//! ```

#![warn(missing_docs)]

mod error;
pub mod seccomp;

pub use error::{Error, ErrorKind, Notice, Result, errno_text};
