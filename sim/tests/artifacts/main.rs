//! What is built, kept, scanned and logged, through simulated time: ECR, CodeBuild and CloudWatch Logs.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail")]

mod aws;
mod builds;
mod images;
mod logs;
mod scans;
mod world;
