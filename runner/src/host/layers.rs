//! `kiln:aws-ecr-promote/ecr-layers`: parts of layers, which go from one environment of a stage to another.

use std::sync::Arc;

use super::state::{StageHost, stop};
use crate::aws::ecr_promote::CopyPart;
use crate::aws::error::{AwsError, ErrorKind};
use crate::call::Standing;
use crate::contract::bindings::kiln::aws_ecr_promote::ecr_layers::{CopyLayerPartRequest, CopyLayerPartResponse, Host};

impl Host for StageHost {
    async fn copy_layer_part(
        &mut self,
        request: CopyLayerPartRequest,
    ) -> wasmtime::Result<Result<CopyLayerPartResponse, AwsError>> {
        let work = self.enter("ecr:UploadLayerPart").await?;
        let source = match &request.source_environment {
            None => Some(Arc::clone(&work.own)),
            Some(name) => {
                let found = work.own.elsewhere.iter().find(|(known, _)| known.as_str() == name);
                found.map(|(_, standing)| Arc::clone(standing))
            }
        };
        let source = match permitted(source, &request) {
            Ok(source) => source,
            Err(refused) => return Ok(Err(refused)),
        };
        let copy = CopyPart { request, source: Some(Arc::clone(&source.clients)) };
        work.caller.write(copy).await.map_err(stop)
    }
}

/// Whoever reads the layer in the source, where the stage may do that there. Answered the same each time: nothing is written down.
fn permitted(source: Option<Arc<Standing>>, request: &CopyLayerPartRequest) -> Result<Arc<Standing>, AwsError> {
    let refused = |message: String| AwsError {
        kind: ErrorKind::Denied,
        code: "PermissionNotDeclared".to_owned(),
        message,
        operation: CopyPart::OF_SOURCE.to_owned(),
        request_id: None,
    };
    let Some(source) = source else {
        let name = request.source_environment.as_deref().unwrap_or_default();
        return Err(refused(format!("the stage's config names no environment {name:?} under `elsewhere`")));
    };
    let arn = CopyPart::source_resource(request, &source.place);
    source.grants.allows(CopyPart::OF_SOURCE, &[arn]).map_err(|denied| refused(denied.to_string()))?;
    Ok(source)
}
