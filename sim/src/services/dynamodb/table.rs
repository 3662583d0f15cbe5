//! The operations that DynamoDB offers.
//!
//! The main function is [`service`].

use super::items::{delete_item, get_item, put_item, query};
use super::tables::{create_table, describe_table};
use super::transactions::transact_write_items;
use crate::service::Service;

/// What IAM checks operations on a table against.
const TABLE: &str = "table/{TableName}";

pub(crate) fn service() -> Service {
    Service::new("dynamodb", "DynamoDB_20120810")
        .write("CreateTable", create_table)
        .on(TABLE)
        .read("DescribeTable", describe_table)
        .on(TABLE)
        .read("GetItem", get_item)
        .on(TABLE)
        .write("PutItem", put_item)
        .on(TABLE)
        .write("DeleteItem", delete_item)
        .on(TABLE)
        .read("Query", query)
        .on(TABLE)
        .write("TransactWriteItems", transact_write_items)
}
