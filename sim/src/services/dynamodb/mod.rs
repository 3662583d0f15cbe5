//! DynamoDB: tables with string keys, conditional writes, queries by key, transactions.

mod attribute;
mod expression;
mod items;
mod keys;
mod store;
mod table;
mod tables;
mod transactions;

pub(crate) use store::{State, TableSeed, plant};
pub(crate) use table::service;
