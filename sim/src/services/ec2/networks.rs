//! Subnets and security groups are listed.
//!
//! The main functions are [`describe_subnets`] and [`describe_security_groups`].

use serde::{Deserialize, Serialize};

use super::errors::{missing, no_token};
use super::filters::{Filter, FilterBy, keep};
use super::network::{SecurityGroup, SecurityRule, Subnet};
use crate::ctx::Ctx;
use crate::error::AwsError;
use crate::tags::{SmallTag, listed};

/// The most items of a page.
const PAGE: usize = 1000;

const SUBNET_FILTERS: &[FilterBy<Subnet>] = &[
    ("subnet-id", |subnet| vec![subnet.id.clone()]),
    ("vpc-id", |subnet| vec![subnet.vpc.clone()]),
    ("availability-zone", |subnet| vec![subnet.zone.clone()]),
    ("cidr-block", |subnet| vec![subnet.cidr.clone()]),
];
const GROUP_FILTERS: &[FilterBy<SecurityGroup>] = &[
    ("group-id", |group| vec![group.id.clone()]),
    ("group-name", |group| vec![group.name.clone()]),
    ("vpc-id", |group| vec![group.vpc.clone()]),
];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeSubnets {
    #[serde(default)]
    subnet_id: Vec<String>,
    #[serde(default)]
    filter: Vec<Filter>,
    max_results: Option<usize>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeSubnetsOutput {
    subnet_set: Vec<SubnetView>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SubnetView {
    subnet_id: String,
    subnet_arn: String,
    state: &'static str,
    vpc_id: String,
    owner_id: String,
    cidr_block: String,
    available_ip_address_count: u64,
    availability_zone: String,
    default_for_az: bool,
    map_public_ip_on_launch: bool,
    tag_set: Option<Vec<SmallTag>>,
}

pub(super) fn describe_subnets(ctx: &mut Ctx<'_>, input: DescribeSubnets) -> Result<DescribeSubnetsOutput, AwsError> {
    let mut subnets: Vec<Subnet> = ctx.place().ec2.subnets.values().cloned().collect();
    for id in &input.subnet_id {
        if !subnets.iter().any(|subnet| subnet.id == *id) {
            return Err(missing("InvalidSubnetID.NotFound", "subnet ID", id));
        }
    }
    subnets.retain(|subnet| input.subnet_id.is_empty() || input.subnet_id.contains(&subnet.id));
    let subnets = keep(subnets, &input.filter, SUBNET_FILTERS, |subnet| &subnet.tags)?;
    let size = input.max_results.unwrap_or(PAGE).min(PAGE);
    let (page, next_token) = ctx
        .page("ec2:subnets", subnets, size, input.next_token.as_deref(), |subnet: &Subnet| &subnet.id)
        .map_err(no_token)?;
    let owner = ctx.at.account.clone();
    let view = |subnet: Subnet| SubnetView {
        subnet_arn: ctx.arn("ec2", &format!("subnet/{}", subnet.id)),
        tag_set: Some(listed(&subnet.tags)).filter(|tags: &Vec<SmallTag>| !tags.is_empty()),
        subnet_id: subnet.id,
        state: "available",
        vpc_id: subnet.vpc,
        owner_id: owner.clone(),
        cidr_block: subnet.cidr,
        available_ip_address_count: subnet.addresses,
        availability_zone: subnet.zone,
        default_for_az: false,
        map_public_ip_on_launch: subnet.public,
    };
    Ok(DescribeSubnetsOutput { subnet_set: page.into_iter().map(view).collect(), next_token })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeSecurityGroups {
    #[serde(default)]
    group_id: Vec<String>,
    #[serde(default)]
    filter: Vec<Filter>,
    max_results: Option<usize>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeSecurityGroupsOutput {
    security_group_info: Vec<SecurityGroupView>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SecurityGroupView {
    group_id: String,
    group_name: String,
    group_description: String,
    vpc_id: String,
    owner_id: String,
    security_group_arn: String,
    ip_permissions: Vec<PermissionView>,
    ip_permissions_egress: Vec<PermissionView>,
    tag_set: Option<Vec<SmallTag>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PermissionView {
    ip_protocol: String,
    from_port: Option<u16>,
    to_port: Option<u16>,
    groups: Vec<PairView>,
    ip_ranges: Vec<RangeView>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PairView {
    group_id: String,
    user_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RangeView {
    cidr_ip: String,
}

impl PermissionView {
    fn of(rule: SecurityRule, owner: &str) -> Self {
        Self {
            ip_protocol: rule.protocol,
            from_port: rule.ports.map(|(from, _)| from),
            to_port: rule.ports.map(|(_, to)| to),
            groups: rule.group.into_iter().map(|group_id| PairView { group_id, user_id: owner.to_owned() }).collect(),
            ip_ranges: rule.cidr.into_iter().map(|cidr_ip| RangeView { cidr_ip }).collect(),
        }
    }
}

pub(super) fn describe_security_groups(
    ctx: &mut Ctx<'_>,
    input: DescribeSecurityGroups,
) -> Result<DescribeSecurityGroupsOutput, AwsError> {
    let mut groups: Vec<SecurityGroup> = ctx.place().ec2.security_groups.values().cloned().collect();
    for id in &input.group_id {
        if !groups.iter().any(|group| group.id == *id) {
            return Err(missing("InvalidGroup.NotFound", "security group", id));
        }
    }
    groups.retain(|group| input.group_id.is_empty() || input.group_id.contains(&group.id));
    let groups = keep(groups, &input.filter, GROUP_FILTERS, |group| &group.tags)?;
    let size = input.max_results.unwrap_or(PAGE).min(PAGE);
    let (page, next_token) = ctx
        .page("ec2:security-groups", groups, size, input.next_token.as_deref(), |group: &SecurityGroup| &group.id)
        .map_err(no_token)?;
    let owner = ctx.at.account.clone();
    let rules = |rules: Vec<SecurityRule>| rules.into_iter().map(|rule| PermissionView::of(rule, &owner)).collect();
    let view = |group: SecurityGroup| SecurityGroupView {
        security_group_arn: ctx.arn("ec2", &format!("security-group/{}", group.id)),
        tag_set: Some(listed(&group.tags)).filter(|tags: &Vec<SmallTag>| !tags.is_empty()),
        group_id: group.id,
        group_name: group.name,
        group_description: group.description,
        vpc_id: group.vpc,
        owner_id: owner.clone(),
        ip_permissions: rules(group.ingress),
        ip_permissions_egress: rules(group.egress),
    };
    Ok(DescribeSecurityGroupsOutput { security_group_info: page.into_iter().map(view).collect(), next_token })
}
