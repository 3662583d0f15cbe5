//! Why a stage failed, in the words of a person who has to act on it.
//! The main type is [`Failure`].

use std::fmt;

use crate::aws::{Error, ErrorKind};
pub use crate::bindings::kiln::stage::types::{Failure, FailureKind};
use crate::refused;

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident $kind:ident;)*) => {
        $($(#[$doc])* pub fn $name(message: impl Into<String>) -> Self {
            Self::new(FailureKind::$kind, message)
        })*
    };
}

impl Failure {
    /// A failure: what happened and where, in one sentence.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), help: None, details: Vec::new() }
    }

    constructors! {
        /// The stage's config cannot work.
        config Config;
        /// A permission is missing.
        denied Denied;
        /// Something that the stage needs does not exist.
        not_found NotFound;
        /// The world is not as expected, because somebody else changed it.
        conflict Conflict;
        /// A gate closed.
        rejected Rejected;
        /// The work itself failed.
        failed Failed;
        /// A limit of time was reached.
        timed_out TimedOut;
        /// AWS could not serve the request now.
        unavailable Unavailable;
        /// A defect of the plugin.
        internal Internal;
    }

    /// What the reader should do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// One more line of evidence.
    #[must_use]
    pub fn detail(mut self, line: impl Into<String>) -> Self {
        self.details.push(line.into());
        self
    }

    /// More lines of evidence.
    #[must_use]
    pub fn details(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.details.extend(lines);
        self
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let Error { kind, code, message, operation, request_id } = error;
        // AWS's messages end as they like; ours without a full stop.
        let message = message.trim_end().trim_end_matches('.');
        let (kind, sentence, help) = match kind {
            ErrorKind::Denied => (
                FailureKind::Denied,
                format!("kiln refused {operation}: {message}"),
                Some("The plugin calls something that it does not declare, or that its config does not name; `kiln plugin inspect` shows what it declares.".to_owned()),
            ),
            ErrorKind::ReadOnly => (
                FailureKind::Internal,
                format!("kiln refused {operation} while planning: {message}"),
                Some("This is a defect of the plugin: a plan must not write.".to_owned()),
            ),
            // What could not be signed was refused by nobody.
            ErrorKind::AccessDenied if code == "NoCredentials" => (
                FailureKind::Denied,
                format!("{operation} was not sent, for want of credentials: {message}"),
                Some("Sign in again, or see to the role that this stage acts as; `kiln resume` goes on with a run that has not ended.".to_owned()),
            ),
            ErrorKind::AccessDenied => {
                let refused = refused::read(message);
                let action = refused.action.unwrap_or(&operation);
                let of_call = if action == operation { String::new() } else { format!(", which {operation} needs") };
                let on = refused.resource.map(|resource| format!(" on {resource}")).unwrap_or_default();
                let help = match refused.denied_by {
                    Some(policy) => format!(
                        "{policy} denies {action}{on} whatever else allows it: whoever answers for that policy must except the role \
                         that this stage acts as."
                    ),
                    None if refused.by_session => format!(
                        "The session of this stage is limited to what its plugin declares, and {action}{on} is not among it; \
                         `kiln plugin inspect` shows what is."
                    ),
                    None => format!(
                        "Allow {action}{on} to the role that this stage acts as; `kiln permissions FILE --iam` prints the policy that \
                         it needs."
                    ),
                };
                (FailureKind::Denied, format!("AWS refused {action}{of_call}: {message}"), Some(help))
            }
            ErrorKind::NotFound => (FailureKind::NotFound, format!("{operation}: {message}"), None),
            ErrorKind::AlreadyExists | ErrorKind::Conflict => {
                (FailureKind::Conflict, format!("{operation}: {message}"), None)
            }
            ErrorKind::Invalid if is_of_kiln(&code, request_id.as_deref()) => {
                (FailureKind::Config, format!("kiln does not send {operation}: {message}"), None)
            }
            ErrorKind::Invalid => (FailureKind::Config, format!("AWS rejects the request {operation}: {message}"), None),
            ErrorKind::Throttled => (
                FailureKind::Unavailable,
                format!("AWS still throttled {operation} after all retries: {message}"),
                Some("Run it again later, or ask AWS for a higher request rate.".to_owned()),
            ),
            ErrorKind::Limit => (
                FailureKind::Failed,
                format!("{operation} met a quota of the account: {message}"),
                Some("Free what is not needed, or ask AWS for a higher quota.".to_owned()),
            ),
            ErrorKind::Expired => (
                FailureKind::Unavailable,
                format!("the credentials expired before {operation}, and could not be renewed: {message}"),
                Some("Renew the credentials and run it again.".to_owned()),
            ),
            ErrorKind::Unavailable if code == "Unreachable" => (
                FailureKind::Unavailable,
                format!("{operation} reached nobody after all retries: {message}"),
                Some("Check the network, the endpoint and proxies (HTTPS_PROXY, HTTP_PROXY, NO_PROXY, AWS_CA_BUNDLE), and run it again.".to_owned()),
            ),
            ErrorKind::Unavailable => (
                FailureKind::Unavailable,
                format!("AWS could not serve {operation} after all retries: {message}"),
                Some("Run it again later.".to_owned()),
            ),
            ErrorKind::Other => (FailureKind::Failed, format!("{operation} failed: {message}"), None),
        };
        let whose = if is_of_kiln(&code, request_id.as_deref()) { "kiln's own error" } else { "AWS error" };
        let request = request_id.map(|id| format!(", request id {id}")).unwrap_or_default();
        Self { kind, message: sentence, help, details: vec![format!("{whose} {code} of {operation}{request}")] }
    }
}

/// The codes of errors that kiln answers itself, in AWS's place: nothing was sent, nobody was reached, or what came was no answer.
const CODES_OF_KILN: [&str; 11] = [
    "PermissionNotDeclared",
    "SecretNotGranted",
    "NotRevealed",
    "ReadOnly",
    "NoCredentials",
    "Unreachable",
    "TimedOut",
    "InvalidRequest",
    "IncompleteAnswer",
    "UnreadableAnswer",
    "TooManyItems",
];

/// Whether an error is kiln's and not AWS's. AWS tells a request id with each of its own, and may use the same words.
fn is_of_kiln(code: &str, request_id: Option<&str>) -> bool {
    request_id.is_none() && CODES_OF_KILN.contains(&code)
}

/// Says what a call was for when it fails.
pub trait During<T> {
    /// `….during("reading the service web/web")?` puts `while reading the service web/web: ` before the message.
    fn during(self, doing: impl fmt::Display) -> Result<T, Failure>;
}

impl<T, E: Into<Failure>> During<T> for Result<T, E> {
    fn during(self, doing: impl fmt::Display) -> Result<T, Failure> {
        self.map_err(|error| {
            let failure: Failure = error.into();
            Failure { message: format!("while {doing}: {}", failure.message), ..failure }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(kind: ErrorKind) -> Error {
        Error {
            kind,
            code: "AccessDeniedException".to_owned(),
            message: "User x is not authorized.".to_owned(),
            operation: "ecr:DescribeImages".to_owned(),
            request_id: Some("r-1".to_owned()),
        }
    }

    #[test]
    fn a_denial_names_the_permission_and_what_to_do() {
        let failure = Err::<(), _>(error(ErrorKind::AccessDenied)).during("looking for the tag").unwrap_err();
        assert_eq!(failure.kind, FailureKind::Denied);
        assert_eq!(
            failure.message,
            "while looking for the tag: AWS refused ecr:DescribeImages: User x is not authorized"
        );
        assert!(failure.help.is_some_and(|help| help.contains("Allow ecr:DescribeImages")));
        assert_eq!(failure.details, ["AWS error AccessDeniedException of ecr:DescribeImages, request id r-1"]);
    }

    #[test]
    fn a_denial_of_another_action_than_was_called_names_that() {
        let denied = |rest: &str| Error {
            message: format!("User: arn:aws:sts::111111111111:assumed-role/d/s is not authorized to perform: {rest}"),
            operation: "ecs:RegisterTaskDefinition".to_owned(),
            ..error(ErrorKind::AccessDenied)
        };
        let role = "arn:aws:iam::111111111111:role/web";
        let silent = Failure::from(denied(&format!(
            "iam:PassRole on resource: {role} because no identity-based policy allows the iam:PassRole action"
        )));
        assert!(silent.message.starts_with("AWS refused iam:PassRole, which ecs:RegisterTaskDefinition needs: User: "));
        let help =
            format!("Allow iam:PassRole on {role} to the role that this stage acts as; `kiln permissions FILE --iam`");
        assert!(silent.help.is_some_and(|told| told.starts_with(&help)));
        assert_eq!(silent.details, ["AWS error AccessDeniedException of ecs:RegisterTaskDefinition, request id r-1"]);
        let explicit = Failure::from(denied(&format!(
            "iam:PassRole on resource: {role} with an explicit deny in a service control policy"
        )));
        let help = format!("A service control policy denies iam:PassRole on {role} whatever else allows it");
        assert!(explicit.help.is_some_and(|told| told.starts_with(&help)));
    }

    #[test]
    fn what_kiln_refuses_itself_is_not_told_as_an_error_of_aws() {
        let own = |kind, code: &str| Failure::from(Error { code: code.to_owned(), request_id: None, ..error(kind) });
        let denied = own(ErrorKind::Denied, "PermissionNotDeclared");
        assert_eq!(denied.details, ["kiln's own error PermissionNotDeclared of ecr:DescribeImages"]);
        let unsent = own(ErrorKind::Invalid, "InvalidRequest");
        assert_eq!(unsent.message, "kiln does not send ecr:DescribeImages: User x is not authorized");
        for code in CODES_OF_KILN {
            let told = own(ErrorKind::Other, code).details.concat();
            assert!(told.starts_with("kiln's own error"), "{told}");
        }
        // AWS has some of the same words, and tells a request id.
        let by_aws = Failure::from(Error { code: "InvalidRequest".to_owned(), ..error(ErrorKind::Invalid) });
        assert!(by_aws.message.starts_with("AWS rejects the request"), "{}", by_aws.message);
        assert_eq!(by_aws.details, ["AWS error InvalidRequest of ecr:DescribeImages, request id r-1"]);
    }

    #[test]
    fn each_kind_of_error_has_its_kind_of_failure() {
        use ErrorKind::{Conflict, Denied, Expired, Invalid, Limit, NotFound, Other, ReadOnly, Throttled, Unavailable};
        for (kind, expected) in [
            (Denied, FailureKind::Denied),
            (ReadOnly, FailureKind::Internal),
            (NotFound, FailureKind::NotFound),
            (ErrorKind::AlreadyExists, FailureKind::Conflict),
            (Conflict, FailureKind::Conflict),
            (Invalid, FailureKind::Config),
            (Throttled, FailureKind::Unavailable),
            (Limit, FailureKind::Failed),
            (Expired, FailureKind::Unavailable),
            (Unavailable, FailureKind::Unavailable),
            (Other, FailureKind::Failed),
        ] {
            assert_eq!(Failure::from(error(kind)).kind, expected, "{kind:?}");
        }
    }
}
