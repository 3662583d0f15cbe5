//! Where a refresh stands.
//! The main type is [`Stand`].

use kiln_plugin::aws::autoscaling::InstanceRefresh;
use kiln_plugin::progress::Status;

/// How a refresh ended that did not bring what it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Failed,
    Cancelled,
    RolledBack,
    RollbackFailed,
}

/// Where a refresh stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stand {
    /// It goes on.
    Forward(Status),
    /// It goes back.
    Back(Status),
    /// It is being cancelled.
    Cancelling,
    /// It has replaced everything.
    Succeeded,
    Ended(Ending),
    /// In a state that kiln does not know: neither a success nor a failure.
    Unknown(String),
}

impl Stand {
    /// What a refresh says.
    pub(crate) fn of(refresh: &InstanceRefresh) -> Self {
        let counted = |message: String| Status { message, done: Some(refresh.percentage.min(100)), total: Some(100) };
        let left = kiln_plugin::count(refresh.to_update, "instance");
        match refresh.status.as_str() {
            "Pending" => Self::Forward(counted("the refresh is about to begin".to_owned())),
            "InProgress" => Self::Forward(counted(format!("{left} to be replaced"))),
            "Baking" => Self::Forward(counted("every instance is replaced, and the bake time goes on".to_owned())),
            "RollbackInProgress" => Self::Back(counted(format!("the refresh goes back: {left} to be replaced"))),
            "Cancelling" => Self::Cancelling,
            "Successful" => Self::Succeeded,
            "Failed" => Self::Ended(Ending::Failed),
            "Cancelled" => Self::Ended(Ending::Cancelled),
            "RollbackSuccessful" => Self::Ended(Ending::RolledBack),
            "RollbackFailed" => Self::Ended(Ending::RollbackFailed),
            other => Self::Unknown(other.to_owned()),
        }
    }

    /// Whether no other refresh can begin. One in a state that kiln does not know may go on.
    pub(crate) fn is_under_way(&self) -> bool {
        match self {
            Self::Forward(_) | Self::Back(_) | Self::Cancelling | Self::Unknown(_) => true,
            Self::Succeeded | Self::Ended(_) => false,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn refresh(id: &str, status: &str) -> InstanceRefresh {
        InstanceRefresh {
            id: id.to_owned(),
            status: status.to_owned(),
            reason: None,
            started: Some(1_000),
            ended: None,
            percentage: 40,
            to_update: 3,
            strategy: "Rolling".to_owned(),
            preferences: None,
            desired_configuration: None,
            rollback_reason: None,
            percentage_on_rollback: None,
        }
    }

    #[test]
    fn every_state_is_known_and_a_new_one_never_counts_as_success() {
        let of = |status: &str| Stand::of(&refresh("a", status));
        for status in ["Pending", "InProgress", "Baking"] {
            assert!(matches!(of(status), Stand::Forward(_)), "{status}");
        }
        assert!(matches!(of("RollbackInProgress"), Stand::Back(_)));
        assert_eq!(of("Successful"), Stand::Succeeded);
        let endings = [
            ("Failed", Ending::Failed),
            ("Cancelled", Ending::Cancelled),
            ("RollbackSuccessful", Ending::RolledBack),
            ("RollbackFailed", Ending::RollbackFailed),
        ];
        for (status, ending) in endings {
            assert_eq!(of(status), Stand::Ended(ending));
            assert!(!of(status).is_under_way());
        }
        for status in ["Musing", "", "successful"] {
            assert_eq!(of(status), Stand::Unknown(status.to_owned()));
            assert!(of(status).is_under_way());
        }
    }
}
