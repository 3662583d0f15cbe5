//! AWS's errors in the one form that stages, the journal and reports know.
//!
//! The main type is [`AwsError`], the WIT record itself. [`from_sdk`] makes one of any SDK error.

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::http::Response;
use aws_smithy_types::error::display::DisplayErrorContext;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::request_id::RequestId;

pub use crate::plugin::bindings::kiln::aws::types::{Error as AwsError, ErrorKind};

/// What an SDK error means. `operation` is left empty: the call path, which knows it, fills it in.
pub(crate) fn from_sdk<E>(error: SdkError<E, Response>) -> AwsError
where
    E: ProvideErrorMetadata + RequestId + std::error::Error + Send + Sync + 'static,
{
    let request_id = error.raw_response().and_then(request_id).or_else(|| match &error {
        SdkError::ServiceError(context) => context.err().request_id().map(str::to_owned),
        _ => None,
    });
    match &error {
        SdkError::ServiceError(context) => {
            let status = context.raw().status().as_u16();
            let code = context.err().code().map_or_else(|| format!("HTTP {status}"), str::to_owned);
            let message = context.err().message().unwrap_or("AWS gave no explanation").to_owned();
            AwsError { kind: kind(&code, status), code, message, operation: String::new(), request_id }
        }
        SdkError::TimeoutError(_) => unavailable("TimedOut", &error, request_id),
        SdkError::DispatchFailure(failure) => {
            let described = DisplayErrorContext(&error).to_string();
            // The SDK has no typed error for credentials that cannot be had: it is a dispatch failure of its own making.
            if failure.is_other() && described.contains("redential") {
                AwsError {
                    kind: ErrorKind::AccessDenied,
                    code: "NoCredentials".to_owned(),
                    message: described,
                    operation: String::new(),
                    request_id,
                }
            } else {
                unavailable("Unreachable", &error, request_id)
            }
        }
        SdkError::ConstructionFailure(_) => AwsError {
            kind: ErrorKind::Invalid,
            code: "InvalidRequest".to_owned(),
            message: DisplayErrorContext(&error).to_string(),
            operation: String::new(),
            request_id,
        },
        _ => unavailable("BadResponse", &error, request_id),
    }
}

/// An error of the request itself, before it is sent: a required field is missing or out of range.
pub(crate) fn invalid(message: impl std::fmt::Display) -> AwsError {
    AwsError {
        kind: ErrorKind::Invalid,
        code: "InvalidRequest".to_owned(),
        message: message.to_string(),
        operation: String::new(),
        request_id: None,
    }
}

fn unavailable(code: &str, error: &(dyn std::error::Error + 'static), request_id: Option<String>) -> AwsError {
    AwsError {
        kind: ErrorKind::Unavailable,
        code: code.to_owned(),
        message: DisplayErrorContext(error).to_string(),
        operation: String::new(),
        request_id,
    }
}

fn request_id(response: &Response) -> Option<String> {
    ["x-amzn-requestid", "x-amz-request-id"].iter().find_map(|name| response.headers().get(*name)).map(str::to_owned)
}

/// The table of AWS's codes. A code that is not in it is judged by its ending, then by the HTTP status: new codes of AWS
/// must find a sensible kind without a new release.
fn kind(code: &str, status: u16) -> ErrorKind {
    match code {
        "AccessDenied"
        | "AccessDeniedException"
        | "UnauthorizedOperation"
        | "NotAuthorized"
        | "SignatureDoesNotMatch"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "MissingAuthenticationToken"
        | "OptInRequired" => ErrorKind::AccessDenied,
        "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" => ErrorKind::Expired,
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "PriorRequestNotComplete"
        | "SlowDown"
        | "BandwidthLimitExceeded" => ErrorKind::Throttled,
        "LimitExceededException"
        | "ServiceQuotaExceededException"
        | "AccountLimitExceededException"
        | "LimitExceeded"
        | "LimitExceededFault" => ErrorKind::Limit,
        "AlreadyExistsException"
        | "ResourceAlreadyExistsException"
        | "AlreadyExistsFault"
        | "ImageAlreadyExistsException"
        | "ImageTagAlreadyExistsException"
        | "ResourceExistsException"
        | "RepositoryAlreadyExistsException" => ErrorKind::AlreadyExists,
        "ConflictException"
        | "ResourceInUseException"
        | "IdempotentParameterMismatch"
        | "UpdateInProgressException"
        | "ServiceNotActiveException"
        | "OptimisticLockException"
        | "DisabledException"
        | "KMSInvalidStateException"
        | "InvalidStateException" => ErrorKind::Conflict,
        "InternalFailure"
        | "InternalError"
        | "InternalServerError"
        | "InternalServiceError"
        | "ServerException"
        | "ServiceUnavailable"
        | "ServiceUnavailableException"
        | "ServiceException"
        | "KMSInternalException"
        | "InternalServerException" => ErrorKind::Unavailable,
        _ if code.ends_with("NotFoundException") || code.ends_with("NotFound") || code.ends_with("NotFoundFault") => {
            ErrorKind::NotFound
        }
        _ if code.starts_with("Invalid") || code.contains("Validation") || code == "ClientException" => {
            ErrorKind::Invalid
        }
        _ => match status {
            403 => ErrorKind::AccessDenied,
            404 => ErrorKind::NotFound,
            409 => ErrorKind::Conflict,
            429 => ErrorKind::Throttled,
            500..=599 => ErrorKind::Unavailable,
            _ => ErrorKind::Other,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_nobody_listed_find_a_kind() {
        assert_eq!(kind("FrobNotFoundException", 400), ErrorKind::NotFound);
        assert_eq!(kind("InvalidFrob", 400), ErrorKind::Invalid);
        assert_eq!(kind("Frob", 503), ErrorKind::Unavailable);
        assert_eq!(kind("Frob", 400), ErrorKind::Other);
        assert_eq!(kind("ThrottlingException", 400), ErrorKind::Throttled);
    }
}
