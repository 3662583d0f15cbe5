//! Deployments of ECS services and the alarms that guard them, through simulated time.

#![expect(clippy::indexing_slicing, reason = "a test whose world lacks what it looks at has failed")]

mod alarms;
mod bounds;
mod rollouts;
mod tasks;
mod world;
