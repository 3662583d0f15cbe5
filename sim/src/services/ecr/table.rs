//! What ECR offers.
//!
//! The main function is [`service`].

use super::{delete, describe, findings, images, registry, repositories, scans};
use crate::service::Service;

pub(crate) fn service() -> Service {
    Service::new("ecr", "AmazonEC2ContainerRegistry_V20150921")
        .invalid_input("InvalidParameterException")
        .write("CreateRepository", repositories::create_repository)
        .read("DescribeRepositories", repositories::describe_repositories)
        .write("DeleteRepository", repositories::delete_repository)
        .write("PutImageTagMutability", repositories::put_image_tag_mutability)
        .write("PutImageScanningConfiguration", repositories::put_image_scanning_configuration)
        .write("TagResource", repositories::tag_resource)
        .write("UntagResource", repositories::untag_resource)
        .read("ListTagsForResource", repositories::list_tags_for_resource)
        .write("PutImage", images::put_image)
        .read("BatchGetImage", images::batch_get_image)
        .write("BatchDeleteImage", delete::batch_delete_image)
        .read("DescribeImages", describe::describe_images)
        .read("ListImages", describe::list_images)
        .write("PutRegistryScanningConfiguration", registry::put_registry_scanning_configuration)
        .read("GetRegistryScanningConfiguration", registry::get_registry_scanning_configuration)
        .read("BatchGetRepositoryScanningConfiguration", registry::batch_get_repository_scanning_configuration)
        .read("GetAuthorizationToken", registry::get_authorization_token)
        .write("StartImageScan", scans::start_image_scan)
        .read("DescribeImageScanFindings", findings::describe_image_scan_findings)
}
