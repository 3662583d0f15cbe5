//! How AWS is reached.
//!
//! The main type is [`Aws`].

use clap::Args;

use super::dispatch::Global;
use super::load::Loaded;
use crate::aws::clients::Connection;
use crate::clock::Clock;
use crate::plugin::Limits;
use crate::report::{Origin, Report};
use crate::run::{Control, RunOptions};

/// How AWS is reached, and by which clock.
#[derive(Debug, Args)]
pub(super) struct Aws {
    /// Send all requests to this address instead of AWS [env: AWS_ENDPOINT_URL]
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
    /// Let the run's clock go this many times as fast as the world's: only for a simulator whose clock does, too
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = parse_scale)]
    clock_scale: f64,
}

fn parse_scale(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(scale) if scale.is_finite() && (0.001..=1_000_000.0).contains(&scale) => Ok(scale),
        _ => Err("it must be a number between 0.001 and 1000000".to_owned()),
    }
}

impl Aws {
    pub(super) fn clock(&self) -> Clock {
        Clock::scaled(self.clock_scale)
    }

    /// Where the calls go, as a page about the run says it.
    pub(super) fn origin(&self) -> Origin {
        let variable = || std::env::var("AWS_ENDPOINT_URL").ok().filter(|url| !url.is_empty());
        match self.endpoint_url.clone().or_else(variable) {
            Some(url) => Origin::Endpoint { url },
            None => Origin::Aws,
        }
    }

    /// The options of a run.
    pub(super) async fn options(
        &self,
        global: &Global,
        loaded: &Loaded,
        clock: Clock,
        control: Control,
        report: Box<dyn Report>,
        max_parallel: Option<usize>,
    ) -> RunOptions {
        let state_dir = std::path::absolute(&global.state_dir).unwrap_or_else(|_| global.state_dir.clone());
        RunOptions {
            max_parallel,
            state_dir: Some(state_dir),
            run_id: None,
            connection: Connection::load(&loaded.pipeline.region, self.endpoint_url.as_deref()).await,
            clock,
            limits: Limits::default(),
            control,
            report,
        }
    }
}
