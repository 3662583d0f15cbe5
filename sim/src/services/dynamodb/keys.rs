//! Which item is meant: its keys, out of a request.
//!
//! The main function is [`key_of`].

use serde_json::Value;

use super::state::{Item, Table, invalid};
use crate::error::AwsError;

/// The keys of `item`, which may hold more than keys.
pub(super) fn key_of(table: &Table, item: &Item) -> Result<(String, String), AwsError> {
    let text = |name: &str| match item.get(name).and_then(|value| value.get("S")) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text.clone()),
        Some(_) => Err(invalid(format!(
            "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty \
             string value. Key: {name}"
        ))),
        None => Err(invalid(format!("One or more parameter values were invalid: Missing the key {name} in the item"))),
    };
    let partition = text(&table.partition_key)?;
    let sort = table.sort_key.as_deref().map(text).transpose()?;
    Ok((partition, sort.unwrap_or_default()))
}

/// The keys of a request that must name nothing else.
pub(super) fn only_key(table: &Table, key: &Item) -> Result<(String, String), AwsError> {
    let wanted = 1 + usize::from(table.sort_key.is_some());
    if key.len() != wanted {
        return Err(invalid("The provided key element does not match the schema"));
    }
    key_of(table, key).map_err(|_| invalid("The provided key element does not match the schema"))
}

/// An item is at most 400 KB, its names included.
pub(super) fn check_size(item: &Item) -> Result<(), AwsError> {
    let size: usize = item.iter().map(|(name, value)| name.len() + bytes(value)).sum();
    if size > 400 << 10 {
        return Err(invalid("Item size has exceeded the maximum allowed size"));
    }
    Ok(())
}

fn bytes(value: &Value) -> usize {
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(kind, content)| match (kind.as_str(), content.as_str()) {
                ("B", Some(base64)) => base64.len() / 4 * 3,
                (_, Some(text)) => text.len(),
                (_, None) => content.to_string().len(),
            })
            .sum(),
        other => other.to_string().len(),
    }
}
