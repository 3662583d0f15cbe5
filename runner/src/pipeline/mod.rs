//! TOML text becomes a checked pipeline; every problem of the file is reported at once.
//!
//! The main type is [`Pipeline`], which [`load`] makes. Everything here is pure: no clock, no network, no task. The way of
//! the data, which is also the order in which to read:
//!
//! - `text`: what is refused before parsing; `document`: the TOML tree with the place of every part.
//! - `file`: the structs of the file and its JSON Schema; `schema`: checks any value against any schema, which costs steps
//!   (`metered`), and `findings` says what is broken.
//!   `editor` is the schema as editors get it.
//! - `expression` and `template`: `${…}`; `config`: a stage's `with` and what it is worth.
//! - `attachments`: files beside the pipeline that configs name.
//! - `check`: all that a file must satisfy; `model`: what comes out.

mod attachments;
mod catalog;
mod check;
mod config;
mod document;
mod editor;
mod elsewhere;
mod expression;
mod file;
mod findings;
mod inspect;
mod metered;
mod model;
mod outcome;
mod pattern;
mod retry;
mod schema;
mod suggest;
mod template;

#[cfg(test)]
mod tests;

pub(crate) use attachments::LARGEST as LARGEST_FILE;
pub use catalog::{Catalog, CatalogError, Checked, ConfigProblem, FilePlace, PluginContract, PluginSource};
pub use check::Files;
pub(crate) use check::{Places, open, read_as};
pub use check::{Values, check, load};
pub use config::{Evaluated, EvaluationError, EvaluationPhase, SECRET_PREFIX, Scope, TooMuch};
pub(crate) use document::{Content, Document, Node};
pub use editor::{EditedPlugin, editor_schema};
pub(crate) use editor::{nullless, write_out};
pub(crate) use elsewhere::{Misnamed, Named, named};
pub(crate) use file::schema_of;
pub use file::{Jitter, OnFailure};
pub use kiln_span::{InvalidDuration, Span};
pub use model::{Environment, Pipeline, SecretReference, Stage, Unfit};
pub use pattern::SchemaOrigin;
pub use retry::Retry;
pub use schema::Costly;
pub(crate) use suggest::{did_you_mean, did_you_mean_in};
