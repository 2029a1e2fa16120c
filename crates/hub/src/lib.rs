//! Placeholder.

pub mod access;
pub mod cors;
pub mod origin;
