//! The functions of the contract, each bound to its operation: one line a function.
//!
//! The main type is [`Call`], what a store's state does with an operation; [`bind!`](bind) makes of it the host of every
//! AWS interface. A function that is missing here does not compile.

use crate::aws::error::AwsError;
use crate::aws::operation::Operation;

/// What a store's state does with an AWS operation that its guest asks for.
pub trait Call {
    /// Authorise it, journal it, send it, answer it. An error of the outer result ends the guest.
    fn call<O: Operation>(
        &mut self,
        operation: O,
    ) -> impl Future<Output = wasmtime::Result<Result<O::Output, AwsError>>> + Send;
}

/// Make `$state`, which implements [`Call`], the host of every AWS interface.
macro_rules! bind {
    ($state:ty) => {
        impl $crate::contract::bindings::kiln::aws::types::Host for $state {}

        $crate::host::bind::bind_interface!($state, sts {
            get_caller_identity(GetCallerIdentityRequest),
        });
        $crate::host::bind::bind_interface!($state, secretsmanager {
            describe_secret(DescribeSecretRequest),
        });
        $crate::host::bind::bind_interface!($state, kms {
            describe_key(DescribeKeyRequest),
            encrypt(EncryptRequest),
            decrypt(DecryptRequest),
        });
        $crate::host::bind::bind_interface!($state, ecr {
            describe_repositories(DescribeRepositoriesRequest),
            describe_images(DescribeImagesRequest),
            batch_get_image(BatchGetImageRequest),
            put_image(PutImageRequest),
            batch_delete_image(BatchDeleteImageRequest),
            start_image_scan(StartImageScanRequest),
            describe_image_scan_findings(DescribeImageScanFindingsRequest),
            batch_get_repository_scanning_configuration(BatchGetRepositoryScanningConfigurationRequest),
        });
        $crate::host::bind::bind_interface!($state, codebuild {
            start_build(StartBuildRequest),
            batch_get_builds(BatchGetBuildsRequest),
            stop_build(StopBuildRequest),
            list_builds_for_project(ListBuildsForProjectRequest),
            batch_get_projects(BatchGetProjectsRequest),
        });
        $crate::host::bind::bind_interface!($state, logs {
            get_log_events(GetLogEventsRequest),
        });
        $crate::host::bind::bind_interface!($state, ecs {
            describe_services(DescribeServicesRequest),
            list_services(ListServicesRequest),
            describe_task_definition(DescribeTaskDefinitionRequest),
            register_task_definition(RegisterTaskDefinitionRequest),
            deregister_task_definition(DeregisterTaskDefinitionRequest),
            update_service(UpdateServiceRequest),
            list_tasks(ListTasksRequest),
            describe_tasks(DescribeTasksRequest),
            list_service_deployments(ListServiceDeploymentsRequest),
            describe_service_deployments(DescribeServiceDeploymentsRequest),
            describe_service_revisions(DescribeServiceRevisionsRequest),
            stop_service_deployment(StopServiceDeploymentRequest),
        });
        $crate::host::bind::bind_interface!($state, cloudwatch {
            describe_alarms(DescribeAlarmsRequest),
            get_metric_data(GetMetricDataRequest),
        });
    };
}

macro_rules! bind_interface {
    ($state:ty, $interface:ident { $($function:ident($request:ident),)* }) => {
        impl $crate::contract::bindings::kiln::aws::$interface::Host for $state {
            $(
                async fn $function(
                    &mut self,
                    request: $crate::contract::bindings::kiln::aws::$interface::$request,
                ) -> wasmtime::Result<
                    Result<
                        <$crate::contract::bindings::kiln::aws::$interface::$request as $crate::aws::operation::Operation>::Output,
                        $crate::aws::error::AwsError,
                    >,
                > {
                    $crate::host::bind::Call::call(self, request).await
                }
            )*
        }
    };
}

pub(crate) use {bind, bind_interface};

#[cfg(test)]
mod tests {
    use wasmtime::component::{HasSelf, Linker};

    use super::*;
    use crate::contract::bindings::kiln::aws;

    /// Answers every operation with an error that names it.
    struct Echo;

    impl Call for Echo {
        async fn call<O: Operation>(&mut self, _: O) -> wasmtime::Result<Result<O::Output, AwsError>> {
            Ok(Err(crate::aws::error::invalid(O::ACTION.name)))
        }
    }

    crate::host::bind::bind!(Echo);

    #[test]
    fn every_interface_can_be_linked() -> wasmtime::Result<()> {
        let mut linker = Linker::<Echo>::new(&wasmtime::Engine::default());
        aws::sts::add_to_linker::<_, HasSelf<Echo>>(&mut linker, |state| state)?;
        aws::secretsmanager::add_to_linker::<_, HasSelf<Echo>>(&mut linker, |state| state)?;
        aws::kms::add_to_linker::<_, HasSelf<Echo>>(&mut linker, |state| state)?;
        aws::ecr::add_to_linker::<_, HasSelf<Echo>>(&mut linker, |state| state)?;
        aws::codebuild::add_to_linker::<_, HasSelf<Echo>>(&mut linker, |state| state)?;
        aws::logs::add_to_linker::<_, HasSelf<Echo>>(&mut linker, |state| state)?;
        aws::ecs::add_to_linker::<_, HasSelf<Echo>>(&mut linker, |state| state)?;
        aws::cloudwatch::add_to_linker::<_, HasSelf<Echo>>(&mut linker, |state| state)?;
        Ok(())
    }
}
