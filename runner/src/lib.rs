//! The host of kiln: it runs pipelines whose stages are sandboxed WebAssembly components.
//!
//! The way of the data, which is also the order in which to read the modules:
//!
//! - [`pipeline`]: TOML text becomes a checked [`pipeline::Pipeline`]; every problem of the file is reported at once.
//! - [`plugin`]: a component is found, compiled, described, and made ready to run.
//! - [`run`]: the stages are executed in the order of their dependencies.
//! - [`call`]: every AWS call of every stage goes through the one function here: authorise, journal, send, journal, answer.
//!   [`policy`], [`journal`] and [`secrets`] are what it asks on the way; [`aws`] knows what is sent.
//! - [`host`]: what a guest sees; [`contract`]: the bindings of `wit/` that it sees it by.
//! - [`store`]: where runs are kept, and which of them may deploy: in a directory, or shared by several machines.
//! - [`rehearse`] runs a pipeline on a simulated account in virtual time; [`scenario`] says what happens there, and what is
//!   expected of it.
//! - [`doctor`]: what a machine has and lacks for a run.
//! - [`report`]: consumes the [`event`]s of a run and writes them for people and machines. Nothing else prints.

pub mod aws;
pub mod call;
pub mod cli;
pub mod clock;
pub mod contract;
pub mod diagnostic;
pub mod doctor;
pub mod event;
pub mod files;
pub mod harmless;
pub mod host;
pub mod journal;
mod json;
pub mod pipeline;
pub mod plugin;
pub mod policy;
pub mod rehearse;
pub mod report;
pub mod run;
pub mod scenario;
pub mod secrets;
mod steps;
pub mod store;
pub mod types;
mod words;
