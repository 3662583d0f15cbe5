//! What Image Builder offers.
//!
//! The main function is [`service`].

use super::{cancel, configurations, findings, images, lifecycle, lists, start, steps};
use crate::service::Service;
use crate::services::ServiceId;

const TAGS: &str = "imagebuilder:TagResource";

pub(crate) fn service(id: ServiceId) -> Service {
    Service::new(id, "")
        .invalid_input("InvalidRequestException")
        .write("StartImagePipelineExecution", start::start_image_pipeline_execution)
        .at("PUT", "/StartImagePipelineExecution")
        .on("{imagePipelineArn}")
        .needs("imagePipelineArn", "imagebuilder:GetImagePipeline", "{imagePipelineArn}")
        .needs("tags", TAGS, "image/*")
        .write("CreateImage", start::create_image)
        .at("PUT", "/CreateImage")
        .on_found(start::image_of_recipe)
        .needs("imageRecipeArn", "imagebuilder:GetImageRecipe", "{imageRecipeArn}")
        .needs(
            "infrastructureConfigurationArn",
            "imagebuilder:GetInfrastructureConfiguration",
            "{infrastructureConfigurationArn}",
        )
        .needs(
            "distributionConfigurationArn",
            "imagebuilder:GetDistributionConfiguration",
            "{distributionConfigurationArn}",
        )
        .needs("tags", TAGS, "image/*")
        .write("CancelImageCreation", cancel::cancel_image_creation)
        .at("PUT", "/CancelImageCreation")
        .on("{imageBuildVersionArn}")
        .write("DeleteImage", cancel::delete_image)
        .at("DELETE", "/DeleteImage")
        .on("{imageBuildVersionArn}")
        .read("GetImage", images::get_image)
        .at("GET", "/GetImage")
        .on("{imageBuildVersionArn}")
        .read("GetImagePipeline", configurations::get_image_pipeline)
        .at("GET", "/GetImagePipeline")
        .on("{imagePipelineArn}")
        .read("GetImageRecipe", configurations::get_image_recipe)
        .at("GET", "/GetImageRecipe")
        .on("{imageRecipeArn}")
        .read("ListImageRecipes", lists::list_image_recipes)
        .at("POST", "/ListImageRecipes")
        .read("GetInfrastructureConfiguration", configurations::get_infrastructure_configuration)
        .at("GET", "/GetInfrastructureConfiguration")
        .on("{infrastructureConfigurationArn}")
        .read("GetDistributionConfiguration", configurations::get_distribution_configuration)
        .at("GET", "/GetDistributionConfiguration")
        .on("{distributionConfigurationArn}")
        .read("ListImagePipelineImages", lists::list_image_pipeline_images)
        .at("POST", "/ListImagePipelineImages")
        .on("{imagePipelineArn}")
        .read("ListImages", lists::list_images)
        .at("POST", "/ListImages")
        .read("ListImageBuildVersions", lists::list_image_build_versions)
        .at("POST", "/ListImageBuildVersions")
        .on("{imageVersionArn}")
        .read("ListWorkflowExecutions", steps::list_workflow_executions)
        .at("POST", "/ListWorkflowExecutions")
        .on("{imageBuildVersionArn}")
        .read("ListWorkflowStepExecutions", steps::list_workflow_step_executions)
        .at("POST", "/ListWorkflowStepExecutions")
        .on("workflow-execution/{workflowExecutionId}")
        .read("ListImageScanFindings", findings::list_image_scan_findings)
        .at("POST", "/ListImageScanFindings")
        .on("image/*")
        .read("ListLifecyclePolicies", lifecycle::list_lifecycle_policies)
        .at("POST", "/ListLifecyclePolicies")
        .read("GetLifecyclePolicy", lifecycle::get_lifecycle_policy)
        .at("GET", "/GetLifecyclePolicy")
        .on("{lifecyclePolicyArn}")
}
