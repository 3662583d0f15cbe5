//! An account's region, and who calls there.
//!
//! The main type is [`Place`]: the state of every service in one account and region.

use std::{fmt, mem};

use serde::{Serialize, Serializer};

use crate::services::{cloudwatch, codebuild, dynamodb, ecr, ecs, kms, logs, secretsmanager};

/// Which account and region.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PlaceKey {
    pub(crate) account: String,
    pub(crate) region: String,
}

impl PlaceKey {
    /// The partition that the region belongs to.
    pub(crate) fn partition(&self) -> &'static str {
        match self.region.as_str() {
            region if region.starts_with("cn-") => "aws-cn",
            region if region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        }
    }
}

impl fmt::Display for PlaceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.account, self.region)
    }
}

impl Serialize for PlaceKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What the services hold in one account and region.
#[derive(Debug, Default, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Place {
    pub(crate) cloudwatch: cloudwatch::State,
    pub(crate) codebuild: codebuild::State,
    pub(crate) dynamodb: dynamodb::State,
    pub(crate) ecr: ecr::State,
    pub(crate) ecs: ecs::State,
    pub(crate) kms: kms::State,
    pub(crate) logs: logs::State,
    pub(crate) secretsmanager: secretsmanager::State,
}

impl Place {
    /// A place that holds one service's part of this one.
    pub(crate) fn part(&self, service: &str) -> Place {
        let mut part = Place::default();
        match service {
            "cloudwatch" => part.cloudwatch = self.cloudwatch.clone(),
            "codebuild" => part.codebuild = self.codebuild.clone(),
            "dynamodb" => part.dynamodb = self.dynamodb.clone(),
            "ecr" => part.ecr = self.ecr.clone(),
            "ecs" => part.ecs = self.ecs.clone(),
            "kms" => part.kms = self.kms.clone(),
            "logs" => part.logs = self.logs.clone(),
            "secretsmanager" => part.secretsmanager = self.secretsmanager.clone(),
            // What STS has belongs to no place.
            _ => {}
        }
        part
    }

    /// Exchange one service's part.
    pub(crate) fn exchange(&mut self, service: &str, other: &mut Place) {
        match service {
            "cloudwatch" => mem::swap(&mut self.cloudwatch, &mut other.cloudwatch),
            "codebuild" => mem::swap(&mut self.codebuild, &mut other.codebuild),
            "dynamodb" => mem::swap(&mut self.dynamodb, &mut other.dynamodb),
            "ecr" => mem::swap(&mut self.ecr, &mut other.ecr),
            "ecs" => mem::swap(&mut self.ecs, &mut other.ecs),
            "kms" => mem::swap(&mut self.kms, &mut other.kms),
            "logs" => mem::swap(&mut self.logs, &mut other.logs),
            "secretsmanager" => mem::swap(&mut self.secretsmanager, &mut other.secretsmanager),
            _ => {}
        }
    }
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Caller {
    pub(crate) account: String,
    pub(crate) arn: String,
    pub(crate) user_id: String,
}

impl Caller {
    /// Whoever has keys that the simulator did not hand out: a user of the world's own account.
    pub(crate) fn stranger(account: &str, partition: &str) -> Self {
        Self {
            account: account.to_owned(),
            arn: format!("arn:{partition}:iam::{account}:user/kiln"),
            user_id: "AIDAKILNSIMULATOR0000".to_owned(),
        }
    }

    /// Whether this is a session of a role.
    pub(crate) fn is_session(&self) -> bool {
        self.arn.contains(":assumed-role/")
    }
}
