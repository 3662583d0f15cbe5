//! Tables and what they hold.
//!
//! The main types are [`State`], the tables of a place, and [`Table`].

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::clock::Timestamp;
use crate::ctx::Scope;
use crate::error::AwsError;

/// An item: attributes by name, each as DynamoDB writes it: `{"S": "text"}`.
pub(super) type Item = Map<String, Value>;

/// The tables of a place.
#[derive(Debug, Default, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct State {
    pub(super) tables: BTreeMap<String, Table>,
}

/// A table whose keys are strings.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) arn: String,
    pub(super) created: Timestamp,
    pub(super) partition_key: String,
    pub(super) sort_key: Option<String>,
    /// By partition and sort key, in the order of their bytes.
    #[serde(skip)]
    pub(super) items: BTreeMap<(String, String), Item>,
}

/// An empty table.
pub(super) fn new(scope: &Scope<'_>, name: &str, partition_key: &str, sort_key: Option<&str>) -> Table {
    Table {
        name: name.to_owned(),
        arn: scope.arn("dynamodb", &format!("table/{name}")),
        created: scope.now(),
        partition_key: partition_key.to_owned(),
        sort_key: sort_key.map(str::to_owned),
        items: BTreeMap::new(),
    }
}

/// The table of a name, or of an ARN.
pub(super) fn find<'w>(scope: &'w mut Scope<'_>, given: &str) -> Result<&'w mut Table, AwsError> {
    let name = given.rsplit_once("table/").map_or(given, |(_, name)| name);
    scope
        .place()
        .dynamodb
        .tables
        .get_mut(name)
        .ok_or_else(|| AwsError::new("ResourceNotFoundException", "Requested resource not found"))
}

/// DynamoDB's word for a request that makes no sense.
pub(super) fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::new("ValidationException", message)
}

/// Make a table in the name of another service.
pub(crate) fn make(
    scope: &mut Scope<'_>,
    name: &str,
    partition_key: &str,
    sort_key: Option<&str>,
) -> Result<(), AwsError> {
    if has(scope, name) {
        return Err(AwsError::new("ResourceInUseException", format!("Table already exists: {name}")));
    }
    let table = new(scope, name, partition_key, sort_key);
    scope.place().dynamodb.tables.insert(name.to_owned(), table);
    Ok(())
}

/// Whether there is a table of this name.
pub(crate) fn has(scope: &mut Scope<'_>, name: &str) -> bool {
    scope.place().dynamodb.tables.contains_key(name)
}

/// A table is gone, with its items.
pub(crate) fn forget(scope: &mut Scope<'_>, name: &str) {
    scope.place().dynamodb.tables.remove(name);
}
