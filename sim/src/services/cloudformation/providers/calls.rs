//! Calls of the simulator's own operations, as CloudFormation makes them.
//!
//! The main function is [`call`].

use std::sync::OnceLock;

use serde_json::{Map, Value};

use crate::ctx::{Ctx, Scope};
use crate::error::AwsError;
use crate::service::Service;
use crate::services;
use crate::wire::http::Body;
use crate::wire::json::plain;
use crate::wire::value::without_nulls;
use crate::world::Caller;

static SERVICES: OnceLock<Vec<Service>> = OnceLock::new();

/// Call an operation of a service, and tell its answer.
pub(super) fn call(scope: &mut Scope<'_>, service: &str, operation: &str, input: Value) -> Result<Value, AwsError> {
    let services = SERVICES.get_or_init(services::all);
    let found = services.iter().find(|one| one.name == service).and_then(|one| one.operation(operation));
    let Some(found) = found else {
        return Err(AwsError::new("InternalFailure", format!("the simulator has no {service}:{operation}")));
    };
    let caller = Caller {
        account: scope.at.account.clone(),
        arn: format!(
            "arn:{}:sts::{}:assumed-role/CloudFormation/AWSCloudFormation",
            scope.at.partition(),
            scope.at.account
        ),
        user_id: "AROACLOUDFORMATION000:AWSCloudFormation".to_owned(),
    };
    let body = Body::Document(found.members().pruned(without_nulls(input)));
    let fingerprint = crate::ids::sha256(body.value().to_string().as_bytes());
    let inner = Scope { world: &mut *scope.world, at: scope.at.clone() };
    let mut ctx = Ctx::new(inner, caller, "", &found.action, "https://aws".to_owned(), fingerprint);
    found.perform(&mut ctx, &body).map(|answer| plain(&without_nulls(answer)))
}

/// An error as CloudFormation tells it of a resource.
pub(super) fn told(service: &str, error: &AwsError) -> String {
    format!("{} (Service: {service}, Status Code: {}, Error Code: {})", error.message, error.status, error.code)
}

/// A value whose members begin with a small letter, as JSON services spell them.
pub(super) fn small(value: &Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.iter().map(small).collect()),
        Value::Object(members) => Value::Object(
            members.iter().map(|(name, member)| (decapitalized(name), small(member))).collect::<Map<_, _>>(),
        ),
        other => other.clone(),
    }
}

fn decapitalized(name: &str) -> String {
    let mut characters = name.chars();
    match characters.next() {
        Some(first) => first.to_lowercase().chain(characters).collect(),
        None => String::new(),
    }
}

/// A value at a path of an answer, as text.
pub(super) fn text(answer: &Value, pointer: &str) -> String {
    match answer.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}
