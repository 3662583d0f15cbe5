//! AWS: one module a service, named as its WIT file, and the one way through which every call goes.

pub mod clients;
pub mod error;
pub mod operation;
pub mod request_id;

pub mod sts;
