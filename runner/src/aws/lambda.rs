//! Lambda: functions, and the images that they are made of.
//!
//! Every request record of the interface `lambda` is an [`Operation`](super::operation::Operation); [`ListFunctionsRequest`] is the
//! plainest.

use aws_sdk_lambda::types as sdk;

use super::clients::Clients;
use super::error::{AwsError, from_sdk};
use super::limits::gather;
use super::names::{self, ResourceKind};
use super::operation::{Read, heads};
use super::values::{list, word};
use crate::contract::bindings::kiln::aws_lambda::lambda::{
    FunctionSummary, GetFunctionRequest, GetFunctionResponse, ListFunctionsRequest, ListFunctionsResponse,
};

const FUNCTION: ResourceKind = ResourceKind::new("lambda", "a function", "function:", "-_");

heads! {
    ListFunctionsRequest => ListFunctionsResponse: "lambda:ListFunctions" on |_, _| [];
    GetFunctionRequest => GetFunctionResponse: "lambda:GetFunction" on |it, at| [FUNCTION.arn(at, &it.name)];
}

impl Read for ListFunctionsRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        let versions = self.all_versions.then_some(sdk::FunctionVersion::All);
        let request = aws.lambda().list_functions().set_function_version(versions);
        let functions = gather("functions", request.into_paginator().send(), |page| {
            list(page.functions, |function: sdk::FunctionConfiguration| FunctionSummary {
                name: function.function_name.unwrap_or_default(),
                arn: function.function_arn.unwrap_or_default(),
                version: function.version.unwrap_or_default(),
                // There were archives only, once.
                package_type: function.package_type.map_or("Zip".to_owned(), |kind| kind.as_str().to_owned()),
            })
        })
        .await?;
        Ok(ListFunctionsResponse { functions })
    }
}

impl Read for GetFunctionRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        FUNCTION.check(&self.name)?;
        if let Some(qualifier) = &self.qualifier {
            names::check("a version or an alias", qualifier, "-_$")?;
        }
        let request = aws.lambda().get_function().function_name(&self.name).set_qualifier(self.qualifier.clone());
        let function = request.send().await.map_err(from_sdk)?;
        let (image, resolved_image) = function.code.map(|code| (code.image_uri, code.resolved_image_uri)).unzip();
        Ok(GetFunctionResponse {
            package_type: word(function.configuration.and_then(|configuration| configuration.package_type)),
            image: image.flatten(),
            resolved_image: resolved_image.flatten(),
        })
    }
}
