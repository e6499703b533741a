//! The `.slint` files, compiled: components, globals and structs, and nothing that is written by hand.
//!
//! A crate of its own because the Slint compiler writes five megabytes of Rust, and building them takes longer than everything else
//! in the house together. It knows no other room, so a change in the core does not build it again.

/// Written by the Slint compiler.
mod generated {
    #![allow(
        clippy::all,
        clippy::todo,
        clippy::unwrap_used,
        missing_docs,
        reason = "written by the Slint compiler"
    )]
    slint::include_modules!();
}
pub use generated::*;
