//! Elastic Container Service: services, their deployments, tasks, task definitions.

mod cluster;
mod deployments;
mod services;
mod task_definitions;
mod tasks;
