//! Change sets are made, executed and deleted.
//!
//! The main type is [`CreateChangeSetRequest`]. A change set's name is made of the call's own token: whoever finds it has found this
//! call's own, and nobody else's.

use std::borrow::Cow;

use serde_json::Value;

use super::events::{EVENTS, operation_fate};
use super::templates::{GET_OBJECT, read_by, source};
use super::wire::{
    ChangeSetMade, CreateChangeSet, DeleteChangeSet, DeploymentConfig, ExecuteChangeSet, Nothing, SentParameter,
    SentStackTag, SentTrigger, SentTriggers,
};
use super::{SERVICE, STACK, begin, call, check_change_set, check_role, passed, stack};
use crate::aws::clients::Clients;
use crate::aws::error::{AwsError, ErrorKind, invalid};
use crate::aws::look::Look;
use crate::aws::operation::{Fate, Operation, RetryClass, Token, Unanswered, Write, heads};
use crate::aws::values::incomplete;
use crate::contract::bindings::kiln::aws::types::Pair;
use crate::contract::bindings::kiln::aws_cloudformation::cloudformation::{
    self as records, CreateChangeSetRequest, CreateChangeSetResponse, DeleteChangeSetRequest, DeleteChangeSetResponse,
    DescribeChangeSetRequest, DescribeChangeSetResponse, ExecuteChangeSetRequest, Operation as Begun,
};
use crate::types::{Arn, Place};

heads! {
    ExecuteChangeSetRequest => Begun:
        "cloudformation:ExecuteChangeSet" on |it, at| stack(at, &it.stack);
    DeleteChangeSetRequest => DeleteChangeSetResponse:
        "cloudformation:DeleteChangeSet" on |it, at| stack(at, &it.stack);
}

/// The read by which change sets are looked up.
const LOOK: &str = "cloudformation:DescribeChangeSet";

/// The most of each that CloudFormation takes.
const TAGS: usize = 50;
const TOPICS: usize = 5;
const ALARMS: usize = 5;
const PARAMETERS: usize = 200;
const MINUTES: u32 = 180;

/// The type of a trigger that is a composite alarm.
pub(super) const COMPOSITE: &str = "AWS::CloudWatch::CompositeAlarm";

/// The name of the change set that a call makes.
fn name(token: &Token) -> String {
    format!("kiln-{}", token.as_str())
}

impl Operation for CreateChangeSetRequest {
    type Output = CreateChangeSetResponse;
    const ACTION: &'static str = "cloudformation:CreateChangeSet";
    const REQUIRES: &'static [&'static str] = &["cloudformation:TagResource", GET_OBJECT];
    const PASSES_TO: Option<&'static str> = Some(SERVICE);

    fn resources(&self, at: &Place) -> Vec<Arn> {
        stack(at, &self.stack).into()
    }

    fn requires(&self, at: &Place) -> Vec<(&'static str, Vec<Arn>)> {
        let mut required = read_by(self.template.as_ref(), at);
        if self.tags.as_ref().is_some_and(|tags| !tags.is_empty()) {
            required.push(("cloudformation:TagResource", stack(at, &self.stack).into()));
        }
        required
    }

    fn passes(&self, _: &Place) -> Vec<Arn> {
        passed(self.role.as_ref())
    }

    fn secret_references(&self) -> Vec<Cow<'_, str>> {
        let values = self.parameters.iter().filter_map(|parameter| parameter.value.as_deref());
        values.flat_map(dynamic_references).map(Cow::Owned).collect()
    }
}

/// The secrets of Secrets Manager that a text refers to in CloudFormation's way, `{{resolve:secretsmanager:ID:SecretString:KEY:STAGE:VERSION}}`,
/// each as ECS refers to it: `ID:KEY:STAGE:VERSION`.
fn dynamic_references(text: &str) -> Vec<String> {
    const BEGIN: &str = "{{resolve:secretsmanager:";
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once(BEGIN) {
        let (reference, behind) = after.split_once("}}").unwrap_or((after, ""));
        let parts: Vec<&str> = reference.split(':').collect();
        let id = if reference.starts_with("arn:") { 7 } else { 1 };
        let (id, rest_of_it) = parts.split_at(id.min(parts.len()));
        let rest_of_it = rest_of_it.strip_prefix(&["SecretString"]).unwrap_or(rest_of_it);
        let mut parts: Vec<&str> = rest_of_it.to_vec();
        parts.resize(parts.len().max(3), "");
        found.push(format!("{}:{}", id.join(":"), parts.join(":")));
        rest = behind;
    }
    found
}

impl CreateChangeSetRequest {
    /// As it is sent.
    fn wire(&self, token: &Token) -> Result<CreateChangeSet, AwsError> {
        STACK.check(&self.stack)?;
        check_role(self.role.as_ref())?;
        limit("tags", self.tags.as_ref().map_or(0, Vec::len), TAGS)?;
        limit("parameters", self.parameters.len(), PARAMETERS)?;
        limit("topics", self.notifications.as_ref().map_or(0, Vec::len), TOPICS)?;
        let (template_body, template_url) = match &self.template {
            Some(template) => source(template)?,
            None => (None, None),
        };
        let parameter = |parameter: &records::Parameter| SentParameter {
            parameter_key: parameter.name.clone(),
            parameter_value: parameter.value.clone(),
            use_previous_value: parameter.value.is_none().then_some(true),
        };
        let tag = |tag: &Pair| SentStackTag { key: tag.name.clone(), value: tag.value.clone() };
        Ok(CreateChangeSet {
            stack_name: self.stack.clone(),
            change_set_name: name(token),
            change_set_type: self.type_.clone(),
            client_token: token.as_str().to_owned(),
            template_body,
            template_url,
            use_previous_template: self.template.is_none().then_some(true),
            parameters: self.parameters.iter().map(parameter).collect(),
            capabilities: self.capabilities.clone(),
            tags: self.tags.as_ref().map(|tags| tags.iter().map(tag).collect()),
            role_arn: self.role.clone(),
            rollback_configuration: self.triggers.as_ref().map(triggers).transpose()?,
            notification_arns: self.notifications.clone(),
            description: self.description.clone(),
            include_nested_stacks: self.nested,
            on_stack_failure: self.on_stack_failure.clone(),
            deployment_mode: self.revert_drift.then_some("REVERT_DRIFT"),
            deployment_config: self.mode.as_ref().map(|mode| DeploymentConfig { mode: mode.clone() }),
            disable_validation: self.skip_validation.then_some(true),
        })
    }
}

fn limit(what: &str, length: usize, most: usize) -> Result<(), AwsError> {
    match length > most {
        true => Err(invalid(format_args!("the list of {what} has {length} entries; it takes up to {most}"))),
        false => Ok(()),
    }
}

fn triggers(given: &records::RollbackTriggers) -> Result<SentTriggers, AwsError> {
    limit("alarms", given.alarms.len() + given.composites.len(), ALARMS)?;
    if given.minutes > MINUTES {
        return Err(invalid(format_args!("alarms are watched for up to {MINUTES} minutes, not {}", given.minutes)));
    }
    let trigger = |arn: &String, kind: &'static str| match arn.parse::<Arn>() {
        Ok(alarm) if alarm.service() == "cloudwatch" && alarm.resource().starts_with("alarm:") => {
            Ok(SentTrigger { arn: arn.clone(), r#type: kind })
        }
        _ => Err(invalid(format_args!("{arn:?} is not the ARN of an alarm"))),
    };
    let metric = given.alarms.iter().map(|arn| trigger(arn, "AWS::CloudWatch::Alarm"));
    let composite = given.composites.iter().map(|arn| trigger(arn, COMPOSITE));
    let rollback_triggers = metric.chain(composite).collect::<Result<_, _>>()?;
    Ok(SentTriggers { rollback_triggers, monitoring_time_in_minutes: given.minutes })
}

/// A change set as it is; none where there is none of that name.
async fn seen(look: &Look, stack: &str, name: &str) -> Result<Option<DescribeChangeSetResponse>, AwsError> {
    let request = DescribeChangeSetRequest { stack: stack.to_owned(), name: name.to_owned(), values: false };
    match look.read(&request).await {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

impl Write for CreateChangeSetRequest {
    const RETRY: RetryClass = RetryClass::Natural;
    const LOOKS: &'static [&'static str] = &[LOOK];

    async fn send(&self, aws: &Clients, token: &Token) -> Result<Self::Output, AwsError> {
        let request = self.wire(token)?;
        let made: ChangeSetMade = call(aws, "CreateChangeSet", &request).await?;
        if made.id.is_empty() {
            return Err(incomplete("the change set"));
        }
        Ok(CreateChangeSetResponse { name: request.change_set_name, id: made.id, stack_id: made.stack_id })
    }

    /// A second one of its name is refused, and what the stack is may be something else meanwhile.
    fn means_the_same_later(&self) -> bool {
        false
    }

    async fn fate(&self, look: &Look, asked: &Unanswered<'_>) -> Result<Fate<Self::Output>, AwsError> {
        let name = name(asked.token);
        Ok(match seen(look, &self.stack, &name).await? {
            Some(found) => Fate::Happened {
                evidence: format!(
                    "the change set that is named after the call is there, and its status is {}",
                    found.status
                ),
                output: CreateChangeSetResponse { name, id: found.id, stack_id: found.stack_id },
            },
            None => Fate::NotHappened { evidence: "no change set is named after the call".to_owned() },
        })
    }
}

impl Write for ExecuteChangeSetRequest {
    const RETRY: RetryClass = RetryClass::Unsafe;
    const LOOKS: &'static [&'static str] = &[LOOK, EVENTS];

    async fn send(&self, aws: &Clients, token: &Token) -> Result<Self::Output, AwsError> {
        STACK.check(&self.stack)?;
        check_change_set(&self.name)?;
        let request = ExecuteChangeSet {
            stack_name: self.stack.clone(),
            change_set_name: self.name.clone(),
            client_request_token: token.as_str().to_owned(),
            disable_rollback: self.disable_rollback,
            retain_except_on_create: self.retain_except_on_create.then_some(true),
        };
        begin(aws, "ExecuteChangeSet", &request).await?;
        Ok(Begun { token: token.as_str().to_owned() })
    }

    /// The stack's id: one that fails and is deleted is found by that alone.
    async fn before(&self, look: &Look) -> Result<Option<Value>, AwsError> {
        let found = seen(look, &self.stack, &self.name).await?;
        Ok(found.map(|found| Value::from(found.stack_id)))
    }

    async fn fate(&self, look: &Look, asked: &Unanswered<'_>) -> Result<Fate<Self::Output>, AwsError> {
        let id = asked.before.and_then(Value::as_str).unwrap_or(&self.stack);
        match operation_fate(look, id, asked).await? {
            Some(Fate::NotHappened { evidence }) => Ok(match seen(look, id, &self.name).await? {
                // Somebody did execute it, and CloudFormation may be late with the events that tell who.
                Some(found) if found.execution.starts_with("EXECUTE_") => Fate::Unknown {
                    evidence: format!("the change set's execution is {}, but {evidence}", found.execution),
                    check: format!(
                        "look at the events of the stack {} for the token {}",
                        self.stack,
                        asked.token.as_str()
                    ),
                    likely: Some(Begun { token: asked.token.as_str().to_owned() }),
                },
                Some(_) | None => Fate::NotHappened { evidence },
            }),
            Some(fate) => Ok(fate),
            None => Ok(Fate::NotHappened { evidence: "the stack is not there".to_owned() }),
        }
    }
}

impl Write for DeleteChangeSetRequest {
    const RETRY: RetryClass = RetryClass::Natural;
    const LOOKS: &'static [&'static str] = &[LOOK];

    async fn send(&self, aws: &Clients, _: &Token) -> Result<Self::Output, AwsError> {
        STACK.check(&self.stack)?;
        check_change_set(&self.name)?;
        let request = DeleteChangeSet { stack_name: self.stack.clone(), change_set_name: self.name.clone() };
        let Nothing {} = call(aws, "DeleteChangeSet", &request).await?;
        Ok(DeleteChangeSetResponse { name: self.name.clone() })
    }

    async fn fate(&self, look: &Look, _: &Unanswered<'_>) -> Result<Fate<Self::Output>, AwsError> {
        let output = DeleteChangeSetResponse { name: self.name.clone() };
        Ok(match seen(look, &self.stack, &self.name).await? {
            None => Fate::Happened { output, evidence: "the change set is not there any more".to_owned() },
            Some(found)
                if matches!(found.status.as_str(), "DELETE_PENDING" | "DELETE_IN_PROGRESS" | "DELETE_COMPLETE") =>
            {
                Fate::Happened { output, evidence: format!("the change set's status is {}", found.status) }
            }
            Some(found) => Fate::NotHappened { evidence: format!("the change set's status is {}", found.status) },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_to_secrets_are_found_as_the_vault_knows_them() {
        let arn = "arn:aws:secretsmanager:us-west-2:111111111111:secret:db-AbCdEf";
        let one = format!("{{{{resolve:secretsmanager:{arn}:SecretString:password::v1}}}}");
        assert_eq!(dynamic_references(&one), [format!("{arn}:password::v1")]);
        let whole = format!("x{{{{resolve:secretsmanager:{arn}}}}}y{{{{resolve:secretsmanager:db:SecretString:k}}}}");
        assert_eq!(dynamic_references(&whole), [format!("{arn}:::"), "db:k::".to_owned()]);
        assert!(dynamic_references("{{resolve:ssm:/a/b}} plain").is_empty());
        assert_eq!(dynamic_references("{{resolve:secretsmanager:").len(), 1, "what has no end is one, too");
    }
}
