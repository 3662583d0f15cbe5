//! Task definitions, read and registered without losing a field that this version of the SDK does not know.
//!
//! Every request record about them is an [`Operation`]; [`RegisterTaskDefinitionRequest`] is the one that makes one.

use aws_sdk_ecs::types as sdk;
use serde_json::{Map, Value, json};

use super::cluster::NAME;
use crate::aws::clients::Clients;
use crate::aws::error::{AwsError, ErrorKind, from_sdk, invalid};
use crate::aws::look::Look;
use crate::aws::names::{self, Given, ResourceKind};
use crate::aws::operation::{Fate, Operation, Read, RetryClass, TOKEN_TAG, Token, Unanswered, Write, heads};
use crate::aws::raw_json::RawJson;
use crate::aws::values::{count, incomplete, list, unreadable, word};
use crate::contract::bindings::kiln::aws::types::Pair;
use crate::contract::bindings::kiln::aws_ecs::ecs::{
    Container, DeregisterTaskDefinitionRequest, DeregisterTaskDefinitionResponse, DescribeTaskDefinitionRequest,
    DescribeTaskDefinitionResponse, RegisterTaskDefinitionRequest, RegisterTaskDefinitionResponse, TaskDefinition,
};
use crate::json::{self, Unreadable};
use crate::types::Arn;
use crate::types::Place;

/// What an answer says of a task definition, and the input of `RegisterTaskDefinition` does not take.
const DESCRIPTIVE: [&str; 9] = [
    "taskDefinitionArn",
    "revision",
    "status",
    "requiresAttributes",
    "compatibilities",
    "registeredAt",
    "registeredBy",
    "deregisteredAt",
    "deleteRequestedAt",
];

/// A family, or one revision of it.
const DEFINITION: ResourceKind = ResourceKind::new("ecs", "a task definition", "task-definition/", "-_:");

/// Refuse what is not one revision of a task definition: a family alone means whichever is newest.
pub(super) fn check_revision(given: &str) -> Result<(), AwsError> {
    DEFINITION.check(given)?;
    let arn = Given::from(given);
    let name = match &arn {
        Given::Name(name) => name,
        Given::Arn(arn) => arn.resource(),
    };
    match name.split_once(':') {
        Some((_, revision)) if revision.parse::<u32>().is_ok() => Ok(()),
        _ => Err(invalid(format_args!("{given:?} does not name a revision of a task definition: FAMILY:REVISION"))),
    }
}

fn task_definition(
    definition: Option<sdk::TaskDefinition>,
    tags: Option<Vec<sdk::Tag>>,
    answer: Option<Result<Value, Unreadable>>,
) -> Result<TaskDefinition, AwsError> {
    let definition = definition.ok_or_else(|| incomplete("the task definition"))?;
    let answer = answer.transpose().map_err(|why| unreadable("a task definition", &why))?;
    let Some(mut document) = answer.and_then(|mut answer| answer.get_mut("taskDefinition").map(Value::take)) else {
        return Err(incomplete("the task definition's document"));
    };
    document.sort_all_objects();
    let container = |container: sdk::ContainerDefinition| Container {
        name: container.name.unwrap_or_default(),
        image: container.image.unwrap_or_default(),
    };
    let tag = |tag: sdk::Tag| Pair { name: tag.key.unwrap_or_default(), value: tag.value.unwrap_or_default() };
    Ok(TaskDefinition {
        arn: definition.task_definition_arn.unwrap_or_default(),
        family: definition.family.unwrap_or_default(),
        revision: count(definition.revision),
        status: word(definition.status),
        containers: list(definition.container_definitions, container),
        document: document.to_string(),
        tags: list(tags, tag),
    })
}

heads! {
    DescribeTaskDefinitionRequest => DescribeTaskDefinitionResponse:
        "ecs:DescribeTaskDefinition" on |_, _| [];
    DeregisterTaskDefinitionRequest => DeregisterTaskDefinitionResponse:
        "ecs:DeregisterTaskDefinition" on |_, _| [];
}

impl Read for DescribeTaskDefinitionRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        DEFINITION.check(&self.task_definition)?;
        let json = RawJson::received();
        let output = aws
            .ecs()
            .describe_task_definition()
            .task_definition(&self.task_definition)
            .include(sdk::TaskDefinitionField::Tags)
            .customize()
            .interceptor(json.clone())
            .send()
            .await
            .map_err(from_sdk)?;
        let task_definition = task_definition(output.task_definition, output.tags, json.answer())?;
        Ok(DescribeTaskDefinitionResponse { task_definition })
    }
}

/// A document that can be registered, and its family.
fn registrable(document: &str) -> Result<(Map<String, Value>, String), AwsError> {
    let value = json::read(document.as_bytes())
        .map_err(|why| invalid(format_args!("the task definition's document is {why}")))?;
    let Value::Object(mut object) = value else {
        return Err(invalid("the task definition's document is not a JSON object"));
    };
    let family = match object.get("family") {
        Some(Value::String(family)) => family.clone(),
        _ => return Err(invalid("the task definition's document has no text `family`")),
    };
    names::check("a family", &family, NAME)?;
    if !matches!(object.get("containerDefinitions"), Some(Value::Array(containers)) if !containers.is_empty()) {
        return Err(invalid("the task definition's document has no list `containerDefinitions`, or an empty one"));
    }
    object.retain(|field, _| !DESCRIPTIVE.contains(&field.as_str()));
    Ok((object, family))
}

/// The roles that the document hands to ECS. A role may be given by its ARN or its name.
fn roles(document: &Map<String, Value>, at: &Place) -> Vec<Arn> {
    let given = ["taskRoleArn", "executionRoleArn"].iter().filter_map(|field| document.get(*field)?.as_str());
    let role = |given: &str| match Given::from(given) {
        Given::Arn(arn) => arn,
        Given::Name(name) => Arn::new(&at.partition, "iam", "", at.account.as_str(), &format!("role/{name}")),
    };
    given.filter(|given| !given.is_empty()).map(role).collect()
}

/// The document's own tags, replaced and joined by `tags`, and the token.
fn tagged(own: Option<Value>, tags: &[Pair], token: &Token) -> Result<Value, AwsError> {
    let mut all: Map<String, Value> = Map::new();
    match own {
        None | Some(Value::Null) => {}
        Some(Value::Array(own)) => {
            for tag in own {
                let Some(Value::String(key)) = tag.get("key") else {
                    return Err(invalid("a tag of the task definition's document has no text `key`"));
                };
                all.insert(key.clone(), tag.get("value").cloned().unwrap_or_else(|| json!("")));
            }
        }
        Some(_) => return Err(invalid("`tags` of the task definition's document is not a list")),
    }
    all.extend(tags.iter().map(|tag| (tag.name.clone(), json!(tag.value))));
    all.insert(TOKEN_TAG.to_owned(), json!(token.as_str()));
    Ok(all.into_iter().map(|(key, value)| json!({ "key": key, "value": value })).collect())
}

impl Operation for RegisterTaskDefinitionRequest {
    type Output = RegisterTaskDefinitionResponse;
    const ACTION: &'static str = "ecs:RegisterTaskDefinition";
    const REQUIRES: &'static [&'static str] = &["ecs:TagResource"];

    fn resources(&self, at: &Place) -> Vec<Arn> {
        // A document without a family is refused before it is sent; no permission is meant to match this one.
        let family = registrable(&self.document).map_or_else(|_| String::new(), |(_, family)| family);
        vec![DEFINITION.arn(at, &format!("{family}:*"))]
    }

    fn requires(&self, at: &Place) -> Vec<(&'static str, Vec<Arn>)> {
        // It always has tags, because it has the token's.
        vec![("ecs:TagResource", self.resources(at))]
    }

    const PASSES_TO: Option<&'static str> = Some("ecs-tasks.amazonaws.com");

    fn passes(&self, at: &Place) -> Vec<Arn> {
        registrable(&self.document).map(|(document, _)| roles(&document, at)).unwrap_or_default()
    }
}

impl Write for RegisterTaskDefinitionRequest {
    const RETRY: RetryClass = RetryClass::Unsafe;
    const LOOKS: &'static [&'static str] = &["ecs:DescribeTaskDefinition"];

    async fn send(&self, aws: &Clients, token: &Token) -> Result<Self::Output, AwsError> {
        let (mut document, family) = registrable(&self.document)?;
        let tags = tagged(document.remove("tags"), &self.tags, token)?;
        document.insert("tags".to_owned(), tags);
        let mut document = Value::Object(document);
        document.sort_all_objects();
        let json = RawJson::sending(document.to_string());
        let output = aws
            .ecs()
            .register_task_definition()
            .family(family)
            .container_definitions(sdk::ContainerDefinition::builder().build())
            .customize()
            .interceptor(json.clone())
            .send()
            .await
            .map_err(from_sdk)?;
        let task_definition = task_definition(output.task_definition, output.tags, json.answer())?;
        Ok(RegisterTaskDefinitionResponse { task_definition })
    }

    async fn before(&self, look: &Look) -> Result<Option<Value>, AwsError> {
        let (_, family) = registrable(&self.document)?;
        let newest = existing(look, family).await?.map_or(0, |definition| definition.revision);
        Ok(Some(json!({ "newest": newest })))
    }

    async fn fate(&self, look: &Look, unanswered: &Unanswered<'_>) -> Result<Fate<Self::Output>, AwsError> {
        let (_, family) = registrable(&self.document)?;
        let before = unanswered.before.and_then(|before| before.get("newest")?.as_u64()).unwrap_or(0);
        let Some(newest) = existing(look, family.clone()).await? else {
            return Ok(Fate::NotHappened { evidence: format!("{family} has no revision") });
        };
        let last = u64::from(newest.revision);
        let first = last.saturating_sub(LOOKED_AT - 1).max(before + 1);
        // Whoever makes a revision of one that there is may copy its tags: the oldest that carries the token is ours.
        let mut ours = None;
        let mut next = Some(newest);
        for revision in (first..=last).rev() {
            let definition = match next.take() {
                Some(newest) => Some(newest),
                None => existing(look, format!("{family}:{revision}")).await?,
            };
            let carries = |tag: &Pair| tag.name == TOKEN_TAG && tag.value == unanswered.token.as_str();
            ours = definition.filter(|definition| definition.tags.iter().any(carries)).or(ours);
        }
        let is_all = first == before + 1;
        Ok(match ours {
            Some(task_definition) if is_all => {
                let evidence = format!("{} carries the call's token", task_definition.arn);
                Fate::Happened { output: RegisterTaskDefinitionResponse { task_definition }, evidence }
            }
            None if is_all || last <= before => {
                Fate::NotHappened { evidence: format!("no new revision of {family} carries the call's token") }
            }
            ours => Fate::Unknown {
                evidence: format!("{family} has more than {LOOKED_AT} revisions that may be new"),
                check: format!("look which was the first with the tag {TOKEN_TAG}={}", unanswered.token.as_str()),
                likely: ours.map(|task_definition| RegisterTaskDefinitionResponse { task_definition }),
            },
        })
    }
}

/// So many of a family's newest revisions are looked at.
const LOOKED_AT: u64 = 50;

fn describe(task_definition: String) -> DescribeTaskDefinitionRequest {
    DescribeTaskDefinitionRequest { task_definition }
}

/// The newest revision of a family, or the one that is named, if there is one.
async fn existing(look: &Look, task_definition: String) -> Result<Option<TaskDefinition>, AwsError> {
    match look.read(&describe(task_definition)).await {
        Ok(found) => Ok(Some(found.task_definition)),
        // ECS calls what it does not know a mistake of the client.
        Err(error) if matches!(error.kind, ErrorKind::NotFound | ErrorKind::Invalid) => Ok(None),
        Err(error) => Err(error),
    }
}

impl Write for DeregisterTaskDefinitionRequest {
    const RETRY: RetryClass = RetryClass::Natural;
    const LOOKS: &'static [&'static str] = &["ecs:DescribeTaskDefinition"];

    async fn send(&self, aws: &Clients, _: &Token) -> Result<Self::Output, AwsError> {
        check_revision(&self.task_definition)?;
        let request = aws.ecs().deregister_task_definition().task_definition(&self.task_definition);
        let output = request.send().await.map_err(from_sdk)?;
        let definition = output.task_definition.ok_or_else(|| incomplete("the task definition"))?;
        let status = word(definition.status);
        Ok(DeregisterTaskDefinitionResponse { status })
    }

    async fn fate(&self, look: &Look, _: &Unanswered<'_>) -> Result<Fate<Self::Output>, AwsError> {
        let found = look.read(&describe(self.task_definition.clone())).await?;
        let TaskDefinition { arn, status, .. } = found.task_definition;
        Ok(match status.as_str() {
            "INACTIVE" | "DELETE_IN_PROGRESS" => {
                let evidence = format!("{arn} is {status}");
                Fate::Happened { output: DeregisterTaskDefinitionResponse { status }, evidence }
            }
            _ => Fate::SendAgain,
        })
    }
}
