//! Secrets: where they may be seen, and where never.
//!
//! The main type is [`redact::Redactor`], which every sink of text goes through.

pub mod redact;
