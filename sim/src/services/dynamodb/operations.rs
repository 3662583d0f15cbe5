//! The operations that DynamoDB offers.
//!
//! The main function is [`service`].

use super::items::{delete_item, get_item, put_item, query};
use super::tables::{create_table, describe_table, list_tables};
use super::transactions::transact_write_items;
use crate::service::Service;
use crate::services::ServiceId;

/// What IAM checks operations on a table against.
const TABLE: &str = "table/{TableName}";

pub(crate) fn service(id: ServiceId) -> Service {
    Service::new(id, "DynamoDB_20120810")
        .write("CreateTable", create_table)
        .on(TABLE)
        .read("DescribeTable", describe_table)
        .on(TABLE)
        .read("ListTables", list_tables)
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
