//! What CodeBuild offers.
//!
//! The main function is [`service`].

use super::{builds, projects, start};
use crate::service::Service;
use crate::services::ServiceId;

pub(crate) fn service(id: ServiceId) -> Service {
    Service::new(id, "CodeBuild_20161006")
        .invalid_input("InvalidInputException")
        .write("CreateProject", projects::create_project)
        .on("project/{name}")
        .passes("serviceRole", "role/{serviceRole}", "codebuild.amazonaws.com")
        .write("UpdateProject", projects::update_project)
        .on("project/{name}")
        .passes("serviceRole", "role/{serviceRole}", "codebuild.amazonaws.com")
        .read("BatchGetProjects", projects::batch_get_projects)
        .on("project/{names[]}")
        .read("ListProjects", projects::list_projects)
        .write("DeleteProject", projects::delete_project)
        .on("project/{name}")
        .write("StartBuild", start::start_build)
        .on("project/{projectName}")
        .passes("serviceRoleOverride", "role/{serviceRoleOverride}", "codebuild.amazonaws.com")
        .write("RetryBuild", start::retry_build)
        .on("project/{id:}")
        .read("BatchGetBuilds", builds::batch_get_builds)
        .on("project/{ids[]:}")
        .read("ListBuilds", builds::list_builds)
        .read("ListBuildsForProject", builds::list_builds_for_project)
        .on("project/{projectName}")
        .write("StopBuild", builds::stop_build)
        .on("project/{id:}")
}
