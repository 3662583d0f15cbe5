//! The calls to the table that a shared store is.
//!
//! The main type is [`Table`]. Its keys are `pk` and `sk`, both strings; `docs/journal.md` has what lies where. Every call is
//! tried again as long as that can help, by the policy of all AWS calls; whether a write whose answer was lost had its effect
//! is for the caller to see, by reading what is there.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Put, TransactWriteItem};
use aws_smithy_types::Blob;

use super::error::StoreError;
use crate::aws::clients::{Clients, Connection};
use crate::aws::error::{AwsError, ErrorKind, from_sdk, invalid};
use crate::aws::retry;
use crate::types::{Digest, Region, StoreAddress};

/// The name of the partition key.
const PARTITION: &str = "pk";
/// The name of the sort key.
const SORT: &str = "sk";

/// A table of DynamoDB that holds runs and leases. Clones share the client.
#[derive(Clone)]
pub struct Table {
    clients: Arc<Clients>,
    address: StoreAddress,
}

/// Where an item lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    /// Its partition.
    pub(super) partition: String,
    /// Its place there.
    pub(super) sort: String,
}

/// An item, its keys left out.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Item(HashMap<String, AttributeValue>);

/// When a write happens.
#[derive(Debug, Clone)]
pub(super) enum Condition {
    /// Whatever is there.
    Always,
    /// There is no such item.
    Absent,
    /// These attributes of the item have these values.
    Equal(Vec<(&'static str, AttributeValue)>),
}

/// One part of a transaction.
#[derive(Debug, Clone)]
pub(super) enum TransactionPart {
    /// Put the item.
    Put(Key, Item, Condition),
    /// Only if the condition holds for the item there.
    Check(Key, Condition),
}

/// What came of a conditional write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// It happened.
    Yes,
    /// The condition did not hold. It did if an earlier attempt, whose answer was lost, was this very write.
    Refused,
}

/// What came of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Transacted {
    /// It happened.
    Yes,
    /// The conditions of these parts did not hold. As with [`Written::Refused`].
    Refused(Vec<usize>),
}

impl Key {
    pub(super) fn new(partition: impl Into<String>, sort: impl Into<String>) -> Self {
        Self { partition: partition.into(), sort: sort.into() }
    }

    fn attributes(&self) -> HashMap<String, AttributeValue> {
        HashMap::from([
            (PARTITION.to_owned(), AttributeValue::S(self.partition.clone())),
            (SORT.to_owned(), AttributeValue::S(self.sort.clone())),
        ])
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} / {}", self.partition, self.sort)
    }
}

impl Item {
    pub(super) fn text(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.insert(name.to_owned(), AttributeValue::S(value.into()));
        self
    }

    pub(super) fn number(mut self, name: &str, value: u64) -> Self {
        self.0.insert(name.to_owned(), number(value));
        self
    }

    pub(super) fn bytes(mut self, name: &str, value: Vec<u8>) -> Self {
        self.0.insert(name.to_owned(), AttributeValue::B(Blob::new(value)));
        self
    }

    pub(super) fn maybe_text(self, name: &str, value: Option<String>) -> Self {
        match value {
            Some(value) => self.text(name, value),
            None => self,
        }
    }

    pub(super) fn get_text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_s().ok().map(String::as_str)
    }

    pub(super) fn get_number(&self, name: &str) -> Option<u64> {
        self.0.get(name)?.as_n().ok()?.parse().ok()
    }

    pub(super) fn get_bytes(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name)?.as_b().ok().map(Blob::as_ref)
    }
}

/// A number, as conditions compare it.
pub(super) fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// A text, as conditions compare it.
pub(super) fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Table({})", self.address)
    }
}

impl Table {
    /// The table at `address`, reached as the runner itself; in `region` where the address names none.
    pub async fn open(connection: &Connection, address: &StoreAddress, region: &Region) -> Self {
        let address = address.in_region(region);
        let region = address.region().unwrap_or_else(|| region.clone());
        Self { clients: Arc::new(connection.clients(&region, None).await), address }
    }

    /// Its address, with its region.
    pub fn address(&self) -> &StoreAddress {
        &self.address
    }

    /// The item, as it is after all writes that were answered.
    pub(super) async fn get(&self, key: &Key) -> Result<Option<Item>, StoreError> {
        let named = key.to_string();
        let sent = self.again(&named, || async {
            let request = self.clients.dynamodb().get_item().table_name(self.address.table()).consistent_read(true);
            request.set_key(Some(key.attributes())).send().await.map_err(from_sdk)
        });
        let found = sent.await.map_err(|error| self.failed("read from", error))?;
        Ok(found.item.map(|item| split(item).1))
    }

    /// The items of a partition whose sort keys begin with `prefix`, in their order; the newest `at_most` where that is said,
    /// the last first.
    pub(super) async fn query(
        &self,
        partition: &str,
        prefix: &str,
        at_most: Option<usize>,
    ) -> Result<Vec<(Key, Item)>, StoreError> {
        let mut found = Vec::new();
        let mut from = None;
        loop {
            let sent = self.again(partition, || async {
                let mut request = self.clients.dynamodb().query().table_name(self.address.table());
                request = request.consistent_read(true).scan_index_forward(at_most.is_none());
                request = request.expression_attribute_names("#p", PARTITION);
                request = request.expression_attribute_values(":p", text(partition));
                request = if prefix.is_empty() {
                    request.key_condition_expression("#p = :p")
                } else {
                    let request = request.expression_attribute_names("#s", SORT);
                    let request = request.expression_attribute_values(":s", text(prefix));
                    request.key_condition_expression("#p = :p AND begins_with(#s, :s)")
                };
                request.set_exclusive_start_key(from.clone()).send().await.map_err(from_sdk)
            });
            let page = sent.await.map_err(|error| self.failed("read from", error))?;
            found.extend(page.items.unwrap_or_default().into_iter().map(split));
            from = page.last_evaluated_key.filter(|key| !key.is_empty());
            if from.is_none() || at_most.is_some_and(|limit| found.len() >= limit) {
                found.truncate(at_most.unwrap_or(usize::MAX));
                return Ok(found);
            }
        }
    }

    /// Put an item where a condition holds.
    pub(super) async fn put(&self, key: &Key, item: &Item, condition: &Condition) -> Result<Written, StoreError> {
        let named = key.to_string();
        let sent = self.again(&named, || self.put_once(key, item, condition));
        sent.await.map_err(|error| self.failed("write to", error))
    }

    /// Put an item where a condition holds, and try once.
    pub(super) async fn put_once(&self, key: &Key, item: &Item, condition: &Condition) -> Result<Written, AwsError> {
        let (expression, names, values) = condition.expression();
        let request = self.clients.dynamodb().put_item().table_name(self.address.table());
        let sent = request
            .set_item(Some(join(key, item)))
            .set_condition_expression(expression)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .send()
            .await;
        match sent.map_err(from_sdk) {
            Ok(_) => Ok(Written::Yes),
            Err(error) if error.code == "ConditionalCheckFailedException" => Ok(Written::Refused),
            Err(error) => Err(error),
        }
    }

    /// Do all parts or none.
    pub(super) async fn transact(&self, parts: &[TransactionPart], token: &str) -> Result<Transacted, StoreError> {
        let items: Result<Vec<TransactWriteItem>, AwsError> = parts.iter().map(|part| self.part(part)).collect();
        let items = items.map_err(|error| self.failed("write to", error))?;
        let sent = self.again(token, || async {
            let request = self.clients.dynamodb().transact_write_items().client_request_token(token);
            let sent = request.set_transact_items(Some(items.clone())).send().await;
            match sent {
                Ok(_) => Ok(Transacted::Yes),
                Err(error) => cancelled(error),
            }
        });
        sent.await.map_err(|error| self.failed("write to", error))
    }

    /// Call until it is answered, as long as that can help. `token` decides the pauses' jitter.
    async fn again<T, F>(&self, token: &str, call: impl Fn() -> F) -> Result<T, AwsError>
    where
        F: Future<Output = Result<T, AwsError>>,
    {
        let mut attempt = 1;
        loop {
            let generation = self.clients.generation();
            let error = match tokio::time::timeout(ATTEMPT, Box::pin(call())).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => error,
                Err(_) => timed_out(),
            };
            if error.kind == ErrorKind::Expired {
                self.clients.renew(generation);
            }
            // The write ran into a transaction on the same item: a moment later it does not.
            let kind = match error.code.as_str() {
                "TransactionConflictException" | "TransactionInProgressException" => ErrorKind::Unavailable,
                _ => error.kind,
            };
            match retry::pause(kind, attempt, token) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(error),
            }
            attempt += 1;
        }
    }

    fn part(&self, part: &TransactionPart) -> Result<TransactWriteItem, AwsError> {
        let table = self.address.table();
        let item = TransactWriteItem::builder();
        Ok(match part {
            TransactionPart::Put(key, content, condition) => {
                let (expression, names, values) = condition.expression();
                let put = Put::builder().table_name(table).set_item(Some(join(key, content)));
                let put = put.set_condition_expression(expression).set_expression_attribute_names(names);
                item.put(put.set_expression_attribute_values(values).build().map_err(invalid)?).build()
            }
            TransactionPart::Check(key, condition) => {
                let (expression, names, values) = condition.expression();
                let check = ConditionCheck::builder().table_name(table).set_key(Some(key.attributes()));
                let check = check.set_condition_expression(expression).set_expression_attribute_names(names);
                item.condition_check(check.set_expression_attribute_values(values).build().map_err(invalid)?).build()
            }
        })
    }

    pub(super) fn failed(&self, action: &'static str, error: AwsError) -> StoreError {
        StoreError::Aws { action, store: self.address.clone(), error: Box::new(error) }
    }

    pub(super) fn foreign(&self, what: impl fmt::Display) -> StoreError {
        StoreError::Foreign { store: self.address.clone(), what: what.to_string() }
    }
}

type DynamoExpression = (Option<String>, Option<HashMap<String, String>>, Option<HashMap<String, AttributeValue>>);

impl Condition {
    /// As DynamoDB reads it. Names and values are always given by placeholders: so many words are reserved.
    fn expression(&self) -> DynamoExpression {
        match self {
            Self::Always => (None, None, None),
            Self::Absent => {
                let names = HashMap::from([("#k".to_owned(), PARTITION.to_owned())]);
                (Some("attribute_not_exists(#k)".to_owned()), Some(names), None)
            }
            Self::Equal(fields) => {
                let terms: Vec<String> = (0..fields.len()).map(|index| format!("#n{index} = :v{index}")).collect();
                let names = fields.iter().enumerate();
                let names = names.map(|(index, (name, _))| (format!("#n{index}"), (*name).to_owned())).collect();
                let values = fields.iter().enumerate();
                let values = values.map(|(index, (_, value))| (format!(":v{index}"), value.clone())).collect();
                (Some(terms.join(" AND ")), Some(names), Some(values))
            }
        }
    }
}

/// Which conditions did not hold. A transaction that ran into another, or into too many, is an error that can be tried again.
fn cancelled(error: SdkError<TransactWriteItemsError>) -> Result<Transacted, AwsError> {
    let reasons = match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
            let code = |reason: &aws_sdk_dynamodb::types::CancellationReason| reason.code.clone().unwrap_or_default();
            cancelled.cancellation_reasons().iter().map(code).collect::<Vec<_>>()
        }
        _ => return Err(from_sdk(error)),
    };
    let with =
        |code: &str| reasons.iter().enumerate().filter(|(_, reason)| *reason == code).map(|(part, _)| part).collect();
    let refused: Vec<usize> = with("ConditionalCheckFailed");
    if !refused.is_empty() {
        return Ok(Transacted::Refused(refused));
    }
    let error = from_sdk(error);
    let passing = ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"];
    Err(match reasons.iter().find(|reason| passing.contains(&reason.as_str())) {
        Some(reason) => AwsError { kind: ErrorKind::Unavailable, code: reason.clone(), ..error },
        None => error,
    })
}

/// The SDK's own limits are lower; this one holds whatever the SDK does.
const ATTEMPT: Duration = Duration::from_secs(90);

fn timed_out() -> AwsError {
    AwsError {
        kind: ErrorKind::Unavailable,
        code: "TimedOut".to_owned(),
        message: format!("no answer within {} seconds", ATTEMPT.as_secs()),
        operation: String::new(),
        request_id: None,
    }
}

/// A token for a transaction that is the same for the same transaction, of 32 characters.
pub(super) fn token(of: &[&[u8]]) -> String {
    let digest = Digest::of(&of.concat());
    digest.as_str().trim_start_matches("sha256:").chars().take(32).collect()
}

fn join(key: &Key, item: &Item) -> HashMap<String, AttributeValue> {
    let mut attributes = key.attributes();
    attributes.extend(item.0.clone());
    attributes
}

fn split(mut attributes: HashMap<String, AttributeValue>) -> (Key, Item) {
    let mut take = |name: &str| match attributes.remove(name) {
        Some(AttributeValue::S(value)) => value,
        Some(_) | None => String::new(),
    };
    let key = Key { partition: take(PARTITION), sort: take(SORT) };
    (key, Item(attributes))
}
