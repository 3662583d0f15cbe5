//! An account's region, and who calls there.
//!
//! The main type is [`Place`]: the state of every service in one account and region.

use std::{fmt, mem};

use serde::{Serialize, Serializer};

use crate::partition::partition_of;
use crate::services::{self, ServiceId, each_service};

/// Which account and region.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PlaceKey {
    pub(crate) account: String,
    pub(crate) region: String,
}

impl PlaceKey {
    /// The partition that the region belongs to.
    pub(crate) fn partition(&self) -> &'static str {
        partition_of(&self.region).0
    }

    /// The host of an account's registry of images there.
    pub(crate) fn registry_of(&self, account: &str) -> String {
        format!("{account}.dkr.ecr.{}.{}", self.region, partition_of(&self.region).1)
    }

    /// The host of the account's own registry of images.
    pub(crate) fn registry(&self) -> String {
        self.registry_of(&self.account)
    }
}

impl fmt::Display for PlaceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.account, self.region)
    }
}

impl Serialize for PlaceKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

macro_rules! place {
    ($([$Service:ident $module:ident ($($State:ident)?) $event:tt $seeds:tt])*) => {
        /// What the services hold in one account and region.
        #[derive(Debug, Default, Clone, Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub(crate) struct Place {
            $($(pub(crate) $module: services::$module::$State,)?)*
        }

        impl Place {
            /// A place that holds one service's part of this one.
            pub(crate) fn part(&self, service: ServiceId) -> Place {
                let mut part = Place::default();
                match service {
                    $(ServiceId::$Service => {
                        $(part.$module = <services::$module::$State as Clone>::clone(&self.$module);)?
                    })*
                }
                part
            }

            /// Exchange one service's part.
            pub(crate) fn exchange(&mut self, service: ServiceId, other: &mut Place) {
                match service {
                    $(ServiceId::$Service => {
                        $(mem::swap::<services::$module::$State>(&mut self.$module, &mut other.$module);)?
                    })*
                }
            }
        }
    };
}

each_service!(place);

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Caller {
    pub(crate) account: String,
    pub(crate) arn: String,
    pub(crate) user_id: String,
}

impl Caller {
    /// Whoever has keys that the simulator did not hand out: a user of the world's own account.
    pub(crate) fn stranger(account: &str, partition: &str) -> Self {
        Self {
            account: account.to_owned(),
            arn: format!("arn:{partition}:iam::{account}:user/kiln"),
            user_id: "AIDAKILNSIMULATOR0000".to_owned(),
        }
    }

    /// Whether this is a session of a role.
    pub(crate) fn is_session(&self) -> bool {
        self.arn.contains(":assumed-role/")
    }
}
