//! How AWS is reached.
//!
//! The main type is [`Aws`].

use clap::Args;

use super::dispatch::Global;
use super::exit::Exit;
use super::say::complain;
use super::store::tell;
use crate::aws::clients::Connection;
use crate::aws::network::without_user;
use crate::call::Control;
use crate::clock::Clock;
use crate::contract::Limits;
use crate::report::{Origin, Report};
use crate::run::{RunOptions, Sharing};
use crate::store::ambient_region;
use crate::types::Region;

/// Where requests are sent, and as whom.
#[derive(Debug, Args)]
pub(super) struct Endpoint {
    /// Send all requests to this address instead of AWS [env: AWS_ENDPOINT_URL]
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
    /// Take the credentials of this profile, whatever keys the environment has [env: AWS_PROFILE, which keys go before]
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// The region, instead of the pipeline's (environments with a region of their own keep it; a run that goes on keeps the one it began
    /// with) and where a store's address names none
    #[arg(long, value_name = "REGION")]
    region: Option<Region>,
}

/// How AWS is reached, and by which clock.
#[derive(Debug, Args)]
pub(super) struct Aws {
    #[command(flatten)]
    pub(super) endpoint: Endpoint,
    /// Let the run's clock go this many times as fast as the world's: only for a simulator whose clock does, too
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = parse_scale)]
    clock_scale: f64,
}

pub(super) fn parse_scale(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(scale) if scale.is_finite() && (0.001..=1_000_000.0).contains(&scale) => Ok(scale),
        _ => Err("it must be a number between 0.001 and 1000000".to_owned()),
    }
}

impl Endpoint {
    /// Where the calls go, as a page about the run says it.
    pub(super) fn origin(&self) -> Origin {
        let variable = || std::env::var("AWS_ENDPOINT_URL").ok().filter(|url| !url.is_empty());
        match self.endpoint_url.clone().or_else(variable) {
            Some(url) => Origin::Endpoint { url: without_user(&url) },
            None => Origin::Aws,
        }
    }

    /// The address that the command line names.
    pub(super) fn url(&self) -> Option<&str> {
        self.endpoint_url.as_deref()
    }

    /// The profile that the command line names.
    pub(super) fn profile(&self) -> Option<&str> {
        self.profile.as_deref()
    }

    /// The region that the command line names.
    pub(super) fn region(&self) -> Option<&Region> {
        self.region.as_ref()
    }

    /// The region where nothing else names one: that of the command line, the environment or the profile.
    pub(super) async fn ambient_region(&self) -> Option<Region> {
        match &self.region {
            Some(region) => Some(region.clone()),
            None => ambient_region(self.profile.as_deref()).await,
        }
    }

    /// The way to AWS, in `region` where nobody says otherwise. What is wrong with it is told.
    pub(super) async fn connection(&self, region: &Region) -> Result<Connection, Exit> {
        let connection = Connection::load(region, self.endpoint_url.as_deref(), self.profile.as_deref()).await;
        connection.map_err(|error| complain(&error.to_string(), Some(&error.help()), Exit::Environment))
    }

    /// The options of a run over `connection`, as they are unless somebody decides otherwise.
    pub(super) fn options(
        global: &Global,
        connection: Connection,
        clock: Clock,
        control: Control,
        report: Box<dyn Report>,
    ) -> RunOptions {
        RunOptions {
            max_parallel: None,
            state_dir: Some(global.absolute_state_dir()),
            run_id: None,
            connection,
            clock,
            limits: Limits::default(),
            detach_after: None,
            sharing: Sharing { terms: global.terms(), tell, ..Sharing::default() },
            control,
            report,
        }
    }
}

impl Aws {
    pub(super) fn clock(&self) -> Clock {
        Clock::scaled(self.clock_scale)
    }
}
