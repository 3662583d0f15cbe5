//! The interfaces of `wit/` by the names under which components import them.
//!
//! The main table is [`INTERFACES`].

include!(concat!(env!("OUT_DIR"), "/interfaces.rs"));
