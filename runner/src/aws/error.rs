//! AWS's errors in the one form that stages, the journal and reports know.
//!
//! The main type is [`AwsError`], the WIT record itself. [`from_sdk`] makes one of any SDK error.

use std::error::Error;
use std::iter::successors;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::http::Response;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::request_id::RequestId;

use super::login::NoLogin;
use super::retry;
pub use crate::contract::bindings::kiln::aws::types::{Error as AwsError, ErrorKind};

/// The code of a call that was not sent, because it could not be signed.
pub(crate) const NO_CREDENTIALS: &str = "NoCredentials";

/// What an SDK error means. `operation` is left empty: the call path, which knows it, fills it in.
pub(crate) fn from_sdk<E>(error: SdkError<E, Response>) -> AwsError
where
    E: ProvideErrorMetadata + RequestId + Error + Send + Sync + 'static,
{
    read(&error)
}

fn read<E>(error: &SdkError<E, Response>) -> AwsError
where
    E: ProvideErrorMetadata + RequestId + Error + Send + Sync + 'static,
{
    let request_id = error.raw_response().and_then(request_id).or_else(|| match error {
        SdkError::ServiceError(context) => context.err().request_id().map(str::to_owned),
        _ => None,
    });
    match error {
        SdkError::ServiceError(context) => {
            let status = context.raw().status().as_u16();
            let code = context.err().code().map_or_else(|| format!("HTTP {status}"), str::to_owned);
            let unexplained = match request_id {
                Some(_) => "AWS gave no explanation",
                None => {
                    "no explanation, and no request id of AWS: perhaps a proxy or something else on the way answered"
                }
            };
            let message = explained(context.err().message().unwrap_or(unexplained));
            AwsError { kind: kind(&code, status), code, message, operation: String::new(), request_id }
        }
        SdkError::TimeoutError(_) => unavailable("TimedOut", error, request_id),
        SdkError::DispatchFailure(failure) => {
            let unsigned = if failure.is_other() { without_credentials(error) } else { None };
            let unreachable = unavailable("Unreachable", error, request_id);
            match unsigned {
                Some(unsigned) => unsigned,
                // Whatever is in the way is there again the next time.
                None if failure.is_user() => AwsError { kind: ErrorKind::Other, ..unreachable },
                None => unreachable,
            }
        }
        SdkError::ConstructionFailure(_) => AwsError {
            kind: ErrorKind::Invalid,
            code: "InvalidRequest".to_owned(),
            message: words(error),
            operation: String::new(),
            request_id,
        },
        _ => unavailable("BadResponse", error, request_id),
    }
}

/// What a call failed of that the SDK has no credentials for. It has no error of its own for that: what it was answered when
/// it asked for them is among the causes of a dispatch failure.
fn without_credentials(error: &(dyn Error + 'static)) -> Option<AwsError> {
    let causes = || successors(error.source(), |&cause| cause.source());
    let assumed = causes().find_map(|cause| cause.downcast_ref::<SdkError<AssumeRoleError, Response>>());
    if let Some(refusal) = assumed.map(read) {
        // Whatever STS has against it, the stage may not act; but what passes is worth another try.
        let kind = if retry::may_pass(refusal.kind) { refusal.kind } else { ErrorKind::AccessDenied };
        let message = format!("the stage's role cannot be assumed: {}: {}", refusal.code, refusal.message);
        return Some(unsigned(kind, message, refusal.request_id));
    }
    if let Some(login) = causes().find_map(|cause| cause.downcast_ref::<NoLogin>()) {
        let kind = if login.may_pass { ErrorKind::Unavailable } else { ErrorKind::AccessDenied };
        return Some(unsigned(kind, login.to_string(), None));
    }
    let described = words(error);
    let late = causes().any(|cause| matches!(cause.downcast_ref(), Some(CredentialsError::ProviderTimedOut(_))));
    // The type of the cache's own time-out is private.
    if late || described.contains("identity resolver timed out") {
        let message = "whoever gives the credentials does not answer in time".to_owned();
        return Some(unsigned(ErrorKind::Unavailable, message, None));
    }
    let is_about_them = causes().any(|cause| cause.is::<CredentialsError>()) || described.contains("redential");
    is_about_them.then(|| unsigned(ErrorKind::AccessDenied, described, None))
}

/// What an error and its causes say that tells something, one after the other: sentences, and never how the SDK keeps them.
pub(crate) fn words(error: &(dyn Error + 'static)) -> String {
    let mut said: Vec<String> = Vec::new();
    for cause in successors(Some(error), |&cause| cause.source()) {
        let text = cause.to_string().trim().replace('\n', " ");
        let is_told = said.last().is_some_and(|before| before.contains(&text));
        if !text.is_empty() && !is_told && !says_nothing(&text) {
            said.push(text);
        }
    }
    match said.is_empty() {
        true => error.to_string(),
        false => said.join(": "),
    }
}

/// Whether a text is but the SDK's word for a kind of error.
fn says_nothing(text: &str) -> bool {
    const KINDS: [&str; 14] = [
        "an error occurred while loading an access token",
        "an error occurred while loading credentials",
        "dispatch failure",
        "failed to construct request",
        "io error",
        "other",
        "request has timed out",
        "response error",
        "service error",
        "the credential provider was not enabled",
        "the credentials provider was not properly configured",
        "timeout",
        "unhandled error",
        "user error",
    ];
    KINDS.contains(&text) || text.starts_with("client error (")
}

fn unsigned(kind: ErrorKind, message: String, request_id: Option<String>) -> AwsError {
    AwsError { kind, code: NO_CREDENTIALS.to_owned(), message, operation: String::new(), request_id }
}

/// AWS's words, and what to do where they leave that to be guessed.
fn explained(message: &str) -> String {
    let skewed = ["Signature expired", "Signature not yet current"].iter().any(|words| message.starts_with(words));
    match skewed {
        true => {
            format!("{message}. AWS takes no signature that is off by more than five minutes: set this machine's clock")
        }
        false => message.to_owned(),
    }
}

/// An error of the request itself, before it is sent: a required field is missing or out of range.
pub(crate) fn invalid(message: impl std::fmt::Display) -> AwsError {
    AwsError {
        kind: ErrorKind::Invalid,
        code: "InvalidRequest".to_owned(),
        message: beginning(message),
        operation: String::new(),
        request_id: None,
    }
}

/// An error that AWS told within an answer that was none.
pub(crate) fn other(message: impl std::fmt::Display) -> AwsError {
    AwsError { kind: ErrorKind::Other, code: String::new(), ..invalid(message) }
}

/// The longest message about a request, in bytes. It may repeat a part of it, which may have 16 MiB.
const LONGEST: usize = 2_000;

/// A message, or the beginning of a long one: the rest is not even written.
fn beginning(message: impl std::fmt::Display) -> String {
    struct ShortMessage(String);
    impl std::fmt::Write for ShortMessage {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            let room = text.floor_char_boundary(LONGEST.saturating_sub(self.0.len()));
            self.0.push_str(text.get(..room).unwrap_or_default());
            if room == text.len() { Ok(()) } else { Err(std::fmt::Error) }
        }
    }
    let mut out = ShortMessage(String::new());
    if std::fmt::Write::write_fmt(&mut out, format_args!("{message}")).is_err() {
        out.0.push('…');
    }
    out.0
}

fn unavailable(code: &str, error: &(dyn Error + 'static), request_id: Option<String>) -> AwsError {
    AwsError {
        kind: ErrorKind::Unavailable,
        code: code.to_owned(),
        message: words(error),
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
        | "AuthFailure"
        | "UnauthorizedOperation"
        | "NotAuthorized"
        | "SignatureDoesNotMatch"
        | "InvalidSignatureException"
        | "RequestTimeTooSkewed"
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
        | "CallRateLimitExceededException"
        | "TooManyUpdates"
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
        | "RepositoryAlreadyExistsException"
        | "ParameterAlreadyExists" => ErrorKind::AlreadyExists,
        "ConflictException"
        | "ResourceInUseException"
        | "IdempotentParameterMismatch"
        | "InvalidAMIID.Unavailable"
        | "InvalidSnapshot.InUse"
        | "IdempotentParameterMismatchException"
        | "ResourceDependencyException"
        | "UpdateInProgressException"
        | "ServiceNotActiveException"
        | "OptimisticLockException"
        | "DisabledException"
        | "KMSInvalidStateException"
        | "InstanceRefreshInProgress"
        | "IrreversibleInstanceRefresh"
        | "ResourceContention"
        | "ScalingActivityInProgress"
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
    fn a_message_repeats_no_more_of_a_request_than_its_beginning() {
        let given = "\u{1}".repeat(16 << 20);
        let message = invalid(format_args!("{given:?} is not a name")).message;
        assert!(
            message.starts_with("\"\\u{1}\\u{1}") && message.len() <= LONGEST + '…'.len_utf8(),
            "{}",
            message.len()
        );
        assert_eq!(invalid("the list is empty").message, "the list is empty");
        assert_eq!(invalid("ñ".repeat(2_000)).message.chars().count(), LONGEST / 2 + 1);
    }

    #[test]
    fn codes_that_nobody_listed_find_a_kind() {
        assert_eq!(kind("FrobNotFoundException", 400), ErrorKind::NotFound);
        assert_eq!(kind("InvalidFrob", 400), ErrorKind::Invalid);
        assert_eq!(kind("Frob", 503), ErrorKind::Unavailable);
        assert_eq!(kind("Frob", 400), ErrorKind::Other);
        assert_eq!(kind("ThrottlingException", 400), ErrorKind::Throttled);
    }

    #[test]
    fn a_wrong_clock_is_told_from_a_wrong_request() {
        assert_eq!(kind("InvalidSignatureException", 403), ErrorKind::AccessDenied);
        let said = explained("Signature expired: 20260105T085000Z is now earlier than 20260105T085500Z");
        assert!(said.ends_with("set this machine's clock"), "{said}");
        assert_eq!(
            explained("The request signature we calculated does not match"),
            "The request signature we calculated does not match"
        );
    }
}
