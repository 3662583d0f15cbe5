//! Whole pipelines, good and bad, against a fake catalog.

mod bad;
mod book;
mod fake;
mod good;
mod hostile;
mod schema;
