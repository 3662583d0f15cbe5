//! What AWS says that it refused: an action, on a resource, and why.
//! The main function is [`read`].
//!
//! `User: ARN is not authorized to perform: ACTION on resource: ARN because no identity-based policy allows the ACTION action`, or
//! `… with an explicit deny in a service control policy`; older services leave out what comes behind the action.

/// What a message names. Each part is `None` where the message does not name it in AWS's words.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Refused<'m> {
    /// IAM's name of the action.
    pub(crate) action: Option<&'m str>,
    /// The resource, by its ARN.
    pub(crate) resource: Option<&'m str>,
    /// The kind of policy that denies it explicitly, as a sentence begins: `A service control policy`.
    pub(crate) denied_by: Option<&'static str>,
    /// Whether it is the session's own policy that does not allow it: what the host limits a stage to.
    pub(crate) by_session: bool,
}

/// No action of IAM is longer.
const LONGEST_ACTION: usize = 128;
/// No ARN is longer.
const LONGEST_ARN: usize = 2_048;
/// The kinds of policies, as AWS words them and as a sentence begins.
const POLICIES: [(&str, &str); 8] = [
    ("an identity-based policy", "An identity-based policy"),
    ("a resource-based policy", "A resource-based policy"),
    ("a permissions boundary", "A permissions boundary"),
    ("a session policy", "A session policy"),
    ("a service control policy", "A service control policy"),
    ("a resource control policy", "A resource control policy"),
    ("a VPC endpoint policy", "A VPC endpoint policy"),
    ("", "A policy"),
];

/// Read AWS's message about a call that it refused.
pub(crate) fn read(message: &str) -> Refused<'_> {
    let Some((_, rest)) = message.split_once("not authorized to perform: ") else { return Refused::default() };
    let action = rest.split([' ', ',']).next().map(|word| word.trim_end_matches('.')).filter(|word| is_action(word));
    let resource = rest.split_once(" on resource: ").map(|(_, rest)| rest.split(' ').next().unwrap_or_default());
    let resource = resource.map(|word| word.trim_end_matches(['.', ','])).filter(|word| is_arn(word));
    let denied = rest.split_once("with an explicit deny").map(|(_, rest)| rest.trim_start_matches(" in "));
    let denied_by = denied.and_then(|rest| POLICIES.iter().find(|(words, _)| rest.starts_with(words)));
    let by_session = rest.contains("because no session policy allows");
    Refused { action, resource, denied_by: denied_by.map(|(_, sentence)| *sentence), by_session }
}

fn is_action(word: &str) -> bool {
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    word.len() <= LONGEST_ACTION && word.split_once(':').is_some_and(|(service, name)| plain(service) && plain(name))
}

fn is_arn(word: &str) -> bool {
    word.len() <= LONGEST_ARN && word.starts_with("arn:") && word.bytes().all(|b| b.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: &str = "User: arn:aws:sts::111111111111:assumed-role/d/s is not authorized to perform: ";

    #[test]
    fn each_form_of_aws_s_message_is_read() {
        let role = "arn:aws:iam::111111111111:role/teams/web";
        for (rest, action, resource, denied_by) in [
            (
                format!(
                    "iam:PassRole on resource: {role} because no identity-based policy allows the iam:PassRole action"
                ),
                Some("iam:PassRole"),
                Some(role),
                None,
            ),
            (
                format!("ecs:TagResource on resource: {role} with an explicit deny in a permissions boundary"),
                Some("ecs:TagResource"),
                Some(role),
                Some("A permissions boundary"),
            ),
            ("ecr:PutImage with an explicit deny".to_owned(), Some("ecr:PutImage"), None, Some("A policy")),
            ("ecr:PutImage.".to_owned(), Some("ecr:PutImage"), None, None),
            ("sts:AssumeRole on resource: *".to_owned(), Some("sts:AssumeRole"), None, None),
        ] {
            let message = format!("{USER}{rest}");
            assert_eq!(read(&message), Refused { action, resource, denied_by, by_session: false }, "{rest}");
        }
    }

    #[test]
    fn what_is_worded_otherwise_names_nothing() {
        let long = format!("{USER}iam:{}", "A".repeat(LONGEST_ACTION));
        let far = format!("{USER}iam:PassRole on resource: arn:{}", "a".repeat(LONGEST_ARN));
        let session = format!("{USER}iam:PassRole because no session policy allows the iam:PassRole action");
        assert!(read(&session).by_session);
        assert_eq!(read("no"), Refused::default());
        assert_eq!(read(&long), Refused::default());
        assert_eq!(read(&far).resource, None);
        assert_eq!(read(&format!("{USER}<script> on resource: arn:\u{1b}[2J")), Refused::default());
    }
}
