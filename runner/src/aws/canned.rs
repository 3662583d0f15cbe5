//! A place for tests.
//!
//! (in work)

use crate::policy::Place;

/// Where test stages act.
pub(crate) fn here() -> Place {
    Place {
        partition: "aws".to_owned(),
        region: "us-west-2".parse().unwrap(),
        account: "111111111111".parse().unwrap(),
    }
}
