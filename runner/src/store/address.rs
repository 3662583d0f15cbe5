//! Which store a command means: what its flag, the journal or the pipeline file says.
//!
//! The main type is [`Store`].

use std::path::PathBuf;

use aws_config::environment::region::EnvironmentVariableRegionProvider;
use aws_config::meta::region::ProvideRegion;
use aws_config::profile::region::ProfileFileRegionProvider;

use super::table::Table;
use crate::types::{Region, RunId};

/// Where runs are kept.
#[derive(Debug, Clone)]
pub enum Store {
    /// In a directory of this machine.
    Local(PathBuf),
    /// In a table that machines share. The directory holds the working copies.
    Shared(Table),
}

impl Store {
    /// What a resumed run on another machine is told by: the command that goes on with it.
    pub fn resume_command(&self, run: &RunId) -> String {
        match self {
            Self::Local(_) => format!("kiln resume {run}"),
            Self::Shared(table) => format!("kiln resume {run} --store {}", table.address()),
        }
    }

    /// The command that releases an environment.
    pub fn release_command(&self, environment: &str) -> String {
        match self {
            Self::Local(_) => format!("kiln lease release {environment} --reason …"),
            Self::Shared(table) => format!("kiln lease release {environment} --reason … --store {}", table.address()),
        }
    }
}

/// The region that the environment names, or the profile: `profile`, or the environment's. The machine's own metadata are not asked.
pub async fn ambient_region(profile: Option<&str>) -> Option<Region> {
    let found = match EnvironmentVariableRegionProvider::new().region().await {
        Some(region) => Some(region),
        None => {
            let of_profile = ProfileFileRegionProvider::builder();
            let of_profile = match profile {
                Some(name) => of_profile.profile_name(name),
                None => of_profile,
            };
            of_profile.build().region().await
        }
    };
    found?.as_ref().parse().ok()
}
