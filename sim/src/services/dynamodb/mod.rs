//! DynamoDB: tables with string keys, conditional writes, queries by key, transactions.

mod attribute;
mod expression;
mod items;
mod keys;
mod operations;
mod seeds;
mod state;
mod tables;
mod transactions;

pub(crate) use operations::service;
pub(crate) use seeds::{TableSeed, plant};
pub(crate) use state::{State, forget, has, make};
