//! Instances: what there is, how they do, what they wrote.
//!
//! Every request record here is an [`Operation`](crate::aws::operation::Operation); [`DescribeInstancesRequest`] is the plainest.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::ids::{INSTANCE, page, pairs, some, when};
use super::images::filters;
use super::pages::{all, paged};
use super::wire::{
    self, ConsoleAnswer, DescribeInstanceStatus, DescribeInstances, GetConsoleOutput, InstancesAnswer, StatusesAnswer,
};
use crate::aws::clients::Clients;
use crate::aws::error::AwsError;
use crate::aws::operation::{Read, heads};
use crate::contract::bindings::kiln::aws_ec2::ec2::{
    DescribeInstanceStatusRequest, DescribeInstanceStatusResponse, DescribeInstancesRequest, DescribeInstancesResponse,
    GetConsoleOutputRequest, GetConsoleOutputResponse, Instance, InstanceStatus,
};

heads! {
    DescribeInstancesRequest => DescribeInstancesResponse: "ec2:DescribeInstances" on |_, _| [];
    DescribeInstanceStatusRequest => DescribeInstanceStatusResponse: "ec2:DescribeInstanceStatus" on |_, _| [];
    GetConsoleOutputRequest => GetConsoleOutputResponse:
        "ec2:GetConsoleOutput" on |it, at| [INSTANCE.arn(at, &it.instance)];
}

paged! {
    "DescribeInstances": DescribeInstances => InstancesAnswer.reservation_set of wire::Reservation;
    "DescribeInstanceStatus": DescribeInstanceStatus => StatusesAnswer.instance_status_set of wire::InstanceStatus;
}

/// The most items of a page.
const PAGE: u32 = 1000;

impl Read for DescribeInstancesRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        INSTANCE.check_all(&self.ids)?;
        let request = DescribeInstances {
            instance_id: self.ids.clone(),
            filter: filters(&self.filters)?,
            max_results: page(&self.ids, PAGE),
            next_token: None,
        };
        let reservations = all(aws, "instances", request).await?;
        let instances = reservations.into_iter().flat_map(|reservation| reservation.instances_set.item);
        Ok(DescribeInstancesResponse { instances: instances.map(instance).collect() })
    }
}

fn instance(instance: wire::Instance) -> Instance {
    let (reason_code, reason) = instance.state_reason.map(|reason| (reason.code, reason.message)).unzip();
    Instance {
        id: instance.instance_id,
        image: instance.image_id,
        state: instance.instance_state.name,
        reason_code: some(reason_code.flatten()),
        reason: some(reason.flatten()),
        instance_type: instance.instance_type,
        zone: instance.placement.availability_zone,
        subnet: some(instance.subnet_id),
        launched: when(instance.launch_time),
        lifecycle: some(instance.instance_lifecycle),
        private_address: some(instance.private_ip_address),
        tags: pairs(instance.tag_set),
    }
}

impl Read for DescribeInstanceStatusRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        INSTANCE.check_all(&self.ids)?;
        let request = DescribeInstanceStatus {
            instance_id: self.ids.clone(),
            include_all_instances: self.all_states,
            max_results: page(&self.ids, PAGE),
            next_token: None,
        };
        let statuses = all(aws, "statuses of instances", request).await?;
        let status = |status: wire::InstanceStatus| InstanceStatus {
            id: status.instance_id,
            state: status.instance_state.name,
            instance_status: status.instance_status.status,
            system_status: status.system_status.status,
            events: status.events_set.item.into_iter().map(|event| event.code).collect(),
        };
        Ok(DescribeInstanceStatusResponse { statuses: statuses.into_iter().map(status).collect() })
    }
}

impl Read for GetConsoleOutputRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        INSTANCE.check(&self.instance)?;
        let request = GetConsoleOutput { instance_id: self.instance.clone() };
        let (answer, _) = aws.ec2().call::<_, ConsoleAnswer>("GetConsoleOutput", &request).await?;
        let encoded = some(answer.output).map(|text| text.split_whitespace().collect::<String>());
        // What a machine writes need not be text.
        let written = encoded.and_then(|text| STANDARD.decode(text).ok());
        Ok(GetConsoleOutputResponse { output: written.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()) })
    }
}
