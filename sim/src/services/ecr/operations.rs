//! What ECR offers.
//!
//! The main function is [`service`].

use super::{delete, describe, findings, images, policies, registry, repositories, scans, storage};
use crate::service::Service;
use crate::services::ServiceId;

pub(crate) fn service(id: ServiceId) -> Service {
    Service::new(id, "AmazonEC2ContainerRegistry_V20150921")
        .invalid_input("InvalidParameterException")
        .write("CreateRepository", repositories::create_repository)
        .on("repository/{repositoryName}")
        .read("DescribeRepositories", repositories::describe_repositories)
        .on("repository/{repositoryNames[]}")
        .write("DeleteRepository", repositories::delete_repository)
        .on("repository/{repositoryName}")
        .write("PutImageTagMutability", repositories::put_image_tag_mutability)
        .on("repository/{repositoryName}")
        .write("PutImageScanningConfiguration", repositories::put_image_scanning_configuration)
        .on("repository/{repositoryName}")
        .tags::<repositories::RepositoryTags>()
        .write("PutImage", images::put_image)
        .on("repository/{repositoryName}")
        .read("BatchGetImage", images::batch_get_image)
        .on("repository/{repositoryName}")
        .write("BatchDeleteImage", delete::batch_delete_image)
        .on("repository/{repositoryName}")
        .read("DescribeImages", describe::describe_images)
        .on("repository/{repositoryName}")
        .read("ListImages", describe::list_images)
        .on("repository/{repositoryName}")
        .write("UpdateImageStorageClass", storage::update_image_storage_class)
        .on("repository/{repositoryName}")
        .write("PutRegistryScanningConfiguration", registry::put_registry_scanning_configuration)
        .read("GetRegistryScanningConfiguration", registry::get_registry_scanning_configuration)
        .read("BatchGetRepositoryScanningConfiguration", registry::batch_get_repository_scanning_configuration)
        .on("repository/{repositoryNames[]}")
        .read("GetAuthorizationToken", registry::get_authorization_token)
        .write("StartImageScan", scans::start_image_scan)
        .on("repository/{repositoryName}")
        .write("PutLifecyclePolicy", policies::put_lifecycle_policy)
        .on("repository/{repositoryName}")
        .read("GetLifecyclePolicy", policies::get_lifecycle_policy)
        .on("repository/{repositoryName}")
        .write("DeleteLifecyclePolicy", policies::delete_lifecycle_policy)
        .on("repository/{repositoryName}")
        .write("StartLifecyclePolicyPreview", policies::start_lifecycle_policy_preview)
        .on("repository/{repositoryName}")
        .read("GetLifecyclePolicyPreview", policies::get_lifecycle_policy_preview)
        .on("repository/{repositoryName}")
        .read("DescribeImageScanFindings", findings::describe_image_scan_findings)
        .on("repository/{repositoryName}")
}
