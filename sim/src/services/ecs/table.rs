//! What ECS offers.
//!
//! The main function is [`service`].

use super::{clusters, definitions, deployments, services, tags, tasks, updates};
use crate::service::Service;

pub(crate) fn service() -> Service {
    Service::new("ecs", "AmazonEC2ContainerServiceV20141113")
        .invalid_input("InvalidParameterException")
        .write("CreateCluster", clusters::create_cluster)
        .read("DescribeClusters", clusters::describe_clusters)
        .read("ListClusters", clusters::list_clusters)
        .write("DeleteCluster", clusters::delete_cluster)
        .write("RegisterTaskDefinition", definitions::register_task_definition)
        .read("DescribeTaskDefinition", definitions::describe_task_definition)
        .write("DeregisterTaskDefinition", definitions::deregister_task_definition)
        .read("ListTaskDefinitions", definitions::list_task_definitions)
        .read("ListTaskDefinitionFamilies", definitions::list_task_definition_families)
        .write("CreateService", updates::create_service)
        .write("UpdateService", updates::update_service)
        .write("DeleteService", services::delete_service)
        .read("DescribeServices", services::describe_services)
        .read("ListServices", services::list_services)
        .read("ListServiceDeployments", deployments::list_service_deployments)
        .read("DescribeServiceDeployments", deployments::describe_service_deployments)
        .read("DescribeServiceRevisions", deployments::describe_service_revisions)
        .write("StopServiceDeployment", deployments::stop_service_deployment)
        .read("ListTasks", tasks::list_tasks)
        .read("DescribeTasks", tasks::describe_tasks)
        .write("RunTask", tasks::run_task)
        .write("StopTask", tasks::stop_task)
        .write("TagResource", tags::tag_resource)
        .write("UntagResource", tags::untag_resource)
        .read("ListTagsForResource", tags::list_tags_for_resource)
}
