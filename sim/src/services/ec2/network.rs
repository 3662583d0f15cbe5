//! What instances stand in: subnets and security groups.
//!
//! The main types are [`Subnet`] and [`SecurityGroup`].

use serde::Serialize;

use crate::ctx::Scope;
use crate::tags::Tags;

/// A subnet.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Subnet {
    pub(super) id: String,
    pub(super) vpc: String,
    pub(super) zone: String,
    pub(super) cidr: String,
    /// How many addresses are free.
    pub(super) addresses: u64,
    pub(super) public: bool,
    pub(super) tags: Tags,
}

/// A security group.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct SecurityGroup {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) vpc: String,
    pub(super) ingress: Vec<SecurityRule>,
    pub(super) egress: Vec<SecurityRule>,
    pub(super) tags: Tags,
}

/// What a security group lets in or out.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct SecurityRule {
    /// `tcp`, or `-1` for every protocol.
    pub(super) protocol: String,
    pub(super) ports: Option<(u16, u16)>,
    pub(super) cidr: Option<String>,
    /// Another group, by id.
    pub(super) group: Option<String>,
}

/// The zone of a subnet of the scope's place.
pub(crate) fn subnet_zone(scope: &mut Scope<'_>, id: &str) -> Option<String> {
    scope.place().ec2.subnets.get(id).map(|subnet| subnet.zone.clone())
}

/// The VPC of a subnet or a security group of the scope's place.
pub(crate) fn network_of(scope: &mut Scope<'_>, id: &str) -> Option<String> {
    let state = &scope.place().ec2;
    let subnet = state.subnets.get(id).map(|subnet| subnet.vpc.clone());
    subnet.or_else(|| state.security_groups.get(id).map(|group| group.vpc.clone()))
}
