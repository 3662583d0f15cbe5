//! Templates: checked, summed up, and read back.
//!
//! Every request record here is an [`Operation`](crate::aws::operation::Operation).

use super::wire::{self, DeclaredItem, GetTemplate, GetTemplateSummary, ValidateTemplate};
use super::{STACK, call, check_change_set, some, stack};
use crate::aws::clients::Clients;
use crate::aws::error::{AwsError, invalid};
use crate::aws::operation::{Operation, Read, heads};
use crate::aws::values::incomplete;
use crate::contract::bindings::kiln::aws_cloudformation::cloudformation::{
    DeclaredParameter, GetTemplateRequest, GetTemplateResponse, GetTemplateSummaryRequest, GetTemplateSummaryResponse,
    TemplateSource, ValidateTemplateRequest, ValidateTemplateResponse,
};
use crate::types::{Arn, Place};

heads! {
    GetTemplateRequest => GetTemplateResponse: "cloudformation:GetTemplate" on |it, at| stack(at, &it.stack);
}

/// A template in a request has at most so many bytes.
const LARGEST: usize = 51_200;

/// The members of a request that say which template: its text, or its address.
pub(super) fn source(template: &TemplateSource) -> Result<(Option<String>, Option<String>), AwsError> {
    match (&template.body, &template.url) {
        (Some(body), None) if body.len() > LARGEST => Err(invalid(format_args!(
            "the template has {} bytes; a request takes up to {LARGEST}, and more is to lie in S3",
            body.len()
        ))),
        (Some(body), None) => Ok((Some(body.clone()), None)),
        (None, Some(url)) => {
            let is_address = url.starts_with("https://") && url.bytes().all(|byte| byte.is_ascii_graphic());
            match is_address {
                true => Ok((None, Some(url.clone()))),
                false => Err(invalid(format_args!("{url:?} is no address of a template in S3"))),
            }
        }
        _ => Err(invalid("a template is given by its text or by its address: one of the two")),
    }
}

/// The object that a template lies in, as `s3:GetObject` is checked against it: CloudFormation reads it as whoever asks.
pub(super) fn read_by(template: Option<&TemplateSource>, at: &Place) -> Vec<(&'static str, Vec<Arn>)> {
    let object = template.and_then(|template| object(template.url.as_deref()?, at));
    object.map(|object| (GET_OBJECT, vec![object])).into_iter().collect()
}

/// What reading a template takes.
pub(super) const GET_OBJECT: &str = "s3:GetObject";

/// `https://BUCKET.s3.REGION.amazonaws.com/KEY` and `https://s3.REGION.amazonaws.com/BUCKET/KEY`.
fn object(url: &str, at: &Place) -> Option<Arn> {
    let rest = url.strip_prefix("https://")?;
    let rest = rest.split_once('?').map_or(rest, |(rest, _)| rest);
    let (host, path) = rest.split_once('/')?;
    let is_own = |host: &str| host.starts_with("s3.") || host.starts_with("s3-");
    let resource = match (is_own(host), host.split_once(".s3")) {
        (true, _) => path.to_owned(),
        (false, Some((bucket, _))) => format!("{bucket}/{path}"),
        (false, None) => return None,
    };
    Some(Arn::new(&at.partition, "s3", "", "", &resource))
}

impl Operation for ValidateTemplateRequest {
    type Output = ValidateTemplateResponse;
    const ACTION: &'static str = "cloudformation:ValidateTemplate";
    const REQUIRES: &'static [&'static str] = &[GET_OBJECT];

    fn resources(&self, _: &Place) -> Vec<Arn> {
        Vec::new()
    }

    fn requires(&self, at: &Place) -> Vec<(&'static str, Vec<Arn>)> {
        read_by(Some(&self.template), at)
    }
}

impl Read for ValidateTemplateRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        let (template_body, template_url) = source(&self.template)?;
        let request = ValidateTemplate { template_body, template_url };
        let answer: wire::ValidateAnswer = call(aws, "ValidateTemplate", &request).await?;
        Ok(ValidateTemplateResponse {
            description: some(answer.description),
            capabilities: answer.capabilities.member,
            capabilities_reason: some(answer.capabilities_reason),
            transforms: answer.declared_transforms.member,
        })
    }
}

impl Operation for GetTemplateSummaryRequest {
    type Output = GetTemplateSummaryResponse;
    const ACTION: &'static str = "cloudformation:GetTemplateSummary";
    const REQUIRES: &'static [&'static str] = &[GET_OBJECT];

    fn resources(&self, at: &Place) -> Vec<Arn> {
        self.stack.iter().map(|given| STACK.arn(at, given)).collect()
    }

    fn requires(&self, at: &Place) -> Vec<(&'static str, Vec<Arn>)> {
        read_by(self.template.as_ref(), at)
    }
}

impl Read for GetTemplateSummaryRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        let request = match (&self.template, &self.stack) {
            (Some(template), None) => {
                let (template_body, template_url) = source(template)?;
                GetTemplateSummary { stack_name: None, template_body, template_url }
            }
            (None, Some(stack)) => {
                STACK.check(stack)?;
                GetTemplateSummary { stack_name: Some(stack.clone()), ..GetTemplateSummary::default() }
            }
            _ => return Err(invalid("a summary is of a template or of a stack: one of the two")),
        };
        let answer: wire::SummaryAnswer = call(aws, "GetTemplateSummary", &request).await?;
        Ok(GetTemplateSummaryResponse {
            parameters: answer.parameters.member.into_iter().map(declared).collect(),
            capabilities: answer.capabilities.member,
            capabilities_reason: some(answer.capabilities_reason),
            resource_types: answer.resource_types.member,
            transforms: answer.declared_transforms.member,
        })
    }
}

fn declared(item: DeclaredItem) -> DeclaredParameter {
    DeclaredParameter {
        name: item.parameter_key,
        type_: item.parameter_type,
        default: item.default_value,
        no_echo: item.no_echo,
        allowed: item.parameter_constraints.allowed_values.member,
    }
}

impl Read for GetTemplateRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        STACK.check(&self.stack)?;
        self.change_set.as_deref().map_or(Ok(()), check_change_set)?;
        let request = GetTemplate {
            stack_name: self.stack.clone(),
            change_set_name: self.change_set.clone(),
            template_stage: if self.processed { "Processed" } else { "Original" },
        };
        let answer: wire::TemplateBodyAnswer = call(aws, "GetTemplate", &request).await?;
        let body = some(answer.template_body).ok_or_else(|| incomplete("the template"))?;
        Ok(GetTemplateResponse { body })
    }
}
