//! What is asked of CloudFormation, a question a function.
//! The main functions are [`stack`] and [`events`].

use std::borrow::Cow;

use kiln_plugin::aws::ErrorKind;
use kiln_plugin::aws::cloudformation::{
    DescribeEventsRequest, DescribeStackEventsRequest, DescribeStacksRequest, GetTemplateRequest,
    ListStackResourcesRequest, OperationEvent, Stack, StackEvent, StackResource, describe_events,
    describe_stack_events, describe_stacks, get_template, list_stack_resources,
};
use kiln_plugin::{During, Failure, JsonSchema, log};
use schemars::{Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The name of a stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StackName(pub String);

impl JsonSchema for StackName {
    fn schema_name() -> Cow<'static, str> {
        "StackName".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[A-Za-z][A-Za-z0-9-]{0,127}$" })
    }
}

/// The stack of a name or an id; none where there is none. One that was deleted is found by its id.
pub fn stack(given: &str) -> Result<Option<Stack>, Failure> {
    match describe_stacks(&DescribeStacksRequest { stack: Some(given.to_owned()) }) {
        Ok(found) => Ok(found.stacks.into_iter().next()),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).during(format!("looking at the stack {given}")),
    }
}

/// The stack, which must be there.
pub fn existing(given: &str) -> Result<Stack, Failure> {
    stack(given)?.ok_or_else(|| Failure::not_found(format!("CloudFormation has no stack {given}")))
}

/// The events of a stack behind one that is known, or since an instant, the oldest first.
pub fn events(stack: &str, after: Option<&str>, since: Option<u64>) -> Result<Vec<StackEvent>, Failure> {
    let request = DescribeStackEventsRequest { stack: stack.to_owned(), after: after.map(str::to_owned), since };
    match describe_stack_events(&request) {
        Ok(found) => Ok(found.events),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).during(format!("reading the events of the stack {stack}")),
    }
}

/// What failed of an operation or of the making of a change set, where AWS tells events by operation. Evidence that cannot be had must not
/// hide a failure: then there is none.
pub fn failures(stack: &str, operation: Option<&str>, change_set: Option<&str>) -> Vec<OperationEvent> {
    let request = DescribeEventsRequest {
        stack: stack.to_owned(),
        operation: operation.map(str::to_owned),
        change_set: change_set.map(str::to_owned),
        failed: true,
    };
    match describe_events(&request) {
        Ok(found) => found.events,
        Err(error) => {
            log::debug(format!("what failed is not told by operation: {}", error.message));
            Vec::new()
        }
    }
}

/// The resources of a stack.
pub fn resources(stack: &str) -> Result<Vec<StackResource>, Failure> {
    let request = ListStackResourcesRequest { stack: stack.to_owned() };
    Ok(list_stack_resources(&request).during(format!("reading the resources of the stack {stack}"))?.resources)
}

/// The template of a stack, as it was given.
pub fn template(stack: &str) -> Result<String, Failure> {
    let request = GetTemplateRequest { stack: stack.to_owned(), change_set: None, processed: false };
    Ok(get_template(&request).during(format!("reading the template of the stack {stack}"))?.body)
}
