//! The reference e-government payment gateway, and the clients of it: SOAP 1.1 over mutual TLS, every message signed.
//!
//! Modelled on the instruction of order 491 of 4 December 2009, not certified for anything. It makes payment codes, learns by
//! the bank's signed notice that they are paid, lets each be used once, and tells auditors what happened. `docs/gateway.md`
//! describes it for those who attach.
//!
//! | Module | What |
//! |---|---|
//! | `words` | the messages: one struct per element of `wsdl/tolem.xsd` |
//! | `rules` | who may do what, states of a code, reports; pure |
//! | `store` | rows in SQLite, the signed record of everything that was taken |
//! | `desk` | one message in, one signed answer out |
//! | `server`, `client`, `channel` | HTTP over mutual TLS, from both sides |
//! | `party` | the folder of a participant: keys, certificates, addresses |
//! | `audit` | the record read again |
//! | `config` | the gateway's configuration |

pub mod audit;
pub mod channel;
pub mod client;
pub mod config;
pub mod desk;
pub mod guesses;
pub mod party;
pub mod rules;
pub mod server;
pub mod setup;
pub mod store;
pub mod words;
mod xml;

pub use client::{CallError, GatewayClient};

/// Namespace of the messages.
pub const NS: &str = "urn:tolem:gateway:1";
/// The descriptions for integrators, as they are served: path and text.
pub const DESCRIPTIONS: [(&str, &str); 3] = [
    ("gateway.wsdl", include_str!("../../wsdl/gateway.wsdl")),
    ("registry.wsdl", include_str!("../../wsdl/registry.wsdl")),
    ("tolem.xsd", include_str!("../../wsdl/tolem.xsd")),
];
