//! The records.
#![no_std]
