//! Refreshes: how the instances of a group are replaced.
//!
//! Every request record about them is an [`Operation`]; [`StartInstanceRefreshRequest`] is the one that deploys.

use aws_sdk_autoscaling::types as sdk;
use serde_json::{Value, json};

use super::groups::{arn, check};
use crate::aws::clients::Clients;
use crate::aws::error::{AwsError, ErrorKind, from_sdk, invalid};
use crate::aws::limits::Pages;
use crate::aws::look::Look;
use crate::aws::names::{self, Given};
use crate::aws::operation::{Fate, Operation, Read, RetryClass, Token, Unanswered, Write, heads};
use crate::aws::raw_query::RawQuery;
use crate::aws::values::{count, incomplete, is_since, list, millis, word};
use crate::contract::bindings::kiln::aws_autoscaling::autoscaling::{
    CancelInstanceRefreshRequest, CancelInstanceRefreshResponse, DescribeInstanceRefreshesRequest,
    DescribeInstanceRefreshesResponse, InstanceRefresh, RollbackInstanceRefreshRequest,
    RollbackInstanceRefreshResponse, StartInstanceRefreshRequest, StartInstanceRefreshResponse,
};
use crate::json;
use crate::types::{Arn, Place};

heads! {
    DescribeInstanceRefreshesRequest => DescribeInstanceRefreshesResponse:
        "autoscaling:DescribeInstanceRefreshes" on |_, _| [];
}

const DESCRIBE: &str = "autoscaling:DescribeInstanceRefreshes";

/// How many of a group's newest refreshes are looked at.
const NEWEST: u32 = 50;

impl Read for DescribeInstanceRefreshesRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        check(&self.group)?;
        if !(1..=100).contains(&self.limit) {
            return Err(invalid(format_args!("{} refreshes are asked for; it takes 1 to 100", self.limit)));
        }
        self.ids.iter().try_for_each(|id| names::check("a refresh", id, "-"))?;
        let (limit, most) = (usize::try_from(self.limit).unwrap_or(usize::MAX), count_of(self.limit)?);
        let ids = (!self.ids.is_empty()).then(|| self.ids.clone());
        let mut pages = Pages::of("refreshes");
        while let Some(token) = pages.next()? {
            let raw = RawQuery::received();
            let request = aws.autoscaling().describe_instance_refreshes().auto_scaling_group_name(&self.group);
            let request = request.set_instance_refresh_ids(ids.clone()).max_records(most).set_next_token(token);
            let page = request.customize().interceptor(raw.clone()).send().await.map_err(from_sdk)?;
            let mut documents = raw.items("InstanceRefreshes")?.into_iter();
            let refreshes = list(page.instance_refreshes, |one| refresh(one, &documents.next().unwrap_or_default()));
            let enough = pages.count() + refreshes.len() >= limit;
            pages.add(refreshes, page.next_token.filter(|_| !enough));
        }
        let mut refreshes = pages.all();
        refreshes.truncate(limit);
        Ok(DescribeInstanceRefreshesResponse { refreshes })
    }
}

fn count_of(limit: u32) -> Result<i32, AwsError> {
    crate::aws::values::signed("the number of refreshes", limit)
}

fn refresh(refresh: sdk::InstanceRefresh, document: &Value) -> InstanceRefresh {
    let part = |name: &str| {
        document.get(name).cloned().map(|mut part| {
            part.sort_all_objects();
            part.to_string()
        })
    };
    let (reason, percentage) = refresh
        .rollback_details
        .map(|details| (details.rollback_reason, details.percentage_complete_on_rollback))
        .unwrap_or_default();
    InstanceRefresh {
        id: refresh.instance_refresh_id.unwrap_or_default(),
        status: word(refresh.status),
        reason: refresh.status_reason,
        started: millis(refresh.start_time),
        ended: millis(refresh.end_time),
        percentage: refresh.percentage_complete.map_or(0, count),
        to_update: refresh.instances_to_update.map_or(0, count),
        // It is left out of those from before there was another.
        strategy: refresh.strategy.map_or("Rolling".to_owned(), |strategy| strategy.as_str().to_owned()),
        preferences: part("Preferences"),
        desired_configuration: part("DesiredConfiguration"),
        rollback_reason: reason,
        percentage_on_rollback: percentage.map(count),
    }
}

impl Operation for StartInstanceRefreshRequest {
    type Output = StartInstanceRefreshResponse;
    const ACTION: &'static str = "autoscaling:StartInstanceRefresh";
    const REQUIRES: &'static [&'static str] = &["ec2:RunInstances"];
    const PASSES_TO: Option<&'static str> = Some("ec2.amazonaws.com");

    fn resources(&self, at: &Place) -> Vec<Arn> {
        vec![arn(at, &self.group)]
    }

    /// Whoever lets instances be launched of a template must be allowed to launch them.
    fn requires(&self, at: &Place) -> Vec<(&'static str, Vec<Arn>)> {
        let kinds = ["instance", "network-interface", "security-group", "subnet", "volume", "launch-template"];
        let mut launched: Vec<Arn> = kinds.iter().map(|kind| names::here(at, "ec2", &format!("{kind}/*"))).collect();
        // Images belong to no account.
        launched.push(Arn::new(&at.partition, "ec2", at.region.as_str(), "", "image/*"));
        self.desired_configuration.iter().map(|_| ("ec2:RunInstances", launched.clone())).collect()
    }

    fn passes(&self, at: &Place) -> Vec<Arn> {
        let role = |role: &String| match Given::from(role.as_str()) {
            Given::Arn(arn) => arn,
            Given::Name(name) => Arn::new(
                &at.partition,
                "iam",
                "",
                at.account.as_str(),
                &format!("role/{}", name.trim_start_matches('/')),
            ),
        };
        self.roles.iter().map(role).collect()
    }
}

impl Write for StartInstanceRefreshRequest {
    const RETRY: RetryClass = RetryClass::Unsafe;
    const LOOKS: &'static [&'static str] = &[DESCRIBE];

    async fn send(&self, aws: &Clients, _: &Token) -> Result<Self::Output, AwsError> {
        check(&self.group)?;
        let strategy = match self.strategy.as_deref() {
            None => None,
            Some("Rolling") => Some(sdk::RefreshStrategy::Rolling),
            Some("ReplaceRootVolume") => Some(sdk::RefreshStrategy::ReplaceRootVolume),
            Some(other) => return Err(invalid(format_args!("{other:?} is no strategy of a refresh"))),
        };
        let raw = RawQuery::adding(&[
            ("DesiredConfiguration", self.desired_configuration.as_deref()),
            ("Preferences", self.preferences.as_deref()),
        ])?;
        let request = aws.autoscaling().start_instance_refresh().auto_scaling_group_name(&self.group);
        let request = request.set_strategy(strategy).customize().interceptor(raw);
        let output = request.send().await.map_err(from_sdk)?;
        let id = output.instance_refresh_id.ok_or_else(|| incomplete("the id of the refresh"))?;
        Ok(StartInstanceRefreshResponse { id })
    }

    async fn before(&self, look: &Look) -> Result<Option<Value>, AwsError> {
        let known: Vec<String> = newest(look, &self.group).await?.into_iter().map(|refresh| refresh.id).collect();
        Ok(Some(json!({ "refreshes": known })))
    }

    async fn fate(&self, look: &Look, unanswered: &Unanswered<'_>) -> Result<Fate<Self::Output>, AwsError> {
        let known = unanswered.before.and_then(|before| before.get("refreshes")).and_then(Value::as_array);
        let is_known = |id: &str| known.is_some_and(|known| known.iter().any(|one| one.as_str() == Some(id)));
        let mut new = newest(look, &self.group).await?;
        // One that is pending has not begun.
        new.retain(|one| !is_known(&one.id) && (one.started.is_none() || is_since(one.started, unanswered.sent)));
        let ours: Vec<&InstanceRefresh> = new.iter().filter(|one| self.is_of(one)).collect();
        let group = &self.group;
        Ok(match (ours.as_slice(), known) {
            ([], _) => Fate::NotHappened { evidence: format!("{group} has no new refresh to what was asked for") },
            ([one], Some(_)) => Fate::Happened {
                output: StartInstanceRefreshResponse { id: one.id.clone() },
                evidence: format!("the refresh {} of {group} is new and goes to what was asked for", one.id),
            },
            ([one, ..], _) => Fate::Unknown {
                evidence: match known {
                    Some(_) => format!("{group} has {} new refreshes to what was asked for", ours.len()),
                    None => format!("{group} has the refresh {}; what it had before is not known", one.id),
                },
                check: format!("see in CloudTrail who started the refreshes of {group}"),
                likely: Some(StartInstanceRefreshResponse { id: one.id.clone() }),
            },
        })
    }
}

impl StartInstanceRefreshRequest {
    /// Whether a refresh goes where this one was to go.
    fn is_of(&self, refresh: &InstanceRefresh) -> bool {
        let strategy = self.strategy.as_deref().unwrap_or("Rolling");
        let (wanted, found) = (templates(&self.desired_configuration), templates(&refresh.desired_configuration));
        let same = wanted.len() == found.len() && wanted.iter().zip(&found).all(|(one, other)| one.is(other));
        refresh.strategy == strategy && same
    }
}

/// A version of a launch template in a document.
#[derive(Debug, PartialEq, Eq)]
struct NamedVersion {
    id: Option<String>,
    name: Option<String>,
    version: Option<String>,
}

impl NamedVersion {
    /// Whether both mean the same: AWS adds the name to an id, and the id to a name.
    fn is(&self, other: &Self) -> bool {
        let agree = |one: &Option<String>, other: &Option<String>| match (one, other) {
            (Some(one), Some(other)) => one == other,
            (None, _) | (_, None) => true,
        };
        self.version == other.version && agree(&self.id, &other.id) && agree(&self.name, &other.name)
    }
}

/// The versions of launch templates that a document names, in its order.
fn templates(document: &Option<String>) -> Vec<NamedVersion> {
    let document = document.as_deref().and_then(|text| json::read(text.as_bytes()).ok()).unwrap_or_default();
    let mut found = Vec::new();
    gather_templates(&document, &mut found);
    found
}

fn gather_templates(value: &Value, found: &mut Vec<NamedVersion>) {
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let (id, name) = (text("LaunchTemplateId"), text("LaunchTemplateName"));
    if id.is_some() || name.is_some() {
        let version = value.get("Version").map(|version| version.as_str().map_or(version.to_string(), str::to_owned));
        found.push(NamedVersion { id, name, version });
        return;
    }
    match value {
        Value::Array(items) => items.iter().for_each(|item| gather_templates(item, found)),
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            members.into_iter().for_each(|(_, member)| gather_templates(member, found));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The newest refreshes of a group.
async fn newest(look: &Look, group: &str) -> Result<Vec<InstanceRefresh>, AwsError> {
    let request = DescribeInstanceRefreshesRequest { group: group.to_owned(), ids: vec![], limit: NEWEST };
    Ok(look.read(&request).await?.refreshes)
}

fn one(group: &str, id: &str) -> DescribeInstanceRefreshesRequest {
    DescribeInstanceRefreshesRequest { group: group.to_owned(), ids: vec![id.to_owned()], limit: 1 }
}

/// Where a refresh is, as far as cancelling and rolling back matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RefreshPhase {
    /// It goes on.
    Forward,
    /// It is being cancelled, or was.
    Cancelled,
    /// It goes back, or has gone back.
    Back {
        over: bool,
    },
    /// It has ended otherwise.
    Over,
    Unknown,
}

fn phase(status: &str) -> RefreshPhase {
    match status {
        "Pending" | "InProgress" | "Baking" => RefreshPhase::Forward,
        "Cancelling" | "Cancelled" => RefreshPhase::Cancelled,
        "RollbackInProgress" => RefreshPhase::Back { over: false },
        "RollbackSuccessful" | "RollbackFailed" => RefreshPhase::Back { over: true },
        "Successful" | "Failed" => RefreshPhase::Over,
        _ => RefreshPhase::Unknown,
    }
}

/// Refuse to do something to the refresh that is under way in `group` unless it is `id`: AWS would do it to whichever it is.
async fn must_be_under_way(aws: &Clients, group: &str, id: &str) -> Result<(), AwsError> {
    check(group)?;
    names::check("a refresh", id, "-")?;
    let refresh = one(group, id).send(aws).await?.refreshes.into_iter().find(|refresh| refresh.id == id);
    let status = refresh.map(|refresh| refresh.status);
    match status.as_deref().map(phase) {
        Some(RefreshPhase::Forward | RefreshPhase::Back { over: false }) => Ok(()),
        Some(
            RefreshPhase::Cancelled | RefreshPhase::Back { over: true } | RefreshPhase::Over | RefreshPhase::Unknown,
        )
        | None => Err(AwsError {
            kind: ErrorKind::Conflict,
            code: "RefreshNotUnderWay".to_owned(),
            message: match status {
                Some(status) => format!("the refresh {id} of {group} is {status}: it is not under way"),
                None => format!("{group} has no refresh {id}"),
            },
            operation: String::new(),
            request_id: None,
        }),
    }
}

impl Operation for CancelInstanceRefreshRequest {
    type Output = CancelInstanceRefreshResponse;
    const ACTION: &'static str = "autoscaling:CancelInstanceRefresh";
    const REQUIRES: &'static [&'static str] = &[DESCRIBE];

    fn resources(&self, at: &Place) -> Vec<Arn> {
        vec![arn(at, &self.group)]
    }

    fn requires(&self, _: &Place) -> Vec<(&'static str, Vec<Arn>)> {
        vec![(DESCRIBE, Vec::new())]
    }
}

impl Write for CancelInstanceRefreshRequest {
    const RETRY: RetryClass = RetryClass::Unsafe;
    const LOOKS: &'static [&'static str] = &[DESCRIBE];

    async fn send(&self, aws: &Clients, _: &Token) -> Result<Self::Output, AwsError> {
        must_be_under_way(aws, &self.group, &self.id).await?;
        let request = aws.autoscaling().cancel_instance_refresh().auto_scaling_group_name(&self.group);
        let request = request.set_wait_for_transitioning_instances(self.wait_for_transitions);
        let output = request.send().await.map_err(from_sdk)?;
        Ok(CancelInstanceRefreshResponse { id: output.instance_refresh_id.unwrap_or_else(|| self.id.clone()) })
    }

    async fn fate(&self, look: &Look, _: &Unanswered<'_>) -> Result<Fate<Self::Output>, AwsError> {
        let id = &self.id;
        let Some(found) = look.read(&one(&self.group, id)).await?.refreshes.into_iter().find(|one| one.id == *id)
        else {
            // Sent again it is refused.
            return Ok(Fate::SendAgain);
        };
        let evidence = format!("the refresh {id} is {}", found.status);
        Ok(match phase(&found.status) {
            RefreshPhase::Cancelled => {
                Fate::Happened { output: CancelInstanceRefreshResponse { id: id.clone() }, evidence }
            }
            RefreshPhase::Forward | RefreshPhase::Back { over: false } => Fate::NotHappened { evidence },
            RefreshPhase::Back { over: true } | RefreshPhase::Over => Fate::SendAgain,
            RefreshPhase::Unknown => Fate::Unknown {
                evidence,
                check: format!("look whether the refresh {id} of {} is being cancelled", self.group),
                likely: Some(CancelInstanceRefreshResponse { id: id.clone() }),
            },
        })
    }
}

impl Operation for RollbackInstanceRefreshRequest {
    type Output = RollbackInstanceRefreshResponse;
    const ACTION: &'static str = "autoscaling:RollbackInstanceRefresh";
    const REQUIRES: &'static [&'static str] = &[DESCRIBE];

    fn resources(&self, at: &Place) -> Vec<Arn> {
        vec![arn(at, &self.group)]
    }

    fn requires(&self, _: &Place) -> Vec<(&'static str, Vec<Arn>)> {
        vec![(DESCRIBE, Vec::new())]
    }
}

impl Write for RollbackInstanceRefreshRequest {
    const RETRY: RetryClass = RetryClass::Unsafe;
    const LOOKS: &'static [&'static str] = &[DESCRIBE];

    async fn send(&self, aws: &Clients, _: &Token) -> Result<Self::Output, AwsError> {
        must_be_under_way(aws, &self.group, &self.id).await?;
        let request = aws.autoscaling().rollback_instance_refresh().auto_scaling_group_name(&self.group);
        let output = request.send().await.map_err(from_sdk)?;
        Ok(RollbackInstanceRefreshResponse { id: output.instance_refresh_id.unwrap_or_else(|| self.id.clone()) })
    }

    async fn fate(&self, look: &Look, _: &Unanswered<'_>) -> Result<Fate<Self::Output>, AwsError> {
        let id = &self.id;
        let Some(found) = look.read(&one(&self.group, id)).await?.refreshes.into_iter().find(|one| one.id == *id)
        else {
            // Sent again it is refused.
            return Ok(Fate::SendAgain);
        };
        let evidence = format!("the refresh {id} is {}", found.status);
        Ok(match phase(&found.status) {
            RefreshPhase::Back { .. } => {
                Fate::Happened { output: RollbackInstanceRefreshResponse { id: id.clone() }, evidence }
            }
            RefreshPhase::Forward => Fate::NotHappened { evidence },
            RefreshPhase::Cancelled | RefreshPhase::Over => Fate::SendAgain,
            RefreshPhase::Unknown => Fate::Unknown {
                evidence,
                check: format!("look whether the refresh {id} of {} goes back", self.group),
                likely: Some(RollbackInstanceRefreshResponse { id: id.clone() }),
            },
        })
    }
}
