//! Instances that begin: launched, booted, in service.
//!
//! The main functions are [`launch`] and [`in_service`].

use std::time::Duration;

use super::activities::{ActivityStatus, begin, note};
use super::configuration::{LaunchSource, TemplateSpec, TypeOverride};
use super::events::Event;
use super::group::FleetGroup;
use super::leaving;
use super::member::{Member, MemberPhase};
use super::refresh::Refresh;
use super::rolling::later;
use super::state::{group, invalid};
use crate::ctx::Scope;
use crate::error::AwsError;
use crate::services::ec2::{self, Launch, Market, ResolvedTemplate};
use crate::services::elasticloadbalancing;

/// So long nothing is launched where it did not succeed.
const HELD: Duration = Duration::from_secs(60);

/// What an instance is launched of.
struct Choice {
    template: Option<ResolvedTemplate>,
    configuration: Option<String>,
    image: String,
    /// Whether the image is an override's, and not the launch template's.
    is_own_image: bool,
    instance_type: String,
    market: Market,
}

/// The choices that a source gives, the preferred one first.
fn choices(scope: &mut Scope<'_>, fleet: &FleetGroup, source: &LaunchSource) -> Result<Vec<Choice>, AwsError> {
    let mut found = Vec::new();
    let mut of = |scope: &mut Scope<'_>, spec: &TemplateSpec, given: &TypeOverride, market| {
        let template = spec.resolve(scope)?;
        let image = given.image_id.clone().or_else(|| template.text("ImageId").map(str::to_owned));
        let instance_type = given.instance_type.clone().or_else(|| template.text("InstanceType").map(str::to_owned));
        let lacks = |what: &str| invalid(format!("The launch template does not specify {what}"));
        found.push(Choice {
            image: image.ok_or_else(|| lacks("an image"))?,
            is_own_image: given.image_id.is_some(),
            instance_type: instance_type.ok_or_else(|| lacks("an instance type"))?,
            template: Some(template),
            configuration: None,
            market,
        });
        Ok::<(), AwsError>(())
    };
    match source {
        LaunchSource::Template(spec) => of(scope, spec, &TypeOverride::default(), Market::OnDemand)?,
        LaunchSource::Mixed(policy) => {
            let market = market(fleet, source);
            let template = &policy.launch_template;
            let general = &template.launch_template_specification;
            if template.overrides.is_empty() {
                of(scope, general, &TypeOverride::default(), market)?;
            }
            for one in &template.overrides {
                let spec = one.launch_template_specification.as_ref().unwrap_or(general);
                of(scope, spec, one, market)?;
            }
        }
        LaunchSource::Configuration(name) => {
            let configuration = scope.place().autoscaling.configurations.get(name);
            let configuration =
                configuration.ok_or_else(|| invalid(format!("Launch configuration {name} not found")))?;
            found.push(Choice {
                template: None,
                configuration: Some(name.clone()),
                image: configuration.image.clone(),
                is_own_image: false,
                instance_type: configuration.instance_type.clone(),
                market: Market::OnDemand,
            });
        }
    }
    Ok(found)
}

/// Which market the next instance of a mixed group is of: on demand as long as the base is not there, then by their shares.
fn market(fleet: &FleetGroup, source: &LaunchSource) -> Market {
    let LaunchSource::Mixed(policy) = source else { return Market::OnDemand };
    let distribution = &policy.instances_distribution;
    let number = |given: Option<i64>, usual: usize| given.map_or(usual, |given| usize::try_from(given).unwrap_or(0));
    let base = number(distribution.on_demand_base_capacity, 0);
    let share = number(distribution.on_demand_percentage_above_base_capacity, 100).min(100);
    let on_demand = fleet.standing().filter(|member| member.market == Market::OnDemand).count();
    let above = fleet.wanted().saturating_sub(base);
    let wanted = base.min(fleet.wanted()) + (above * share).div_ceil(100);
    if on_demand < wanted { Market::OnDemand } else { Market::Spot }
}

/// The zone and the subnet of the next instance: where there are fewest.
fn stand(fleet: &FleetGroup, scope: &mut Scope<'_>, tried: &[String]) -> Option<(String, Option<String>)> {
    let subnets: Vec<(String, Option<String>)> = match fleet.subnets.as_slice() {
        [] => fleet.zones.iter().map(|zone| (zone.clone(), None)).collect(),
        subnets => {
            let zone = |id: &String| Some((ec2::subnet_zone(scope, id)?, Some(id.clone())));
            subnets.iter().filter_map(zone).collect()
        }
    };
    let there = |zone: &String| fleet.standing().filter(|member| member.zone == *zone).count();
    subnets.into_iter().filter(|(zone, _)| !tried.contains(zone)).min_by_key(|(zone, _)| there(zone))
}

/// Launch an instance, in whatever zone and of whatever type there is room, for the group or its warm pool. Tells whether one was launched.
pub(super) fn launch(scope: &mut Scope<'_>, name: &str, cause: &str, phase: MemberPhase) -> bool {
    let Some(fleet) = group(scope, name).cloned() else { return false };
    let source = fleet.launches().clone();
    let mut refused = None;
    match choices(scope, &fleet, &source) {
        Err(error) => refused = Some(error),
        Ok(choices) => {
            for choice in choices {
                let mut tried = Vec::new();
                while let Some((zone, subnet)) = stand(&fleet, scope, &tried) {
                    match start(scope, &fleet, &choice, &zone, subnet) {
                        Ok(id) => {
                            joined(scope, &fleet, choice, &id, (cause, phase));
                            return true;
                        }
                        Err(error) => refused = Some(error),
                    }
                    tried.push(zone);
                }
            }
        }
    }
    let reason = refused.map_or_else(|| "there is no zone to launch in".to_owned(), |error| error.message);
    let activity = begin(scope, name, "Launching a new EC2 instance".to_owned(), cause.to_owned());
    let message = format!("{reason}. Launching EC2 instance failed.");
    note(scope, name, &activity, ActivityStatus::Failed, Some(message.chars().take(255).collect()));
    let until = scope.now() + HELD;
    if let Some(fleet) = group(scope, name) {
        fleet.held_until = Some(until);
    }
    scope.schedule(HELD, Event::Reconcile { group: name.to_owned() });
    false
}

fn start(
    scope: &mut Scope<'_>,
    fleet: &FleetGroup,
    choice: &Choice,
    zone: &str,
    subnet: Option<String>,
) -> Result<String, AwsError> {
    let mut tags = choice.template.as_ref().map(ResolvedTemplate::instance_tags).unwrap_or_default();
    tags.extend(fleet.tags.clone());
    tags.insert("aws:autoscaling:groupName".to_owned(), fleet.name.clone());
    let new = Launch {
        image: choice.image.clone(),
        instance_type: choice.instance_type.clone(),
        zone: subnet.is_none().then(|| zone.to_owned()),
        subnet,
        market: choice.market,
        template: choice.template.as_ref().map(|template| (template.id.clone(), template.version)),
        groups: Vec::new(),
        tags,
    };
    ec2::launch(scope, new)
}

/// An instance that was launched is a member from now on.
fn joined(scope: &mut Scope<'_>, fleet: &FleetGroup, choice: Choice, id: &str, (cause, phase): (&str, MemberPhase)) {
    let description = format!("Launching a new EC2 instance: {id}");
    let activity = begin(scope, &fleet.name, description, cause.to_owned());
    let zone = ec2::instance(scope, id).map(|instance| instance.zone.clone()).unwrap_or_default();
    let member = Member {
        id: id.to_owned(),
        zone,
        instance_type: choice.instance_type,
        market: choice.market,
        image: choice.image,
        is_own_image: choice.is_own_image,
        brought: None,
        template: choice.template.map(|template| (template.id, template.name, template.version)),
        configuration: choice.configuration,
        phase,
        healthy: true,
        protected: false,
        launched: scope.now(),
        in_service: None,
        made_by: fleet.active().map(Refresh::stamp),
        activity,
        hook: None,
    };
    if let Some(fleet) = group(scope, &fleet.name) {
        fleet.members.insert(id.to_owned(), member);
    }
    // One whose volumes cannot be made is ending already.
    if ec2::instance(scope, id).is_some_and(|instance| instance.is_ending()) {
        leaving::failed_to_launch(scope, &fleet.name, id);
    }
}

/// An instance has booted, and nothing is waited for: it serves.
pub(super) fn in_service(scope: &mut Scope<'_>, name: &str, id: &str) {
    let now = scope.now();
    let Some(fleet) = group(scope, name) else { return };
    let (targets, grace) = (fleet.target_groups.clone(), fleet.grace);
    let warmup = fleet.active().map_or(fleet.warmup, |refresh| refresh.warmup(fleet.warmup));
    let Some(member) = fleet.members.get_mut(id) else { return };
    (member.phase, member.in_service) = (MemberPhase::InService, Some(now));
    let activity = member.activity.clone();
    for target in targets {
        elasticloadbalancing::register(scope, &target, id, None, false);
    }
    note(scope, name, &activity, ActivityStatus::Successful, None);
    for after in [warmup, grace] {
        scope.schedule(after, Event::Look { group: name.to_owned(), instance: Some(id.to_owned()) });
    }
    later(scope, name);
}

/// An instance was given up before it served.
pub(super) fn abandoned(scope: &mut Scope<'_>, name: &str, id: &str, message: String) {
    let Some(member) = group(scope, name).and_then(|group| group.members.remove(id)) else { return };
    note(scope, name, &member.activity, ActivityStatus::Cancelled, Some(message.chars().take(255).collect()));
    ec2::terminate(scope, id);
    let until = scope.now() + HELD;
    if let Some(fleet) = group(scope, name) {
        fleet.held_until = Some(until);
    }
    scope.schedule(HELD, Event::Reconcile { group: name.to_owned() });
    later(scope, name);
}
