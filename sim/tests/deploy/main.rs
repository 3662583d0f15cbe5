//! Deployments of ECS services and the alarms that guard them, through simulated time.

mod alarms;
mod bounds;
mod rollouts;
mod tasks;
mod world;
