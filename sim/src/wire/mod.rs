//! AWS's wire protocols: the one place where bytes become typed requests, and answers bytes.

pub(crate) mod cbor;
pub(crate) mod constraints;
pub(crate) mod http;
pub(crate) mod json;
pub(crate) mod members;
mod objects;
pub(crate) mod query;
pub(crate) mod rest;
pub(crate) mod value;
