//! Test lab.
