//! Several writes that happen together or not at all.
//!
//! The main function is [`transact_write_items`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::items::{Change, Conditional, change};
use super::keys::{check_size, key_of, only_key};
use super::state::{Item, Table, find, invalid};
use crate::ctx::Ctx;
use crate::error::AwsError;
use crate::service::Empty;

/// DynamoDB knows a client request token for ten minutes.
const TOKEN_LASTS: Duration = Duration::from_secs(600);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TransactWriteItems {
    transact_items: Vec<TransactItem>,
    client_request_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TransactItem {
    put: Option<Put>,
    delete: Option<Keyed>,
    condition_check: Option<Keyed>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Put {
    table_name: String,
    item: Item,
    condition_expression: Option<String>,
    expression_attribute_names: Option<BTreeMap<String, String>>,
    expression_attribute_values: Option<BTreeMap<String, Value>>,
}

/// A part that names its item by the key.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Keyed {
    table_name: String,
    key: Item,
    condition_expression: Option<String>,
    expression_attribute_names: Option<BTreeMap<String, String>>,
    expression_attribute_values: Option<BTreeMap<String, Value>>,
}

/// A part that was read: which item of which table, and what is to be done to it.
struct PlannedWrite {
    table: String,
    key: (String, String),
    change: Option<Change>,
    holds: bool,
}

pub(super) fn transact_write_items(ctx: &mut Ctx<'_>, input: TransactWriteItems) -> Result<Empty, AwsError> {
    let token = input.client_request_token.as_deref();
    let mismatch = || {
        let message = "Same client token is used with different request parameters";
        AwsError::new("IdempotentParameterMismatchException", message).text("Message")
    };
    if ctx.made(token, mismatch)?.is_some() {
        return Ok(Empty {});
    }
    let mut steps = Vec::new();
    for part in input.transact_items {
        steps.push(step(ctx, part)?);
    }
    let keys: BTreeSet<(&str, &(String, String))> = steps.iter().map(|step| (step.table.as_str(), &step.key)).collect();
    if keys.len() != steps.len() {
        return Err(invalid("Transaction request cannot include multiple operations on one item"));
    }
    if steps.iter().any(|step| !step.holds) {
        return Err(cancelled(&steps));
    }
    for PlannedWrite { table, key, change: what, .. } in steps {
        let table = find(ctx, &table)?;
        let arn = table.arn.clone();
        if let Some(what) = what {
            change(table, key, what);
            ctx.touch(arn);
        }
    }
    ctx.remember(token, TOKEN_LASTS, "");
    Ok(Empty {})
}

fn step(ctx: &mut Ctx<'_>, part: TransactItem) -> Result<PlannedWrite, AwsError> {
    let (keyed, is_check) = match part {
        TransactItem { put: Some(put), delete: None, condition_check: None } => {
            let Put { table_name, item, .. } = put;
            let conditional = Conditional {
                condition_expression: put.condition_expression,
                expression_attribute_names: put.expression_attribute_names,
                expression_attribute_values: put.expression_attribute_values,
            };
            let table = find(ctx, &table_name)?;
            check_size(&item)?;
            let key = key_of(table, &item)?;
            return planned(table, key, Some(Change::Put(item)), conditional);
        }
        TransactItem { put: None, delete: Some(keyed), condition_check: None } => (keyed, false),
        TransactItem { put: None, delete: None, condition_check: Some(keyed) } => (keyed, true),
        TransactItem { .. } => {
            return Err(invalid(
                "TransactItems can only contain one of Check, Put, Update or Delete (the simulator has no Update)",
            ));
        }
    };
    let conditional = Conditional {
        condition_expression: keyed.condition_expression,
        expression_attribute_names: keyed.expression_attribute_names,
        expression_attribute_values: keyed.expression_attribute_values,
    };
    let table = find(ctx, &keyed.table_name)?;
    let key = only_key(table, &keyed.key)?;
    planned(table, key, (!is_check).then_some(Change::Delete), conditional)
}

fn planned(
    table: &Table,
    key: (String, String),
    change: Option<Change>,
    conditional: Conditional,
) -> Result<PlannedWrite, AwsError> {
    let holds = conditional.holds(table.items.get(&key))?;
    Ok(PlannedWrite { table: table.name.clone(), key, change, holds })
}

fn cancelled(steps: &[PlannedWrite]) -> AwsError {
    let codes: Vec<&str> =
        steps.iter().map(|step| if step.holds { "None" } else { "ConditionalCheckFailed" }).collect();
    let reasons: Vec<Value> = codes
        .iter()
        .map(|code| match *code {
            "None" => json!({ "Code": "None" }),
            code => json!({ "Code": code, "Message": "The conditional request failed" }),
        })
        .collect();
    let message =
        format!("Transaction cancelled, please refer cancellation reasons for specific reasons [{}]", codes.join(", "));
    let error = AwsError::new("TransactionCanceledException", message).text("Message");
    error.with("CancellationReasons", Value::Array(reasons))
}
