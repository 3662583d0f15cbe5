//! EC2's refusals, in its words.
//!
//! The main function is [`missing`]. EC2's model declares no errors: their codes stand in its
//! [API reference](https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html).

use crate::error::AwsError;

/// A thing that is not there: `InvalidSnapshot.NotFound`.
pub(super) fn missing(code: &'static str, kind: &str, id: &str) -> AwsError {
    AwsError::new(code, format!("The {kind} '{id}' does not exist"))
}

/// The image is not there, or not to be seen from here.
pub(super) fn no_image(id: &str) -> AwsError {
    AwsError::new("InvalidAMIID.NotFound", format!("The image id '[{id}]' does not exist"))
}

/// The image is there, and nothing can be done with it any more, or not yet.
pub(super) fn unavailable_image(id: &str) -> AwsError {
    AwsError::new("InvalidAMIID.Unavailable", format!("The image ID '{id}' is no longer available"))
}

/// A value that EC2 does not take.
pub(super) fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::new("InvalidParameterValue", message)
}

/// A token that is none of this list's.
pub(super) fn no_token(_: crate::page::InvalidToken) -> AwsError {
    invalid("Unable to parse pagination token")
}
