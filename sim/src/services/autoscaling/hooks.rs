//! Lifecycle hooks: what an instance waits for when it begins or ends.
//!
//! The main type is [`LifecycleHook`].

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::activities::{ActivityStatus, must_be, note};
use super::events::Event;
use super::launching::{abandoned, in_service};
use super::leaving::end;
use super::member::{HookWait, MemberPhase};
use super::state::{group, invalid};
use crate::ctx::{Ctx, Scope};
use crate::error::AwsError;
use crate::services::ec2;

/// Which way an instance goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Transition {
    Launching,
    Terminating,
}

impl Transition {
    fn name(self) -> &'static str {
        match self {
            Transition::Launching => "autoscaling:EC2_INSTANCE_LAUNCHING",
            Transition::Terminating => "autoscaling:EC2_INSTANCE_TERMINATING",
        }
    }
}

/// What is said of an instance that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum HookResult {
    Continue,
    Abandon,
}

/// A hook.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct LifecycleHook {
    pub(super) name: String,
    pub(super) transition: Transition,
    #[serde(skip)]
    pub(super) heartbeat: Duration,
    pub(super) default: HookResult,
    /// What whoever is told answers, how long after, and of the instances of which image (its name or id); nobody answers where there is
    /// nothing.
    #[serde(skip)]
    pub(super) answers: Vec<(Option<String>, Duration, HookResult)>,
}

/// Let an instance wait for the group's hooks of its way, if there are any.
pub(super) fn wait(scope: &mut Scope<'_>, name: &str, id: &str, transition: Transition) -> bool {
    let Some(fleet) = group(scope, name) else { return false };
    let Some(hook) = fleet.hooks.iter().find(|hook| hook.transition == transition).cloned() else { return false };
    let Some(image) = fleet.members.get(id).map(|member| member.image.clone()) else { return false };
    let image_name = ec2::image(scope, &image).map(|image| image.name.clone());
    let token = scope.world.ids.uuid(&format!("autoscaling/hook/{}/{name}", scope.at));
    let is = |wanted: &String| *wanted == image || Some(wanted) == image_name.as_ref();
    let answer = hook.answers.iter().find(|(of, _, _)| of.as_ref().is_none_or(is));
    let (after, result) = match answer {
        Some((_, after, result)) if *after < hook.heartbeat => (*after, Some(*result)),
        Some(_) | None => (hook.heartbeat, None),
    };
    let Some(member) = group(scope, name).and_then(|group| group.members.get_mut(id)) else { return false };
    member.phase = match transition {
        Transition::Launching => MemberPhase::PendingWait,
        Transition::Terminating => MemberPhase::TerminatingWait,
    };
    member.hook = Some(HookWait { name: hook.name, token: token.clone() });
    let activity = member.activity.clone();
    note(scope, name, &activity, ActivityStatus::MidLifecycleAction, None);
    let event = Event::Hook { group: name.to_owned(), instance: id.to_owned(), token, result };
    scope.schedule(after, event);
    true
}

/// Somebody answered for an instance, or nobody in time.
pub(super) fn answered(scope: &mut Scope<'_>, name: &str, id: &str, token: &str, result: Option<HookResult>) {
    let Some(fleet) = group(scope, name) else { return };
    let Some(member) = fleet.members.get_mut(id) else { return };
    let Some(wait) = member.hook.clone().filter(|wait| wait.token == token) else { return };
    member.hook = None;
    let (phase, default) =
        (member.phase, fleet.hooks.iter().find(|hook| hook.name == wait.name).map(|hook| hook.default));
    match (phase, result.or(default).unwrap_or(HookResult::Abandon)) {
        (MemberPhase::PendingWait, HookResult::Continue) => in_service(scope, name, id),
        (MemberPhase::PendingWait, HookResult::Abandon) => {
            let how = match result {
                Some(_) => "Lifecycle Action Completed with ABANDON Result",
                None => "Heartbeat Timeout",
            };
            let message = format!(
                "Instance failed to complete user's Lifecycle Action: Lifecycle Action with token {token} was abandoned: {how}"
            );
            abandoned(scope, name, id, message);
        }
        // Whatever is said of one that ends, it ends.
        (MemberPhase::TerminatingWait, _) => end(scope, name, id),
        _ => {}
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeLifecycleHooks {
    auto_scaling_group_name: String,
    #[serde(default)]
    lifecycle_hook_names: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct HooksFound {
    lifecycle_hooks: Vec<Value>,
}

pub(super) fn describe_lifecycle_hooks(
    ctx: &mut Ctx<'_>,
    input: DescribeLifecycleHooks,
) -> Result<HooksFound, AwsError> {
    must_be(ctx, &input.auto_scaling_group_name)?;
    let hooks = group(ctx, &input.auto_scaling_group_name).map(|group| group.hooks.clone()).unwrap_or_default();
    let wanted =
        |hook: &LifecycleHook| input.lifecycle_hook_names.is_empty() || input.lifecycle_hook_names.contains(&hook.name);
    let shown = |hook: LifecycleHook| {
        json!({
            "LifecycleHookName": hook.name,
            "AutoScalingGroupName": input.auto_scaling_group_name,
            "LifecycleTransition": hook.transition.name(),
            "HeartbeatTimeout": hook.heartbeat.as_secs(),
            "GlobalTimeout": hook.heartbeat.as_secs().saturating_mul(100).min(172_800),
            "DefaultResult": hook.default,
        })
    };
    Ok(HooksFound { lifecycle_hooks: hooks.into_iter().filter(wanted).map(shown).collect() })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CompleteLifecycleAction {
    lifecycle_hook_name: String,
    auto_scaling_group_name: String,
    lifecycle_action_token: Option<String>,
    lifecycle_action_result: String,
    instance_id: Option<String>,
}

#[derive(Serialize)]
pub(super) struct LifecycleActionCompleted {}

pub(super) fn complete_lifecycle_action(
    ctx: &mut Ctx<'_>,
    input: CompleteLifecycleAction,
) -> Result<LifecycleActionCompleted, AwsError> {
    let name = input.auto_scaling_group_name;
    must_be(ctx, &name)?;
    let result = match input.lifecycle_action_result.as_str() {
        "CONTINUE" => HookResult::Continue,
        "ABANDON" => HookResult::Abandon,
        _ => return Err(invalid("Lifecycle action result must be either CONTINUE or ABANDON")),
    };
    let waits = group(ctx, &name).and_then(|group| {
        group.members.values().find_map(|member| {
            let wait = member.hook.as_ref().filter(|wait| wait.name == input.lifecycle_hook_name)?;
            let by_id = input.instance_id.as_ref() == Some(&member.id);
            let by_token = input.lifecycle_action_token.as_ref() == Some(&wait.token);
            (by_id || by_token).then(|| (member.id.clone(), wait.token.clone()))
        })
    });
    let (id, token) = waits.ok_or_else(|| {
        let which = input.instance_id.or(input.lifecycle_action_token).unwrap_or_default();
        invalid(format!("No active Lifecycle Action found with instance ID {which}"))
    })?;
    answered(ctx, &name, &id, &token, Some(result));
    let arn = group(ctx, &name).map(|group| group.arn.clone()).unwrap_or_default();
    ctx.touch(arn);
    Ok(LifecycleActionCompleted {})
}
