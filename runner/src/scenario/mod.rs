//! Scenarios: what happens to a pipeline in a simulated account, and what is expected of it.
//!
//! The main type is [`Scenario`], which [`load`] makes of a TOML file. The way of the data, which is also the order in which
//! to read:
//!
//! - `file`: the structs of the file and its JSON Schema; `load`: all that a file must satisfy, told at once.
//! - `outcomes`: the short forms (a build that fails, tasks that crash) as changes of the world; `world`: the changes merged
//!   into the base world, and who is to blame where they make no world.
//! - `expectation`: what is expected; `verdict`: what of it was not met by a rehearsal, and what happened instead.
//! - `try_out`: a scenario is rehearsed and judged; `abreast`: several side by side; `find`: the scenarios beside a pipeline.
//! - `schema`: what editors get of it, and of world files.
//! - `results`: what came of several, as text and JSON; `junit`: the same for CI services.

mod abreast;
mod expectation;
mod file;
mod find;
mod junit;
mod load;
mod outcomes;
mod results;
mod schema;
mod try_out;
mod verdict;
mod world;

#[cfg(test)]
mod tests;

pub use find::{default_directory, find};
pub use junit::{JunitError, junit};
pub use load::{Knowledge, Problems, Scenario, load};
pub use results::{Tally, Tested, json};
pub(crate) use results::{failure, headline, summary};
pub use schema::{editor_schema, world_schema};
pub use try_out::{Trial, TryError, try_all, try_out};
pub use verdict::{Unmet, judge};
pub use world::read as read_world;
