//! regex-lite, for crates that ask for `regex` and use what both have.

pub use regex_lite::*;
