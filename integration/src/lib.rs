//! Tests of a runtime on a real kernel.
