//! Elastic Container Registry, for images that go from one registry to another.
//!
//! Every request record of the interface `ecr-promote` is an [`Operation`](super::operation::Operation); [`CopyPart`] is the one of
//! `ecr-layers`, with the clients of the source.

use std::sync::Arc;

use aws_sdk_ecr::operation::upload_layer_part::UploadLayerPartError;
use aws_sdk_ecr::primitives::Blob;
use aws_sdk_ecr::types as sdk;
use serde::Serialize;

use super::clients::Clients;
use super::download;
use super::ecr::{MOST, REPOSITORY, repository};
use super::error::{AwsError, from_sdk, invalid};
use super::limits::batch;
use super::look::Look;
use super::operation::{Fate, Operation, Read, RetryClass, Token, Unanswered, Write, heads};
use super::values::{list, word};
use crate::contract::bindings::kiln::aws_ecr_promote::ecr_layers::{CopyLayerPartRequest, CopyLayerPartResponse};
use crate::contract::bindings::kiln::aws_ecr_promote::ecr_promote::{
    CheckLayersRequest, CheckLayersResponse, CompleteLayerRequest, CompleteLayerResponse,
    DescribeImageReplicationRequest, DescribeImageReplicationResponse, LayerState, Replica, StartLayerRequest,
    StartLayerResponse,
};
use crate::types::{Arn, Digest, Place};

/// The largest part that ECR takes, in bytes.
const PART: u64 = 20 << 20;

heads! {
    CheckLayersRequest => CheckLayersResponse:
        "ecr:BatchCheckLayerAvailability" on |it, at| [REPOSITORY.arn(at, &it.repository)];
    StartLayerRequest => StartLayerResponse:
        "ecr:InitiateLayerUpload" on |it, at| [REPOSITORY.arn(at, &it.repository)];
    DescribeImageReplicationRequest => DescribeImageReplicationResponse:
        "ecr:DescribeImageReplicationStatus" on |it, at| [REPOSITORY.arn(at, &it.repository)];
}

impl Read for CheckLayersRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        availability(aws, &self.repository, &self.digests).await
    }
}

/// Which layers a repository has.
async fn availability(aws: &Clients, given: &str, digests: &[String]) -> Result<CheckLayersResponse, AwsError> {
    batch("layers", digests, MOST)?;
    let (registry, name) = repository(aws, given)?;
    let request = aws.ecr().batch_check_layer_availability().set_registry_id(registry).repository_name(name);
    let output = request.set_layer_digests(Some(digests.to_vec())).send().await.map_err(from_sdk)?;
    let state = |layer: sdk::Layer| LayerState {
        digest: layer.layer_digest.unwrap_or_default(),
        availability: word(layer.layer_availability),
        size: layer.layer_size.and_then(|size| u64::try_from(size).ok()),
    };
    let digest = |failure: sdk::LayerFailure| failure.layer_digest.unwrap_or_default();
    Ok(CheckLayersResponse { layers: list(output.layers, state), invalid: list(output.failures, digest) })
}

impl Write for StartLayerRequest {
    const RETRY: RetryClass = RetryClass::Natural;

    async fn send(&self, aws: &Clients, _: &Token) -> Result<Self::Output, AwsError> {
        let (registry, name) = repository(aws, &self.repository)?;
        let request = aws.ecr().initiate_layer_upload().set_registry_id(registry).repository_name(name);
        let output = request.send().await.map_err(from_sdk)?;
        let part_size = output.part_size.and_then(|size| u64::try_from(size).ok()).filter(|size| *size > 0);
        Ok(StartLayerResponse {
            upload_id: output.upload_id.unwrap_or_default(),
            part_size: part_size.unwrap_or(PART).min(PART),
        })
    }

    async fn fate(&self, _: &Look, _: &Unanswered<'_>) -> Result<Fate<Self::Output>, AwsError> {
        // An upload that nobody goes on with is forgotten.
        Ok(Fate::SendAgain)
    }
}

impl Operation for CompleteLayerRequest {
    type Output = CompleteLayerResponse;
    const ACTION: &'static str = "ecr:CompleteLayerUpload";

    fn resources(&self, at: &Place) -> Vec<Arn> {
        vec![REPOSITORY.arn(at, &self.repository)]
    }

    fn requires(&self, at: &Place) -> Vec<(&'static str, Vec<Arn>)> {
        vec![(CheckLayersRequest::ACTION, self.resources(at))]
    }
}

impl Write for CompleteLayerRequest {
    const RETRY: RetryClass = RetryClass::Natural;
    const LOOKS: &'static [&'static str] = &[CheckLayersRequest::ACTION];

    async fn send(&self, aws: &Clients, _: &Token) -> Result<Self::Output, AwsError> {
        let (registry, name) = repository(aws, &self.repository)?;
        let request = aws.ecr().complete_layer_upload().set_registry_id(registry).repository_name(name);
        let sent = request.upload_id(&self.upload_id).layer_digests(&self.digest).send().await;
        let error = match sent {
            Ok(_) => return Ok(CompleteLayerResponse { was_there: false }),
            Err(error) => error,
        };
        let service = error.as_service_error();
        if service.is_some_and(|error| error.is_layer_already_exists_exception()) {
            return Ok(CompleteLayerResponse { was_there: true });
        }
        // An upload that was completed is there no more; the layer is, and that is what was asked for.
        if service.is_some_and(|error| error.is_upload_not_found_exception()) && self.is_there(aws).await? {
            return Ok(CompleteLayerResponse { was_there: true });
        }
        Err(from_sdk(error))
    }

    async fn fate(&self, look: &Look, _: &Unanswered<'_>) -> Result<Fate<Self::Output>, AwsError> {
        let layers = look.read(&self.check()).await?.layers;
        Ok(match self.is_among(&layers) {
            true => Fate::Happened {
                output: CompleteLayerResponse { was_there: false },
                evidence: format!("the layer {} is there", self.digest),
            },
            false => Fate::SendAgain,
        })
    }
}

impl CompleteLayerRequest {
    fn check(&self) -> CheckLayersRequest {
        CheckLayersRequest { repository: self.repository.clone(), digests: vec![self.digest.clone()] }
    }

    fn is_among(&self, layers: &[LayerState]) -> bool {
        layers.iter().any(|layer| layer.digest == self.digest && layer.availability == "AVAILABLE")
    }

    async fn is_there(&self, aws: &Clients) -> Result<bool, AwsError> {
        let digests = std::slice::from_ref(&self.digest);
        Ok(self.is_among(&availability(aws, &self.repository, digests).await?.layers))
    }
}

impl Read for DescribeImageReplicationRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        let (registry, name) = repository(aws, &self.repository)?;
        let image = sdk::ImageIdentifier::builder().image_digest(&self.digest).build();
        let request = aws.ecr().describe_image_replication_status().set_registry_id(registry).repository_name(name);
        let output = request.image_id(image).send().await.map_err(from_sdk)?;
        let replica = |status: sdk::ImageReplicationStatus| Replica {
            account: status.registry_id.unwrap_or_default(),
            region: status.region.unwrap_or_default(),
            status: word(status.status),
            failure_code: status.failure_code,
        };
        Ok(DescribeImageReplicationResponse { replicas: list(output.replication_statuses, replica) })
    }
}

/// A part of a layer that goes from one registry to another: its bytes are held by nobody else, one part at a time.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct CopyPart {
    pub(crate) request: CopyLayerPartRequest,
    /// With the credentials of where it comes from.
    #[serde(skip)]
    pub(crate) source: Option<Arc<Clients>>,
}

impl CopyPart {
    /// What is asked of the source.
    pub(crate) const OF_SOURCE: &'static str = "ecr:GetDownloadUrlForLayer";

    /// What of the source is asked for it.
    pub(crate) fn source_resource(request: &CopyLayerPartRequest, at: &Place) -> Arn {
        REPOSITORY.arn(at, &request.source_repository)
    }

    /// Its bytes.
    async fn bytes(&self) -> Result<Vec<u8>, AwsError> {
        let CopyLayerPartRequest { source_repository, digest, first, last, .. } = &self.request;
        let source = self.source.as_ref().ok_or_else(|| invalid("nobody says where the layer is"))?;
        let (registry, name) = repository(source, source_repository)?;
        let ecr = source.ecr();
        let request = ecr.get_download_url_for_layer().set_registry_id(registry).repository_name(name);
        let url = request.layer_digest(digest).send().await.map_err(from_sdk)?.download_url.unwrap_or_default();
        download::range(ecr.config(), &url, *first, *last).await
    }
}

impl Operation for CopyPart {
    type Output = CopyLayerPartResponse;
    const ACTION: &'static str = "ecr:UploadLayerPart";
    const REQUIRES: &'static [&'static str] = &[Self::OF_SOURCE];

    fn resources(&self, at: &Place) -> Vec<Arn> {
        vec![REPOSITORY.arn(at, &self.request.repository)]
    }
}

impl Write for CopyPart {
    const RETRY: RetryClass = RetryClass::Natural;

    async fn send(&self, aws: &Clients, _: &Token) -> Result<Self::Output, AwsError> {
        let CopyLayerPartRequest { first, last, upload_id, .. } = &self.request;
        let length = last.checked_sub(*first).and_then(|less| less.checked_add(1));
        let Some(length) = length.filter(|length| *length <= PART) else {
            return Err(invalid(format_args!("bytes {first} to {last} are no part of at most {PART} bytes")));
        };
        let (Ok(from), Ok(to)) = (i64::try_from(*first), i64::try_from(*last)) else {
            return Err(invalid(format_args!("bytes {first} to {last} are of no layer")));
        };
        let (registry, name) = repository(aws, &self.request.repository)?;
        let bytes = self.bytes().await?;
        let copied = CopyLayerPartResponse { bytes: length, part_digest: Digest::of(&bytes).to_string() };
        let request = aws.ecr().upload_layer_part().set_registry_id(registry).repository_name(name);
        let request = request.upload_id(upload_id).part_first_byte(from).part_last_byte(to);
        match request.layer_part_blob(Blob::new(bytes)).send().await {
            Ok(_) => Ok(copied),
            Err(error) => match error.as_service_error() {
                // ECR has it already: its answer to an earlier sending did not come.
                Some(UploadLayerPartError::InvalidLayerPartException(refused))
                    if refused.last_valid_byte_received.is_some_and(|received| received >= to) =>
                {
                    Ok(copied)
                }
                _ => Err(from_sdk(error)),
            },
        }
    }

    async fn fate(&self, _: &Look, _: &Unanswered<'_>) -> Result<Fate<Self::Output>, AwsError> {
        // ECR takes a part once, and says how far it has come.
        Ok(Fate::SendAgain)
    }
}
