//! What instances stand in: subnets and security groups.
//!
//! Every request record here is an [`Operation`](crate::aws::operation::Operation); [`DescribeSubnetsRequest`] is the plainest.

use super::ids::{GROUP, SUBNET, page, pairs, some};
use super::pages::{all, paged};
use super::wire::{self, DescribeSecurityGroups, DescribeSubnets, GroupsAnswer, SubnetsAnswer};
use crate::aws::clients::Clients;
use crate::aws::error::AwsError;
use crate::aws::operation::{Read, heads};
use crate::contract::bindings::kiln::aws_ec2::ec2::{
    DescribeSecurityGroupsRequest, DescribeSecurityGroupsResponse, DescribeSubnetsRequest, DescribeSubnetsResponse,
    SecurityGroup, SecurityRule, Subnet,
};

heads! {
    DescribeSubnetsRequest => DescribeSubnetsResponse: "ec2:DescribeSubnets" on |_, _| [];
    DescribeSecurityGroupsRequest => DescribeSecurityGroupsResponse: "ec2:DescribeSecurityGroups" on |_, _| [];
}

paged! {
    "DescribeSubnets": DescribeSubnets => SubnetsAnswer.subnet_set of wire::Subnet;
    "DescribeSecurityGroups": DescribeSecurityGroups => GroupsAnswer.security_group_info of wire::SecurityGroup;
}

/// The most items of a page.
const PAGE: u32 = 1000;

impl Read for DescribeSubnetsRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        SUBNET.check_all(&self.ids)?;
        let request =
            DescribeSubnets { subnet_id: self.ids.clone(), max_results: page(&self.ids, PAGE), next_token: None };
        let subnets = all(aws, "subnets", request).await?;
        let subnet = |subnet: wire::Subnet| Subnet {
            id: subnet.subnet_id,
            vpc: subnet.vpc_id,
            zone: subnet.availability_zone,
            cidr: subnet.cidr_block,
            free_addresses: subnet.available_ip_address_count,
            is_public: subnet.map_public_ip_on_launch,
            tags: pairs(subnet.tag_set),
        };
        Ok(DescribeSubnetsResponse { subnets: subnets.into_iter().map(subnet).collect() })
    }
}

impl Read for DescribeSecurityGroupsRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        GROUP.check_all(&self.ids)?;
        let request =
            DescribeSecurityGroups { group_id: self.ids.clone(), max_results: page(&self.ids, PAGE), next_token: None };
        let groups = all(aws, "security groups", request).await?;
        let group = |group: wire::SecurityGroup| SecurityGroup {
            id: group.group_id,
            name: group.group_name,
            vpc: group.vpc_id.unwrap_or_default(),
            ingress: group.ip_permissions.item.into_iter().map(rule).collect(),
            egress: group.ip_permissions_egress.item.into_iter().map(rule).collect(),
        };
        Ok(DescribeSecurityGroupsResponse { groups: groups.into_iter().map(group).collect() })
    }
}

fn rule(rule: wire::Rule) -> SecurityRule {
    let of_four = rule.ip_ranges.item.into_iter().map(|range| range.cidr_ip);
    let of_six = rule.ipv6_ranges.item.into_iter().map(|range| range.cidr_ipv6);
    SecurityRule {
        protocol: rule.ip_protocol,
        from_port: rule.from_port,
        to_port: rule.to_port,
        cidrs: of_four.chain(of_six).collect(),
        groups: rule.groups.item.into_iter().filter_map(|pair| some(pair.group_id)).collect(),
        prefix_lists: rule.prefix_list_ids.item.into_iter().map(|list| list.prefix_list_id).collect(),
    }
}
