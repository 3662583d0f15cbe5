//! Operations on lifecycle policies, and what they do with time.
//!
//! The main functions are [`put_lifecycle_policy`], [`get_lifecycle_policy_preview`] and [`evaluate`].

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::events::Event;
use super::lifecycle::{Chosen, LifecycleEffect, LifecyclePolicy};
use super::state::{Held, ImageId, ImageStatus, Preview, enter, find, invalid, invalid_token};
use crate::clock::Timestamp;
use crate::ctx::{Ctx, Scope};
use crate::error::AwsError;

/// A policy is evaluated within a day of its coming, and then once a day.
const EVALUATED: Duration = Duration::from_secs(86_400);
/// How long a preview takes.
const PREVIEWED: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PutLifecyclePolicy {
    registry_id: Option<String>,
    repository_name: String,
    lifecycle_policy_text: String,
}

/// A repository whose policy is asked for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PolicyOf {
    registry_id: Option<String>,
    repository_name: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PolicyOutput {
    registry_id: String,
    repository_name: String,
    lifecycle_policy_text: String,
    last_evaluated_at: Option<Timestamp>,
}

fn parse(text: &str) -> Result<LifecyclePolicy, AwsError> {
    LifecyclePolicy::parse(text).map_err(|wrong| {
        invalid(format!(
            "Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint: 'Lifecycle policy validation \
             failure: {wrong}'"
        ))
    })
}

fn no_policy(repository: &str, registry: &str) -> AwsError {
    let message = format!(
        "Lifecycle policy does not exist for the repository with name '{repository}' in the registry with id '{registry}'"
    );
    AwsError::new("LifecyclePolicyNotFoundException", message)
}

pub(super) fn put_lifecycle_policy(ctx: &mut Ctx<'_>, input: PutLifecyclePolicy) -> Result<PolicyOutput, AwsError> {
    enter(ctx, input.registry_id)?;
    let policy = parse(&input.lifecycle_policy_text)?;
    let now = ctx.now();
    let repository = find(ctx, &input.repository_name)?;
    let arn = repository.arn.clone();
    let text = input.lifecycle_policy_text;
    repository.lifecycle = Some(Held { text: text.clone(), policy, put: now, evaluated: None });
    ctx.touch(arn);
    ctx.schedule(EVALUATED, Event::Evaluated { repository: input.repository_name.clone(), put: now });
    Ok(PolicyOutput {
        registry_id: ctx.at.account.clone(),
        repository_name: input.repository_name,
        lifecycle_policy_text: text,
        last_evaluated_at: None,
    })
}

pub(super) fn get_lifecycle_policy(ctx: &mut Ctx<'_>, input: PolicyOf) -> Result<PolicyOutput, AwsError> {
    enter(ctx, input.registry_id)?;
    let registry = ctx.at.account.clone();
    let held = find(ctx, &input.repository_name)?.lifecycle.clone();
    let held = held.ok_or_else(|| no_policy(&input.repository_name, &registry))?;
    let last_evaluated_at = Some(held.evaluated.unwrap_or(Timestamp(0)));
    let repository_name = input.repository_name;
    Ok(PolicyOutput { registry_id: registry, repository_name, lifecycle_policy_text: held.text, last_evaluated_at })
}

pub(super) fn delete_lifecycle_policy(ctx: &mut Ctx<'_>, input: PolicyOf) -> Result<PolicyOutput, AwsError> {
    enter(ctx, input.registry_id)?;
    let registry = ctx.at.account.clone();
    let repository = find(ctx, &input.repository_name)?;
    let arn = repository.arn.clone();
    let held = repository.lifecycle.take().ok_or_else(|| no_policy(&input.repository_name, &registry))?;
    ctx.touch(arn);
    let last_evaluated_at = Some(held.evaluated.unwrap_or(Timestamp(0)));
    let repository_name = input.repository_name;
    Ok(PolicyOutput { registry_id: registry, repository_name, lifecycle_policy_text: held.text, last_evaluated_at })
}

/// Apply a repository's policy, if it is still the one that was put then, and again a day later.
pub(super) fn evaluate(scope: &mut Scope<'_>, name: &str, put: Timestamp) {
    let now = scope.now();
    let Some(repository) = scope.place().ecr.repositories.get_mut(name) else { return };
    let Some(held) = repository.lifecycle.as_mut().filter(|held| held.put == put) else { return };
    held.evaluated = Some(now);
    let chosen = held.policy.apply(&repository.images, now);
    for Chosen { digest, effect, .. } in chosen {
        match effect {
            LifecycleEffect::Expires => {
                repository.images.remove(&digest);
            }
            LifecycleEffect::IsArchived => {
                if let Some(image) = repository.images.get_mut(&digest) {
                    image.storage.status = ImageStatus::Archived;
                    image.storage.archived = Some(now);
                }
            }
        }
    }
    scope.schedule(EVALUATED, Event::Evaluated { repository: name.to_owned(), put });
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StartLifecyclePolicyPreview {
    registry_id: Option<String>,
    repository_name: String,
    lifecycle_policy_text: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum PreviewStatus {
    InProgress,
    Complete,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PreviewStarted {
    registry_id: String,
    repository_name: String,
    lifecycle_policy_text: String,
    status: PreviewStatus,
}

pub(super) fn start_lifecycle_policy_preview(
    ctx: &mut Ctx<'_>,
    input: StartLifecyclePolicyPreview,
) -> Result<PreviewStarted, AwsError> {
    enter(ctx, input.registry_id)?;
    let (now, registry) = (ctx.now(), ctx.at.account.clone());
    let repository = find(ctx, &input.repository_name)?;
    let arn = repository.arn.clone();
    if repository.preview.as_ref().is_some_and(|preview| now < preview.ready) {
        let message = format!(
            "The lifecycle policy preview for the repository with name '{}' in the registry with id '{registry}' is in \
             progress",
            input.repository_name
        );
        return Err(AwsError::new("LifecyclePolicyPreviewInProgressException", message));
    }
    let (text, policy) = match input.lifecycle_policy_text {
        Some(text) => (text.clone(), parse(&text)?),
        None => {
            let held = repository.lifecycle.as_ref().ok_or_else(|| no_policy(&input.repository_name, &registry))?;
            (held.text.clone(), held.policy.clone())
        }
    };
    repository.preview = Some(Preview { text: text.clone(), policy, ready: now + PREVIEWED });
    ctx.touch(arn);
    Ok(PreviewStarted {
        registry_id: registry,
        repository_name: input.repository_name,
        lifecycle_policy_text: text,
        status: PreviewStatus::InProgress,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GetLifecyclePolicyPreview {
    registry_id: Option<String>,
    repository_name: String,
    image_ids: Option<Vec<ImageId>>,
    next_token: Option<String>,
    max_results: Option<usize>,
    filter: Option<PreviewFilter>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PreviewFilter {
    tag_status: Option<PreviewedTags>,
}

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum PreviewedTags {
    Tagged,
    Untagged,
    Any,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PreviewOutput {
    registry_id: String,
    repository_name: String,
    lifecycle_policy_text: String,
    status: PreviewStatus,
    next_token: Option<String>,
    preview_results: Vec<PreviewResult>,
    summary: Summary,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PreviewResult {
    image_tags: Vec<String>,
    image_digest: String,
    image_pushed_at: Timestamp,
    action: PreviewAction,
    applied_rule_priority: u64,
    storage_class: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PreviewAction {
    r#type: &'static str,
    target_storage_class: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    expiring_image_total_count: usize,
    transitioning_image_total_counts: Option<Vec<Transitioning>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Transitioning {
    target_storage_class: &'static str,
    image_total_count: usize,
}

impl LifecycleEffect {
    fn action(self) -> PreviewAction {
        match self {
            LifecycleEffect::Expires => PreviewAction { r#type: "EXPIRE", target_storage_class: None },
            LifecycleEffect::IsArchived => {
                PreviewAction { r#type: "TRANSITION", target_storage_class: Some("ARCHIVE") }
            }
        }
    }
}

pub(super) fn get_lifecycle_policy_preview(
    ctx: &mut Ctx<'_>,
    input: GetLifecyclePolicyPreview,
) -> Result<PreviewOutput, AwsError> {
    enter(ctx, input.registry_id)?;
    let (now, registry, name) = (ctx.now(), ctx.at.account.clone(), input.repository_name);
    let repository = find(ctx, &name)?;
    let Some(preview) = repository.preview.clone() else {
        let message = format!(
            "Could not find lifecycle policy preview for the repository with name '{name}' in the registry with id \
             '{registry}'"
        );
        return Err(AwsError::new("LifecyclePolicyPreviewNotFoundException", message));
    };
    let status = if now < preview.ready { PreviewStatus::InProgress } else { PreviewStatus::Complete };
    let chosen = match status {
        PreviewStatus::InProgress => Vec::new(),
        PreviewStatus::Complete => preview.policy.apply(&repository.images, now),
    };
    let count = |effect: LifecycleEffect| chosen.iter().filter(|chosen| chosen.effect == effect).count();
    let (expiring, archived) = (count(LifecycleEffect::Expires), count(LifecycleEffect::IsArchived));
    let named: Option<Vec<String>> = input
        .image_ids
        .as_ref()
        .map(|ids| ids.iter().filter_map(|id| repository.image(id)).map(|image| image.digest.clone()).collect());
    let wanted = |result: &PreviewResult| {
        named.as_ref().is_none_or(|named| named.contains(&result.image_digest))
            && match input.filter.as_ref().and_then(|filter| filter.tag_status.as_ref()) {
                Some(PreviewedTags::Tagged) => !result.image_tags.is_empty(),
                Some(PreviewedTags::Untagged) => result.image_tags.is_empty(),
                Some(PreviewedTags::Any) | None => true,
            }
    };
    let results = chosen.iter().filter_map(|chosen| {
        let image = repository.images.get(&chosen.digest)?;
        Some(PreviewResult {
            image_tags: image.tags.clone(),
            image_digest: image.digest.clone(),
            image_pushed_at: image.pushed,
            action: chosen.effect.action(),
            applied_rule_priority: chosen.priority,
            storage_class: if image.storage.is_archived() { "ARCHIVE" } else { "STANDARD" },
        })
    });
    let results: Vec<PreviewResult> = results.filter(wanted).collect();
    let size = input.max_results.unwrap_or(100).clamp(1, 100);
    let list = format!("ecr:preview:{name}");
    let (preview_results, next_token) = ctx
        .page(&list, results, size, input.next_token.as_deref(), |result: &PreviewResult| &result.image_digest)
        .map_err(invalid_token)?;
    let transitioning =
        (archived > 0).then(|| vec![Transitioning { target_storage_class: "ARCHIVE", image_total_count: archived }]);
    Ok(PreviewOutput {
        registry_id: registry,
        repository_name: name,
        lifecycle_policy_text: preview.text,
        status,
        next_token,
        preview_results,
        summary: Summary { expiring_image_total_count: expiring, transitioning_image_total_counts: transitioning },
    })
}
