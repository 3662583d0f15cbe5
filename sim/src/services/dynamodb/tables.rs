//! Making and describing tables.
//!
//! The main function is [`create_table`].

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::state::{Table, find, invalid, new};
use crate::clock::Timestamp;
use crate::ctx::Ctx;
use crate::error::AwsError;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateTable {
    table_name: String,
    key_schema: Vec<KeyElement>,
    attribute_definitions: Vec<AttributeDefinition>,
    billing_mode: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct KeyElement {
    attribute_name: String,
    key_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AttributeDefinition {
    attribute_name: String,
    attribute_type: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Created {
    table_description: TableDescription,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribedTable {
    table: TableDescription,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct TableDescription {
    table_name: String,
    table_arn: String,
    table_status: &'static str,
    creation_date_time: Timestamp,
    item_count: usize,
    key_schema: Vec<Value>,
    attribute_definitions: Vec<Value>,
    billing_mode_summary: Value,
}

pub(super) fn create_table(ctx: &mut Ctx<'_>, input: CreateTable) -> Result<Created, AwsError> {
    match input.billing_mode.as_deref() {
        Some("PAY_PER_REQUEST") => {}
        Some("PROVISIONED") | None => {
            return Err(invalid(
                "One or more parameter values were invalid: ReadCapacityUnits and WriteCapacityUnits must both be specified when \
                 BillingMode is PROVISIONED (the simulator's tables are PAY_PER_REQUEST)",
            ));
        }
        Some(other) => return Err(invalid(format!("{other} is no BillingMode"))),
    }
    let of =
        |kind: &str| input.key_schema.iter().find(|key| key.key_type == kind).map(|key| key.attribute_name.as_str());
    let partition = of("HASH").ok_or_else(|| {
        invalid("No Hash Key specified in schema. All Dynamo DB tables must have exactly one hash key")
    })?;
    let sort = of("RANGE");
    for key in std::iter::once(partition).chain(sort) {
        let definition = input.attribute_definitions.iter().find(|definition| definition.attribute_name == key);
        match definition.map(|definition| definition.attribute_type.as_str()) {
            Some("S") => {}
            Some(_) => return Err(invalid("the simulator's tables have keys of the type S only")),
            None => {
                return Err(invalid(format!(
                    "One or more parameter values were invalid: Some index key attributes are not defined in AttributeDefinitions. Keys: [{key}]"
                )));
            }
        }
    }
    if ctx.place().dynamodb.tables.contains_key(&input.table_name) {
        return Err(AwsError::new("ResourceInUseException", format!("Table already exists: {}", input.table_name)));
    }
    let table = new(ctx, &input.table_name, partition, sort);
    ctx.touch(table.arn.clone());
    let table_description = description(&table);
    ctx.place().dynamodb.tables.insert(input.table_name, table);
    Ok(Created { table_description })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeTable {
    table_name: String,
}

pub(super) fn describe_table(ctx: &mut Ctx<'_>, input: DescribeTable) -> Result<DescribedTable, AwsError> {
    let missing = format!("Requested resource not found: Table: {} not found", input.table_name);
    let table = find(ctx, &input.table_name).map_err(|error| AwsError { message: missing, ..error })?;
    Ok(DescribedTable { table: description(table) })
}

/// A page of names.
const NAMES: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListTables {
    exclusive_start_table_name: Option<String>,
    limit: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TableNames {
    table_names: Vec<String>,
    last_evaluated_table_name: Option<String>,
}

pub(super) fn list_tables(ctx: &mut Ctx<'_>, input: ListTables) -> Result<TableNames, AwsError> {
    let size = input.limit.unwrap_or(NAMES).min(ctx.world.page_size);
    let names = ctx.place().dynamodb.tables.keys();
    let after = |name: &&String| input.exclusive_start_table_name.as_ref().is_none_or(|start| *name > start);
    let mut table_names: Vec<String> = names.filter(after).take(size.saturating_add(1)).cloned().collect();
    let more = table_names.len() > size;
    table_names.truncate(size);
    let last_evaluated_table_name = table_names.last().filter(|_| more).cloned();
    Ok(TableNames { table_names, last_evaluated_table_name })
}

fn description(table: &Table) -> TableDescription {
    let keys = || std::iter::once(&table.partition_key).chain(&table.sort_key);
    let kinds = ["HASH", "RANGE"];
    TableDescription {
        table_name: table.name.clone(),
        table_arn: table.arn.clone(),
        table_status: "ACTIVE",
        creation_date_time: table.created,
        item_count: table.items.len(),
        key_schema: keys().zip(kinds).map(|(name, kind)| json!({ "AttributeName": name, "KeyType": kind })).collect(),
        billing_mode_summary: json!({ "BillingMode": "PAY_PER_REQUEST" }),
        attribute_definitions: keys().map(|name| json!({ "AttributeName": name, "AttributeType": "S" })).collect(),
    }
}
