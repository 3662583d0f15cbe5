//! The list of all services.
//!
//! The main function is [`all`]: a service that is not in it is not offered.

use crate::service::Service;
use crate::services::{cloudwatch, codebuild, dynamodb, ecr, ecs, kms, logs, secretsmanager, sts};

/// Every service that the simulator offers.
pub(crate) fn all() -> Vec<Service> {
    vec![
        sts::service(),
        secretsmanager::service(),
        kms::service(),
        ecr::service(),
        codebuild::service(),
        logs::service(),
        ecs::service(),
        cloudwatch::service(),
        dynamodb::service(),
    ]
}

/// The IAM actions of all operations.
pub(crate) fn actions() -> Vec<String> {
    let services = all();
    services.iter().flat_map(|service| &service.operations).map(|operation| operation.action.clone()).collect()
}
