//! Expressions: what stands between `${` and `}`, and in `when`.
//!
//! The main type is [`Expression`]. The grammar is that of CEL, read by the crate `cel`; its trees are checked, typed and
//! evaluated here, over JSON values: bounded in time and memory, in a fixed order, and with values that are not known yet.

#[cfg(test)]
mod bounds;
mod evaluate;
mod functions;
mod lexer;
mod parse;
mod typing;

pub(crate) use evaluate::{Fault, Found, Lookup};
pub(crate) use functions::to_text;
pub(crate) use lexer::end_of_expression;
pub(crate) use parse::{Expression, ExpressionProblem, Reference, Root, TOO_MANY};
pub(crate) use typing::{Kind, Misfit};
