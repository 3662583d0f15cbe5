//! Where a stack stands.
//! The main type is [`State`]: what its status lets be done with it.

use kiln_plugin::aws::cloudformation::Stack;

/// Where a stack stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// There is none, or it was deleted.
    Absent,
    /// A change set for a new stack was made, and nothing else.
    Review,
    /// It can be changed.
    Ready,
    /// An operation goes forward.
    Forward,
    /// An operation goes back.
    Back,
    /// It is being deleted.
    Deleting,
    /// Its first creation failed, and what it had made is gone: it can only be deleted.
    Unmade,
    /// Something failed and was left as it is.
    Left,
    /// Its way back failed.
    BackFailed,
    /// Its deletion failed.
    DeleteFailed,
    /// A status that kiln does not know.
    Unknown,
}

impl State {
    /// Of a status.
    pub fn of(status: &str) -> Self {
        match status {
            "DELETE_COMPLETE" => Self::Absent,
            "REVIEW_IN_PROGRESS" => Self::Review,
            "CREATE_COMPLETE"
            | "UPDATE_COMPLETE"
            | "UPDATE_ROLLBACK_COMPLETE"
            | "IMPORT_COMPLETE"
            | "IMPORT_ROLLBACK_COMPLETE" => Self::Ready,
            "CREATE_IN_PROGRESS"
            | "UPDATE_IN_PROGRESS"
            | "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"
            | "IMPORT_IN_PROGRESS" => Self::Forward,
            "ROLLBACK_IN_PROGRESS"
            | "UPDATE_ROLLBACK_IN_PROGRESS"
            | "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS"
            | "IMPORT_ROLLBACK_IN_PROGRESS" => Self::Back,
            "DELETE_IN_PROGRESS" => Self::Deleting,
            "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED" => Self::Unmade,
            "CREATE_FAILED" | "UPDATE_FAILED" => Self::Left,
            "UPDATE_ROLLBACK_FAILED" | "IMPORT_ROLLBACK_FAILED" => Self::BackFailed,
            "DELETE_FAILED" => Self::DeleteFailed,
            _ => Self::Unknown,
        }
    }

    /// Of a stack, if there is one.
    pub fn of_stack(stack: Option<&Stack>) -> Self {
        stack.map_or(Self::Absent, |stack| Self::of(&stack.status))
    }

    /// Whether an operation goes on.
    pub fn is_under_way(self) -> bool {
        match self {
            Self::Forward | Self::Back | Self::Deleting => true,
            Self::Absent
            | Self::Review
            | Self::Ready
            | Self::Unmade
            | Self::Left
            | Self::BackFailed
            | Self::DeleteFailed
            | Self::Unknown => false,
        }
    }

    /// The type of the change set by which it is changed, where it can be.
    pub fn change_set_type(self) -> Option<&'static str> {
        match self {
            Self::Absent | Self::Review => Some("CREATE"),
            Self::Ready => Some("UPDATE"),
            Self::Forward
            | Self::Back
            | Self::Deleting
            | Self::Unmade
            | Self::Left
            | Self::BackFailed
            | Self::DeleteFailed
            | Self::Unknown => None,
        }
    }
}

/// Whether a stack is what an operation was to make of it.
pub fn is_success(status: &str) -> bool {
    matches!(status, "CREATE_COMPLETE" | "UPDATE_COMPLETE" | "IMPORT_COMPLETE")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All that botocore's model has.
    const ALL: [&str; 23] = [
        "CREATE_IN_PROGRESS",
        "CREATE_FAILED",
        "CREATE_COMPLETE",
        "ROLLBACK_IN_PROGRESS",
        "ROLLBACK_FAILED",
        "ROLLBACK_COMPLETE",
        "DELETE_IN_PROGRESS",
        "DELETE_FAILED",
        "DELETE_COMPLETE",
        "UPDATE_IN_PROGRESS",
        "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
        "UPDATE_COMPLETE",
        "UPDATE_FAILED",
        "UPDATE_ROLLBACK_IN_PROGRESS",
        "UPDATE_ROLLBACK_FAILED",
        "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
        "UPDATE_ROLLBACK_COMPLETE",
        "REVIEW_IN_PROGRESS",
        "IMPORT_IN_PROGRESS",
        "IMPORT_COMPLETE",
        "IMPORT_ROLLBACK_IN_PROGRESS",
        "IMPORT_ROLLBACK_FAILED",
        "IMPORT_ROLLBACK_COMPLETE",
    ];

    #[test]
    fn every_status_of_aws_is_known_and_a_new_one_stops_nothing() {
        assert!(ALL.iter().all(|status| State::of(status) != State::Unknown));
        assert_eq!(State::of("MELTING"), State::Unknown);
        for status in ALL {
            let state = State::of(status);
            let goes_on = status.ends_with("_IN_PROGRESS") && status != "REVIEW_IN_PROGRESS";
            assert_eq!(state.is_under_way(), goes_on, "{status}");
            assert!(!(goes_on && state.change_set_type().is_some()), "{status}");
        }
    }

    #[test]
    fn what_went_back_is_no_success_and_can_be_changed_again() {
        assert!(is_success("UPDATE_COMPLETE") && !is_success("UPDATE_ROLLBACK_COMPLETE"));
        assert_eq!(State::of("UPDATE_ROLLBACK_COMPLETE").change_set_type(), Some("UPDATE"));
        assert_eq!(State::of("ROLLBACK_COMPLETE").change_set_type(), None);
        assert_eq!(State::of("REVIEW_IN_PROGRESS").change_set_type(), Some("CREATE"));
        assert_eq!(State::of_stack(None), State::Absent);
    }
}
