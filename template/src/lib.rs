//! CloudFormation templates: read, checked and evaluated, without AWS.
//!
//! The main type is [`Template`], which [`check()`] makes of a text or refuses with all that is wrong, each by line and column. The rules of
//! resource types, which of their properties replaces and which is required, are data: [`rules()`]. [`Evaluation`] computes a template's
//! functions over what a [`Known`] says.

mod check;
mod conform;
mod evaluate;
mod expand;
mod finding;
mod functions;
mod node;
mod parameter;
mod read;
mod references;
mod rules;
mod template;

pub use check::{check, check_tree, declared, parse};
pub use conform::conform;
pub use evaluate::{Evaluation, Known, LATER};
pub use expand::expand;
pub use finding::{Finding, Position};
pub use node::{Content, Entry, Node};
pub use parameter::{Parameter, ParameterType, Refusal};
pub use read::{LARGEST, read};
pub use references::{Reference, Target, references};
pub use rules::{Rules, moves, rules, supported};
pub use template::{Assertion, Output, Resource, Template, TemplateRule};

#[cfg(test)]
mod tests;
