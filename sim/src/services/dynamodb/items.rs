//! Reading, writing and querying items.
//!
//! There is no type of its own here but the inputs and outputs; [`change`] is the one way in which an item is written.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::expression::{ItemCondition, Words};
use super::keys::{check_size, key_of, only_key};
use super::state::{Item, Table, find, invalid};
use crate::ctx::Ctx;
use crate::error::AwsError;

/// A page of a query holds at most so many bytes.
const PAGE_BYTES: usize = 1 << 20;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetItem {
    table_name: String,
    key: Item,
    #[expect(dead_code, reason = "an item and a query see every write before them here in any case")]
    consistent_read: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Got {
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<Item>,
}

pub(super) fn get_item(ctx: &mut Ctx<'_>, input: GetItem) -> Result<Got, AwsError> {
    let table = find(ctx, &input.table_name)?;
    let key = only_key(table, &input.key)?;
    Ok(Got { item: table.items.get(&key).cloned() })
}

/// The condition of a write, and what its placeholders stand for.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Conditional {
    pub(super) condition_expression: Option<String>,
    pub(super) expression_attribute_names: Option<BTreeMap<String, String>>,
    pub(super) expression_attribute_values: Option<BTreeMap<String, Value>>,
}

impl Conditional {
    /// Whether the condition, if there is one, holds for `item`.
    pub(super) fn holds(self, item: Option<&Item>) -> Result<bool, AwsError> {
        let words = Words::new(self.expression_attribute_names, self.expression_attribute_values);
        let condition = self.condition_expression.map(|text| ItemCondition::parse(&text, &words)).transpose()?;
        words.check_used()?;
        Ok(condition.is_none_or(|condition| condition.holds(item)))
    }
}

/// What is done to an item.
pub(super) enum Change {
    Put(Item),
    Delete,
}

/// Do `change` to the item of `key`. Answers what was there.
pub(super) fn change(table: &mut Table, key: (String, String), change: Change) -> Option<Item> {
    match change {
        Change::Put(item) => table.items.insert(key, item),
        Change::Delete => table.items.remove(&key),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutItem {
    table_name: String,
    item: Item,
    condition_expression: Option<String>,
    expression_attribute_names: Option<BTreeMap<String, String>>,
    expression_attribute_values: Option<BTreeMap<String, Value>>,
    return_values: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct WrittenItem {
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<Item>,
}

pub(super) fn put_item(ctx: &mut Ctx<'_>, input: PutItem) -> Result<WrittenItem, AwsError> {
    let PutItem {
        table_name,
        item,
        condition_expression,
        expression_attribute_names,
        expression_attribute_values,
        return_values,
    } = input;
    check_size(&item)?;
    let conditional = Conditional { condition_expression, expression_attribute_names, expression_attribute_values };
    let key = key_of(find(ctx, &table_name)?, &item)?;
    write(ctx, &table_name, key, conditional, Change::Put(item), return_values.as_deref())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteItem {
    table_name: String,
    key: Item,
    condition_expression: Option<String>,
    expression_attribute_names: Option<BTreeMap<String, String>>,
    expression_attribute_values: Option<BTreeMap<String, Value>>,
    return_values: Option<String>,
}

pub(super) fn delete_item(ctx: &mut Ctx<'_>, input: DeleteItem) -> Result<WrittenItem, AwsError> {
    let DeleteItem {
        table_name,
        key,
        condition_expression,
        expression_attribute_names,
        expression_attribute_values,
        return_values,
    } = input;
    let conditional = Conditional { condition_expression, expression_attribute_names, expression_attribute_values };
    let key = only_key(find(ctx, &table_name)?, &key)?;
    write(ctx, &table_name, key, conditional, Change::Delete, return_values.as_deref())
}

fn write(
    ctx: &mut Ctx<'_>,
    table_name: &str,
    key: (String, String),
    conditional: Conditional,
    what: Change,
    return_values: Option<&str>,
) -> Result<WrittenItem, AwsError> {
    let table = find(ctx, table_name)?;
    if !conditional.holds(table.items.get(&key))? {
        return Err(AwsError::new("ConditionalCheckFailedException", "The conditional request failed"));
    }
    let before = change(table, key, what);
    let arn = table.arn.clone();
    ctx.touch(arn);
    Ok(WrittenItem { attributes: before.filter(|_| return_values == Some("ALL_OLD")) })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Query {
    table_name: String,
    key_condition_expression: String,
    expression_attribute_names: Option<BTreeMap<String, String>>,
    expression_attribute_values: Option<BTreeMap<String, Value>>,
    scan_index_forward: Option<bool>,
    limit: Option<usize>,
    exclusive_start_key: Option<Item>,
    #[expect(dead_code, reason = "an item and a query see every write before them here in any case")]
    consistent_read: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct FoundItems {
    items: Vec<Item>,
    count: usize,
    scanned_count: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_evaluated_key: Option<Value>,
}

pub(super) fn query(ctx: &mut Ctx<'_>, input: Query) -> Result<FoundItems, AwsError> {
    let most = input.limit.unwrap_or(usize::MAX).min(ctx.world.page_size);
    let words = Words::new(input.expression_attribute_names, input.expression_attribute_values);
    let condition = ItemCondition::parse(&input.key_condition_expression, &words)?;
    words.check_used()?;
    let table = find(ctx, &input.table_name)?;
    let Some(partition) = condition.equal_to(&table.partition_key).and_then(|value| value.get("S")?.as_str()) else {
        return Err(invalid(format!("Query condition missed key schema element: {}", table.partition_key)));
    };
    let from = input.exclusive_start_key.map(|key| only_key(table, &key)).transpose()?;
    let forward = input.scan_index_forward.unwrap_or(true);
    let matching = table.items.iter().filter(|((of, _), item)| of == partition && condition.holds(Some(item)));
    let mut matching: Vec<(&(String, String), &Item)> = matching.collect();
    if !forward {
        matching.reverse();
    }
    let behind =
        |key: &(String, String)| from.as_ref().is_none_or(|from| if forward { key > from } else { key < from });
    let (mut items, mut bytes, mut last) = (Vec::new(), 0, None);
    let mut rest = matching.into_iter().filter(|(key, _)| behind(key)).peekable();
    while let Some((key, item)) = rest.next() {
        bytes += Value::Object(item.clone()).to_string().len();
        items.push(item.clone());
        if rest.peek().is_some() && (items.len() >= most || bytes >= PAGE_BYTES) {
            last = Some(key_value(table, key));
            break;
        }
    }
    Ok(FoundItems { count: items.len(), scanned_count: items.len(), items, last_evaluated_key: last })
}

fn key_value(table: &Table, (partition, sort): &(String, String)) -> Value {
    let mut key = Item::new();
    key.insert(table.partition_key.clone(), json!({ "S": partition }));
    if let Some(name) = &table.sort_key {
        key.insert(name.clone(), json!({ "S": sort }));
    }
    Value::Object(key)
}
