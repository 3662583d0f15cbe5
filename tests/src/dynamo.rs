//! A table of DynamoDB in memory, and a way to it on which answers are late or lost, in virtual time.
//!
//! The main types are [`Dynamo`], which knows what kiln asks of a table and refuses everything else, and [`Unsteady`]. Beside the
//! simulator because a thousand schedules look into the table at each step; the tests of the store hold it to what moto and
//! the simulator do.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::Chance;
use crate::backend::Backend;

/// A query answers so many items at a time, so that whoever asks must page.
const PAGE: usize = 3;

/// An item has at most this many bytes.
const LARGEST_ITEM: usize = 400 << 10;

/// A table with the keys `pk` and `sk`. Clones are the same table.
#[derive(Clone, Default)]
pub struct Dynamo(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    items: BTreeMap<(String, String), Map<String, Value>>,
    /// Tokens of transactions that happened.
    tokens: BTreeSet<String>,
}

/// An error of DynamoDB.
struct Refusal {
    code: &'static str,
    message: String,
    reasons: Vec<&'static str>,
}

impl Dynamo {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The attribute of an item, as text.
    pub fn attribute(&self, partition: &str, sort: &str, name: &str) -> Option<String> {
        let state = self.state();
        let value = state.items.get(&(partition.to_owned(), sort.to_owned()))?.get(name)?.as_object()?;
        value.values().next()?.as_str().map(str::to_owned)
    }

    /// Change an item behind everybody's back.
    pub fn change(&self, partition: &str, sort: &str, change: impl FnOnce(&mut Map<String, Value>)) {
        change(self.state().items.entry((partition.to_owned(), sort.to_owned())).or_default());
    }

    /// The sort keys of a partition.
    pub fn sorts(&self, partition: &str) -> Vec<String> {
        self.state().items.keys().filter(|(one, _)| one == partition).map(|(_, sort)| sort.clone()).collect()
    }

    /// Answer a request of DynamoDB's JSON protocol: `operation` is the last part of `X-Amz-Target`.
    pub fn answer(&self, operation: &str, body: &[u8]) -> http::Response<Vec<u8>> {
        let request: Value = serde_json::from_slice(body).unwrap_or_default();
        let answered = match operation {
            "PutItem" => self.put_item(&request),
            "GetItem" => self.get_item(&request),
            "Query" => self.query(&request),
            "TransactWriteItems" => self.transact(&request),
            other => Err(refusal("UnknownOperationException", format!("this table does not know {other}"))),
        };
        let (status, body) = match answered {
            Ok(answer) => (200, answer),
            Err(refusal) => {
                let reasons: Vec<Value> = refusal.reasons.iter().map(|code| json!({ "Code": code })).collect();
                let kind = format!("com.amazonaws.dynamodb.v20120810#{}", refusal.code);
                (400, json!({ "__type": kind, "message": refusal.message, "CancellationReasons": reasons }))
            }
        };
        let response = http::Response::builder().status(status).header("content-type", "application/x-amz-json-1.0");
        response.body(body.to_string().into_bytes()).unwrap_or_default()
    }

    fn put_item(&self, request: &Value) -> Result<Value, Refusal> {
        let mut state = self.state();
        let item = object(request, "Item")?;
        let key = key_of(item)?;
        if !holds(request, state.items.get(&key))? {
            return Err(refusal("ConditionalCheckFailedException", "The conditional request failed".to_owned()));
        }
        state.items.insert(key, item.clone());
        Ok(json!({}))
    }

    fn get_item(&self, request: &Value) -> Result<Value, Refusal> {
        if request.get("ConsistentRead") != Some(&Value::Bool(true)) {
            return Err(invalid("kiln must see what was written"));
        }
        let key = key_of(object(request, "Key")?)?;
        Ok(match self.state().items.get(&key) {
            Some(item) => json!({ "Item": item }),
            None => json!({}),
        })
    }

    fn query(&self, request: &Value) -> Result<Value, Refusal> {
        let values = object(request, "ExpressionAttributeValues")?;
        let text = |name: &str| values.get(name).and_then(|value| value.get("S")).and_then(Value::as_str).unwrap_or("");
        let prefix = match request.get("KeyConditionExpression").and_then(Value::as_str) {
            Some("#p = :p") => "",
            Some("#p = :p AND begins_with(#s, :s)") => text(":s"),
            other => return Err(invalid(&format!("the key condition {other:?} is not understood"))),
        };
        let forward = request.get("ScanIndexForward") != Some(&Value::Bool(false));
        let start = request.get("ExclusiveStartKey").and_then(Value::as_object).map(key_of).transpose()?;
        let state = self.state();
        let mut found: Vec<_> = state
            .items
            .iter()
            .filter(|((partition, sort), _)| partition == text(":p") && sort.starts_with(prefix))
            .filter(|(key, _)| start.as_ref().is_none_or(|start| if forward { *key > start } else { *key < start }))
            .collect();
        if !forward {
            found.reverse();
        }
        let more = found.len() > PAGE;
        found.truncate(PAGE);
        let last = found.last().filter(|_| more);
        let last = last.map(|((partition, sort), _)| json!({ "pk": { "S": partition }, "sk": { "S": sort } }));
        let items: Vec<_> = found.iter().map(|(_, item)| item).collect();
        let mut answer = json!({ "Items": items, "Count": items.len() });
        if let (Some(last), Some(answer)) = (last, answer.as_object_mut()) {
            answer.insert("LastEvaluatedKey".to_owned(), last);
        }
        Ok(answer)
    }

    fn transact(&self, request: &Value) -> Result<Value, Refusal> {
        let mut state = self.state();
        let token = request.get("ClientRequestToken").and_then(Value::as_str).unwrap_or_default().to_owned();
        if !(1..=36).contains(&token.len()) {
            return Err(invalid("a token has 1 to 36 characters"));
        }
        if state.tokens.contains(&token) {
            return Ok(json!({}));
        }
        let parts = request.get("TransactItems").and_then(Value::as_array).cloned().unwrap_or_default();
        let (mut reasons, mut puts, mut keys) = (Vec::new(), Vec::new(), BTreeSet::new());
        for part in &parts {
            let (part, key) = match (part.get("Put"), part.get("ConditionCheck")) {
                (Some(put), None) => {
                    let key = key_of(object(put, "Item")?)?;
                    puts.push((key.clone(), object(put, "Item")?.clone()));
                    (put, key)
                }
                (None, Some(check)) => (check, key_of(object(check, "Key")?)?),
                _ => return Err(invalid("a part is a Put or a ConditionCheck")),
            };
            let held = holds(part, state.items.get(&key))?;
            reasons.push(if held { "None" } else { "ConditionalCheckFailed" });
            if !keys.insert(key) {
                return Err(invalid("Transaction request cannot include multiple operations on one item"));
            }
        }
        if reasons.contains(&"ConditionalCheckFailed") {
            let message = format!("Transaction cancelled, please refer cancellation reasons [{}]", reasons.join(", "));
            return Err(Refusal { code: "TransactionCanceledException", message, reasons });
        }
        state.items.extend(puts);
        state.tokens.insert(token);
        Ok(json!({}))
    }
}

fn refusal(code: &'static str, message: String) -> Refusal {
    Refusal { code, message, reasons: Vec::new() }
}

fn invalid(message: &str) -> Refusal {
    refusal("ValidationException", message.to_owned())
}

fn object<'a>(value: &'a Value, name: &str) -> Result<&'a Map<String, Value>, Refusal> {
    value.get(name).and_then(Value::as_object).ok_or_else(|| invalid(&format!("{name} is missing")))
}

fn key_of(item: &Map<String, Value>) -> Result<(String, String), Refusal> {
    let text = |name: &str| item.get(name).and_then(|value| value.get("S")).and_then(Value::as_str).map(str::to_owned);
    if Value::Object(item.clone()).to_string().len() > LARGEST_ITEM * 4 / 3 {
        return Err(invalid("Item size has exceeded the maximum allowed size"));
    }
    text("pk").zip(text("sk")).ok_or_else(|| invalid("the keys pk and sk are texts"))
}

/// Whether the condition of a request holds for what is there.
fn holds(request: &Value, there: Option<&Map<String, Value>>) -> Result<bool, Refusal> {
    let Some(expression) = request.get("ConditionExpression").and_then(Value::as_str) else { return Ok(true) };
    if expression == "attribute_not_exists(#k)" {
        return Ok(there.is_none());
    }
    let (names, values) = (object(request, "ExpressionAttributeNames")?, object(request, "ExpressionAttributeValues")?);
    for term in expression.split(" AND ") {
        let (name, value) = term.split_once(" = ").ok_or_else(|| invalid(&format!("{term} is not understood")))?;
        let name = names.get(name).and_then(Value::as_str).ok_or_else(|| invalid("a name is missing"))?;
        let value = values.get(value).ok_or_else(|| invalid("a value is missing"))?;
        if there.and_then(|there| there.get(name)) != Some(value) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// How the way to a table is.
#[derive(Debug, Clone, Copy)]
pub struct Weather {
    /// A request or an answer takes up to so many milliseconds; now and then a hundred times as long.
    pub latency: u64,
    /// Of a hundred requests, so many are lost before they arrive, and as many answers.
    pub lost: u64,
}

/// A runner's way to a table. While the runner is frozen nothing comes or goes.
#[derive(Clone)]
pub struct Unsteady {
    table: Arc<dyn Backend>,
    weather: Weather,
    chance: Arc<Mutex<Chance>>,
    frozen: Arc<Mutex<Option<Instant>>>,
}

impl Unsteady {
    /// A way to `table`; what happens on it follows from `chance`.
    pub fn to(table: Arc<dyn Backend>, weather: Weather, chance: Chance) -> Self {
        Self { table, weather, chance: Arc::new(Mutex::new(chance)), frozen: Arc::default() }
    }

    /// Nothing moves in this runner for so long: as when its machine sleeps.
    pub async fn freeze(&self, time: Duration) {
        *self.frozen.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + time);
        self.thaw().await;
    }

    async fn thaw(&self) {
        loop {
            let until = *self.frozen.lock().unwrap_or_else(PoisonError::into_inner);
            match until.filter(|until| *until > Instant::now()) {
                Some(until) => tokio::time::sleep_until(until).await,
                None => return,
            }
        }
    }

    fn below(&self, bound: u64) -> u64 {
        self.chance.lock().unwrap_or_else(PoisonError::into_inner).below(bound.max(1))
    }

    async fn pass(&self) {
        let long = if self.below(40) == 0 { 100 } else { 1 };
        tokio::time::sleep(Duration::from_millis(self.below(self.weather.latency + 1) * long)).await;
        self.thaw().await;
    }

    async fn exchange(self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        self.pass().await;
        let lost = |what: &str| Err(ConnectorError::io(format!("the {what} was lost").into()));
        if self.below(100) < self.weather.lost {
            return lost("request");
        }
        let target = request.headers().get("x-amz-target").unwrap_or_default().to_owned();
        let operation = target.rsplit('.').next().unwrap_or_default();
        let answer = self.table.answer(operation, request.body().bytes().unwrap_or_default());
        self.pass().await;
        if self.below(100) < self.weather.lost {
            return lost("answer");
        }
        let answer = answer.map(SdkBody::from);
        HttpResponse::try_from(answer).map_err(|error| ConnectorError::user(error.into()))
    }
}

impl fmt::Debug for Unsteady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unsteady")
    }
}

impl HttpClient for Unsteady {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Unsteady {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(self.clone().exchange(request))
    }
}
