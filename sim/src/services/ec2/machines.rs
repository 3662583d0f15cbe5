//! Instances are listed, with their status and what they wrote to their consoles.
//!
//! The main functions are [`describe_instances`] and [`describe_instance_status`].

use serde::{Deserialize, Serialize};

use super::errors::{missing, no_token};
use super::filters::{Filter, FilterBy, keep};
use super::instance::{Check, Instance, InstanceState, Market};
use crate::clock::Timestamp;
use crate::ctx::Ctx;
use crate::error::AwsError;
use crate::tags::{SmallTag, listed};

/// The most instances of a page.
const PAGE: usize = 1000;

const FILTERS: &[FilterBy<Instance>] = &[
    ("instance-id", |instance| vec![instance.id.clone()]),
    ("image-id", |instance| vec![instance.image.clone()]),
    ("instance-type", |instance| vec![instance.instance_type.clone()]),
    ("instance-state-name", |instance| vec![instance.state.name().to_owned()]),
    ("instance-state-code", |instance| vec![instance.state.code().to_string()]),
    ("availability-zone", |instance| vec![instance.zone.clone()]),
    ("subnet-id", |instance| instance.subnet.clone().into_iter().collect()),
    ("instance-lifecycle", |instance| match instance.market {
        Market::Spot => vec!["spot".to_owned()],
        Market::OnDemand => Vec::new(),
    }),
];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeInstances {
    #[serde(default)]
    instance_id: Vec<String>,
    #[serde(default)]
    filter: Vec<Filter>,
    max_results: Option<usize>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeInstancesOutput {
    reservation_set: Vec<ReservationView>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReservationView {
    reservation_id: String,
    owner_id: String,
    instances_set: Vec<InstanceView>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StateView {
    code: u32,
    name: &'static str,
}

impl StateView {
    fn of(state: InstanceState) -> Self {
        Self { code: state.code(), name: state.name() }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InstanceView {
    instance_id: String,
    image_id: String,
    instance_state: StateView,
    private_dns_name: Option<String>,
    private_ip_address: Option<String>,
    instance_type: String,
    launch_time: Timestamp,
    placement: PlacementView,
    subnet_id: Option<String>,
    vpc_id: Option<String>,
    instance_lifecycle: Option<&'static str>,
    state_reason: Option<StateReasonView>,
    reason: Option<String>,
    group_set: Vec<GroupView>,
    root_device_name: &'static str,
    root_device_type: &'static str,
    architecture: &'static str,
    virtualization_type: &'static str,
    ami_launch_index: u64,
    tag_set: Option<Vec<SmallTag>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PlacementView {
    availability_zone: String,
    tenancy: &'static str,
}

#[derive(Serialize)]
struct StateReasonView {
    code: String,
    message: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupView {
    group_id: String,
}

impl InstanceView {
    fn of(instance: Instance, region: &str) -> Self {
        let address = Some(instance.address()).filter(|_| instance.state != InstanceState::Terminated);
        let name = |address: &String| format!("ip-{}.{region}.compute.internal", address.replace('.', "-"));
        Self {
            private_dns_name: address.as_ref().map(name),
            private_ip_address: address,
            instance_state: StateView::of(instance.state),
            tag_set: Some(listed(&instance.tags)).filter(|tags: &Vec<SmallTag>| !tags.is_empty()),
            instance_id: instance.id,
            image_id: instance.image,
            instance_type: instance.instance_type,
            launch_time: instance.launched,
            placement: PlacementView { availability_zone: instance.zone, tenancy: "default" },
            subnet_id: instance.subnet,
            vpc_id: instance.vpc,
            instance_lifecycle: (instance.market == Market::Spot).then_some("spot"),
            reason: instance.reason.as_ref().map(|(_, message)| message.clone()),
            state_reason: instance.reason.map(|(code, message)| StateReasonView { code, message }),
            group_set: instance.groups.into_iter().map(|group_id| GroupView { group_id }).collect(),
            root_device_name: "/dev/xvda",
            root_device_type: "ebs",
            architecture: "x86_64",
            virtualization_type: "hvm",
            ami_launch_index: 0,
        }
    }
}

/// The instances that a call names: all of them, where it names none.
fn asked(ctx: &mut Ctx<'_>, ids: &[String]) -> Result<Vec<Instance>, AwsError> {
    let instances = &ctx.place().ec2.instances;
    if let Some(unknown) = ids.iter().find(|id| !instances.contains_key(*id)) {
        return Err(missing("InvalidInstanceID.NotFound", "instance ID", unknown));
    }
    Ok(instances.values().filter(|instance| ids.is_empty() || ids.contains(&instance.id)).cloned().collect())
}

pub(super) fn describe_instances(
    ctx: &mut Ctx<'_>,
    input: DescribeInstances,
) -> Result<DescribeInstancesOutput, AwsError> {
    let instances = keep(asked(ctx, &input.instance_id)?, &input.filter, FILTERS, |instance| &instance.tags)?;
    let size = input.max_results.unwrap_or(PAGE).min(PAGE);
    let (page, next_token) = ctx
        .page("ec2:instances", instances, size, input.next_token.as_deref(), |instance: &Instance| &instance.id)
        .map_err(no_token)?;
    let (region, owner) = (ctx.at.region.clone(), ctx.at.account.clone());
    // Each was launched by itself.
    let view = |instance: Instance| ReservationView {
        reservation_id: instance.id.replacen("i-", "r-", 1),
        owner_id: owner.clone(),
        instances_set: vec![InstanceView::of(instance, &region)],
    };
    Ok(DescribeInstancesOutput { reservation_set: page.into_iter().map(view).collect(), next_token })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeInstanceStatus {
    #[serde(default)]
    instance_id: Vec<String>,
    #[serde(default)]
    filter: Vec<Filter>,
    #[serde(default)]
    include_all_instances: bool,
    max_results: Option<usize>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeStatusOutput {
    instance_status_set: Vec<StatusView>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatusView {
    instance_id: String,
    availability_zone: String,
    instance_state: StateView,
    instance_status: SummaryView,
    system_status: SummaryView,
}

#[derive(Serialize)]
struct SummaryView {
    status: &'static str,
    details: Vec<DetailView>,
}

#[derive(Serialize)]
struct DetailView {
    name: &'static str,
    status: &'static str,
}

impl SummaryView {
    fn of(state: InstanceState, check: Check) -> Self {
        let (status, detail) = match (state, check) {
            (InstanceState::Running | InstanceState::Pending, Check::Initializing) => ("initializing", "initializing"),
            (InstanceState::Running | InstanceState::Pending, Check::Ok) => ("ok", "passed"),
            (InstanceState::Running | InstanceState::Pending, Check::Impaired) => ("impaired", "failed"),
            (InstanceState::ShuttingDown | InstanceState::Terminated | InstanceState::Stopped, _) => {
                return Self { status: "not-applicable", details: Vec::new() };
            }
        };
        Self { status, details: vec![DetailView { name: "reachability", status: detail }] }
    }
}

pub(super) fn describe_instance_status(
    ctx: &mut Ctx<'_>,
    input: DescribeInstanceStatus,
) -> Result<DescribeStatusOutput, AwsError> {
    let mut instances = asked(ctx, &input.instance_id)?;
    instances.retain(|instance| input.include_all_instances || instance.state == InstanceState::Running);
    let instances = keep(instances, &input.filter, FILTERS, |instance| &instance.tags)?;
    let size = input.max_results.unwrap_or(PAGE).min(PAGE);
    let (page, next_token) = ctx
        .page("ec2:statuses", instances, size, input.next_token.as_deref(), |instance: &Instance| &instance.id)
        .map_err(no_token)?;
    let view = |instance: Instance| {
        // What is wrong with an instance is wrong within it: the machine below is well.
        let system = if instance.check == Check::Impaired { Check::Ok } else { instance.check };
        StatusView {
            instance_state: StateView::of(instance.state),
            instance_status: SummaryView::of(instance.state, instance.check),
            system_status: SummaryView::of(instance.state, system),
            instance_id: instance.id,
            availability_zone: instance.zone,
        }
    };
    Ok(DescribeStatusOutput { instance_status_set: page.into_iter().map(view).collect(), next_token })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetConsoleOutput {
    instance_id: String,
    #[serde(default)]
    #[expect(dead_code, reason = "what is written is there at once")]
    latest: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConsoleOutput {
    instance_id: String,
    timestamp: Timestamp,
    /// Base64.
    output: Option<String>,
}

pub(super) fn get_console_output(ctx: &mut Ctx<'_>, input: GetConsoleOutput) -> Result<ConsoleOutput, AwsError> {
    use base64::Engine;
    let now = ctx.now();
    let found = asked(ctx, std::slice::from_ref(&input.instance_id))?.into_iter().next();
    let written = found.map(|instance| instance.console).filter(|console| !console.is_empty());
    let output = written.map(|console| base64::engine::general_purpose::STANDARD.encode(console));
    Ok(ConsoleOutput { instance_id: input.instance_id, timestamp: now, output })
}
