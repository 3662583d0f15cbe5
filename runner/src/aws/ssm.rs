//! Systems Manager: parameters and their history.
//!
//! Every request record of the interface `ssm` is an [`Operation`](super::operation::Operation); [`PutParameterRequest`] is the one that
//! writes. No value of a `SecureString` goes further than this module.

use aws_sdk_ssm::types as sdk;
use serde_json::{Value, json};

use super::clients::Clients;
use super::error::{AwsError, ErrorKind, from_sdk, invalid};
use super::limits::gather;
use super::look::Look;
use super::names::{self, Given};
use super::operation::{Fate, Read, RetryClass, Token, Unanswered, Write, heads};
use super::values::{incomplete, list, millis, word};
use crate::contract::bindings::kiln::aws_ssm::ssm::{
    DescribeParametersRequest, DescribeParametersResponse, GetParameterHistoryRequest, GetParameterHistoryResponse,
    GetParameterRequest, GetParameterResponse, GetParametersByPathRequest, GetParametersByPathResponse, Parameter,
    ParameterSummary, ParameterVersion, PutParameterRequest, PutParameterResponse,
};
use crate::types::{Arn, Place};

/// What names of parameters may hold besides letters and digits.
const NAME: &str = "-_./";

/// What permissions on a parameter are checked against: its name without a version or label, and with one slash before it. Those that
/// AWS publishes are of no account.
fn arn(at: &Place, given: &str) -> Arn {
    match Given::from(given) {
        Given::Arn(arn) => match arn.resource().rsplit_once(':') {
            Some((resource, _)) => names::beside(&arn, resource),
            None => arn,
        },
        Given::Name(name) => {
            let name = name.split(':').next().unwrap_or_default();
            let resource = format!("parameter/{}", name.strip_prefix('/').unwrap_or(name));
            match name.starts_with("/aws/service/") {
                true => Arn::new(&at.partition, "ssm", at.region.as_str(), "", &resource),
                false => names::here(at, "ssm", &resource),
            }
        }
    }
}

/// Refuse what is no parameter's name or ARN; `with` a version or a label behind it, where that is said.
fn check(given: &str, with: bool) -> Result<(), AwsError> {
    if let Given::Arn(arn) = Given::from(given) {
        let is_one = arn.service() == "ssm" && arn.resource().starts_with("parameter/");
        return match is_one && (with || !arn.resource().contains(':')) {
            true => Ok(()),
            false => Err(invalid(format_args!("{given:?} is not the ARN of a parameter"))),
        };
    }
    match given.split_once(':').filter(|_| with) {
        Some((name, selector)) => {
            names::check("a parameter", name, NAME)?;
            names::check("a version or a label", selector, "-_.")
        }
        None => names::check("a parameter", given, NAME),
    }
}

heads! {
    GetParameterRequest => GetParameterResponse: "ssm:GetParameter" on |it, at| [arn(at, &it.name)];
    GetParametersByPathRequest => GetParametersByPathResponse:
        "ssm:GetParametersByPath" on |it, at| [arn(at, &it.path)];
    DescribeParametersRequest => DescribeParametersResponse: "ssm:DescribeParameters" on |_, _| [];
    GetParameterHistoryRequest => GetParameterHistoryResponse:
        "ssm:GetParameterHistory" on |it, at| [arn(at, &it.name)];
    PutParameterRequest => PutParameterResponse: "ssm:PutParameter" on |it, at| [arn(at, &it.name)];
}

/// The value of what is no secret. What AWS sends of a secret is encrypted, since nobody asks for more, and is told no further.
fn told(kind: Option<&sdk::ParameterType>, value: Option<String>) -> Option<String> {
    match kind {
        Some(sdk::ParameterType::String | sdk::ParameterType::StringList) => value,
        _ => None,
    }
}

fn version(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn parameter(parameter: sdk::Parameter) -> Parameter {
    Parameter {
        name: parameter.name.unwrap_or_default(),
        arn: parameter.arn.unwrap_or_default(),
        value: told(parameter.r#type.as_ref(), parameter.value),
        parameter_type: word(parameter.r#type),
        version: version(parameter.version),
        data_type: parameter.data_type.unwrap_or_default(),
        modified: millis(parameter.last_modified_date),
    }
}

impl Read for GetParameterRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        check(&self.name, true)?;
        let request = aws.ssm().get_parameter().name(&self.name).with_decryption(false);
        let found = request.send().await.map_err(from_sdk)?.parameter.ok_or_else(|| incomplete("the parameter"))?;
        Ok(GetParameterResponse { parameter: parameter(found) })
    }
}

impl Read for GetParametersByPathRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        names::check("a path", &self.path, NAME)?;
        if !self.path.starts_with('/') {
            return Err(invalid(format_args!("{:?} is no path of parameters: those begin with a slash", self.path)));
        }
        let request = aws.ssm().get_parameters_by_path().path(&self.path).recursive(self.recursive);
        let pages = request.with_decryption(false).max_results(10).into_paginator().send();
        let parameters = gather("parameters", pages, |page| list(page.parameters, parameter)).await?;
        Ok(GetParametersByPathResponse { parameters })
    }
}

impl Read for DescribeParametersRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        let filter = |key: &str, option: &str, value: &String| {
            let filter = sdk::ParameterStringFilter::builder().key(key).option(option).values(value);
            filter.build().map_err(invalid)
        };
        let mut filters = Vec::new();
        if let Some(prefix) = &self.prefix {
            names::check("a parameter", prefix, NAME)?;
            filters.push(filter("Name", "BeginsWith", prefix)?);
        }
        if let Some(kind) = &self.parameter_type {
            filters.push(filter("Type", "Equals", kind)?);
        }
        let request = aws.ssm().describe_parameters().set_parameter_filters((!filters.is_empty()).then_some(filters));
        let pages = request.max_results(50).into_paginator().send();
        let parameters = gather("parameters", pages, |page| {
            list(page.parameters, |parameter: sdk::ParameterMetadata| ParameterSummary {
                name: parameter.name.unwrap_or_default(),
                parameter_type: word(parameter.r#type),
                version: version(parameter.version),
                data_type: parameter.data_type.unwrap_or_default(),
                modified: millis(parameter.last_modified_date),
            })
        })
        .await?;
        Ok(DescribeParametersResponse { parameters })
    }
}

impl Read for GetParameterHistoryRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        check(&self.name, false)?;
        let request = aws.ssm().get_parameter_history().name(&self.name).with_decryption(false);
        let pages = request.max_results(50).into_paginator().send();
        let mut versions = gather("versions", pages, |page| {
            list(page.parameters, |history: sdk::ParameterHistory| ParameterVersion {
                version: version(history.version),
                value: told(history.r#type.as_ref(), history.value),
                labels: history.labels.unwrap_or_default(),
                modified_by: history.last_modified_user.unwrap_or_default(),
                modified: millis(history.last_modified_date),
            })
        })
        .await?;
        versions.sort_by_key(|version| version.version);
        Ok(GetParameterHistoryResponse { versions })
    }
}

impl PutParameterRequest {
    /// All versions that there are; none where there is no such parameter.
    async fn versions(&self, look: &Look) -> Result<Vec<ParameterVersion>, AwsError> {
        match look.read(&GetParameterHistoryRequest { name: self.name.clone() }).await {
            Ok(history) => Ok(history.versions),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

impl Write for PutParameterRequest {
    const RETRY: RetryClass = RetryClass::Natural;
    const LOOKS: &'static [&'static str] = &["ssm:GetParameterHistory"];

    async fn send(&self, aws: &Clients, _: &Token) -> Result<Self::Output, AwsError> {
        check(&self.name, false)?;
        let kind = match self.parameter_type.as_str() {
            "String" => sdk::ParameterType::String,
            "StringList" => sdk::ParameterType::StringList,
            "SecureString" => return Err(invalid("a SecureString is a secret, which a run would write down")),
            other => return Err(invalid(format_args!("{other:?} is not the type of a parameter"))),
        };
        let output = aws
            .ssm()
            .put_parameter()
            .name(&self.name)
            .value(&self.value)
            .r#type(kind)
            .overwrite(self.overwrite)
            .set_data_type(self.data_type.clone())
            .set_description(self.description.clone())
            .send()
            .await
            .map_err(from_sdk)?;
        Ok(PutParameterResponse { version: version(output.version) })
    }

    /// The newest version: each call makes another, whatever the value is.
    async fn before(&self, look: &Look) -> Result<Option<Value>, AwsError> {
        let newest = self.versions(look).await?.last().map_or(0, |version| version.version);
        Ok(Some(json!({ "version": newest })))
    }

    /// Somebody may have written another value meanwhile.
    fn means_the_same_later(&self) -> bool {
        false
    }

    async fn fate(&self, look: &Look, unanswered: &Unanswered<'_>) -> Result<Fate<Self::Output>, AwsError> {
        let Some(before) = unanswered.before.and_then(|before| before.get("version")?.as_u64()) else {
            return Ok(Fate::Unknown {
                evidence: "nobody knows which version was the newest before".to_owned(),
                check: format!("look at the history of the parameter {}", self.name),
                likely: None,
            });
        };
        let mut new = self.versions(look).await?;
        new.retain(|version| version.version > before);
        let mut same: Vec<_> = new.iter().filter(|version| version.value.as_deref() == Some(&self.value)).collect();
        Ok(match (same.pop(), same.len()) {
            (None, _) => Fate::NotHappened { evidence: format!("no version behind {before} has the value") },
            (Some(version), 0) if new.len() == 1 => Fate::Happened {
                output: PutParameterResponse { version: version.version },
                evidence: format!("version {} has the value, and no other was made", version.version),
            },
            // Who wrote the same value wrote what was asked for, but the newest version may have another.
            (Some(version), _) => Fate::Unknown {
                evidence: format!("{} versions were made since, and {} has the value", new.len(), version.version),
                check: format!("look at the history of the parameter {}, and who wrote it", self.name),
                likely: Some(PutParameterResponse { version: version.version }),
            },
        })
    }
}
