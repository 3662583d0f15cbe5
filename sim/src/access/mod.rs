//! Who may do what: signatures, credentials, policies.

mod authenticate;
mod authorize;
mod policy;
mod signature;
mod target;

pub(crate) use authenticate::{AccessKeySeed, AccessKeys, Refused, Rigour, Verify, authenticate, late, plant};
pub(crate) use authorize::authorize;
pub(crate) use policy::{Malformed, Policy, Verdict};
pub(crate) use signature::Signature;
pub(crate) use target::{Further, Target};
