//! The network interface of a task.
//!
//! The main type is [`Interface`].

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::registration::has_own_network;
use super::task::TaskPhase;
use crate::ids;

/// An elastic network interface, as a task in the network mode `awsvpc` has one.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Interface {
    attachment: String,
    subnet: String,
    id: String,
    mac: String,
    address: String,
    name: String,
}

impl Interface {
    /// The interface of a task, in one of the subnets that its caller or service gives; none in other network modes.
    pub(super) fn of(
        task: &str,
        document: &Map<String, Value>,
        settings: &Map<String, Value>,
        region: &str,
    ) -> Option<Self> {
        if !has_own_network(document) {
            return None;
        }
        let network = settings.get("networkConfiguration").and_then(|network| network.get("awsvpcConfiguration"));
        let subnets: Vec<&str> = network?.get("subnets")?.as_array()?.iter().filter_map(Value::as_str).collect();
        // All that is drawn is drawn by the task's id, so that a world's other ids stay as they are.
        let drawn = ids::sha256(format!("ecs/interface/{task}").as_bytes());
        let byte = |place: usize| {
            drawn.get(place * 2..place * 2 + 2).and_then(|hex| u8::from_str_radix(hex, 16).ok()).unwrap_or(0)
        };
        let part = |from: usize, to: usize| drawn.get(from..to).unwrap_or_default().to_owned();
        let subnet = subnets.get(usize::from(byte(0)) % subnets.len().max(1))?;
        let address = format!("10.0.{}.{}", byte(1), byte(2).clamp(4, 250));
        let (time, rest) = (part(6, 14), part(26, 38));
        Some(Self {
            attachment: format!("{time}-{}-4{}-8{}-{rest}", part(14, 18), part(18, 21), part(21, 24)),
            subnet: (*subnet).to_owned(),
            id: format!("eni-0{}", part(38, 54)),
            mac: format!("0a:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", byte(27), byte(28), byte(29), byte(30), byte(31)),
            name: format!("ip-{}.{region}.compute.internal", address.replace('.', "-")),
            address,
        })
    }

    /// The attachment as `DescribeTasks` shows it.
    pub(super) fn attachment(&self, phase: TaskPhase) -> Value {
        let status = match phase {
            TaskPhase::Provisioning => "PRECREATED",
            TaskPhase::Pending | TaskPhase::Running | TaskPhase::Deactivating | TaskPhase::Stopping => "ATTACHED",
            TaskPhase::Deprovisioning => "DETACHING",
            TaskPhase::Stopped => "DELETED",
        };
        let mut details = vec![json!({ "name": "subnetId", "value": self.subnet })];
        // What is only asked for has no address yet.
        if phase != TaskPhase::Provisioning {
            for (name, value) in [
                ("networkInterfaceId", &self.id),
                ("macAddress", &self.mac),
                ("privateDnsName", &self.name),
                ("privateIPv4Address", &self.address),
            ] {
                details.push(json!({ "name": name, "value": value }));
            }
        }
        json!({ "id": self.attachment, "type": "ElasticNetworkInterface", "status": status, "details": details })
    }

    /// What each container of the task shows of it.
    pub(super) fn of_container(&self) -> Value {
        json!({ "attachmentId": self.attachment, "privateIpv4Address": self.address })
    }
}
