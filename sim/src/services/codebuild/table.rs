//! What CodeBuild offers.
//!
//! The main function is [`service`].

use super::{builds, projects, start};
use crate::service::Service;

pub(crate) fn service() -> Service {
    Service::new("codebuild", "CodeBuild_20161006")
        .invalid_input("InvalidInputException")
        .write("CreateProject", projects::create_project)
        .write("UpdateProject", projects::update_project)
        .read("BatchGetProjects", projects::batch_get_projects)
        .read("ListProjects", projects::list_projects)
        .write("DeleteProject", projects::delete_project)
        .write("StartBuild", start::start_build)
        .write("RetryBuild", start::retry_build)
        .read("BatchGetBuilds", builds::batch_get_builds)
        .read("ListBuilds", builds::list_builds)
        .read("ListBuildsForProject", builds::list_builds_for_project)
        .write("StopBuild", builds::stop_build)
}
