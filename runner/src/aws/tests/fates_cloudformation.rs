//! What became of calls of CloudFormation and of S3 whose answers never came.

use serde_json::{Value, json};

use super::canned::{
    Answer, SENT, TOKEN, before, denied_look, fate, fate_given_up, hermetic, in_words, looked_at, sent,
};
use crate::aws::operation::Write;
use crate::contract::bindings::kiln::aws_cloudformation::cloudformation::{
    CancelUpdateStackRequest, ContinueUpdateRollbackRequest, CreateChangeSetRequest, DeleteChangeSetRequest,
    DeleteStackRequest, DetectStackDriftRequest, ExecuteChangeSetRequest, Operation, RollbackStackRequest,
    SetStackPolicyRequest, TemplateSource, UpdateTerminationProtectionRequest,
};
use crate::contract::bindings::kiln::aws_s3::s3::PutTextRequest;

const ID: &str = "arn:aws:cloudformation:us-west-2:111111111111:stack/web/0a";

fn name() -> String {
    format!("kiln-{TOKEN}")
}

fn change_set(status: &str, execution: &str) -> Answer {
    let set = format!(
        "<ChangeSetName>{}</ChangeSetName><ChangeSetId>arn:set</ChangeSetId><StackId>{ID}</StackId><StackName>web</StackName>\
         <Status>{status}</Status><ExecutionStatus>{execution}</ExecutionStatus>",
        name()
    );
    Answer::query("DescribeChangeSet", &set)
}

fn no_change_set() -> Answer {
    Answer::query_error(404, "ChangeSetNotFound")
}

/// Events of a stack, the newest first: what each says, whose it is, and how many seconds after the call.
fn events(events: &[(&str, &str, i64)]) -> Answer {
    let sent = i64::try_from(SENT).unwrap();
    let event = |(status, token, later): &(&str, &str, i64)| {
        let at = aws_smithy_types::DateTime::from_secs(sent + later)
            .fmt(aws_smithy_types::date_time::Format::DateTime)
            .unwrap();
        let token =
            if token.is_empty() { String::new() } else { format!("<ClientRequestToken>{token}</ClientRequestToken>") };
        format!(
            "<member><StackId>{ID}</StackId><EventId>{status}-{later}</EventId><LogicalResourceId>web</LogicalResourceId>\
             <ResourceType>AWS::CloudFormation::Stack</ResourceType><Timestamp>{at}</Timestamp>\
             <ResourceStatus>{status}</ResourceStatus>{token}</member>"
        )
    };
    let events: String = events.iter().map(event).collect();
    Answer::query("DescribeStackEvents", &format!("<StackEvents>{events}</StackEvents>"))
}

fn stacks(members: &str) -> Answer {
    let stack =
        format!("<StackName>web</StackName><StackId>{ID}</StackId><StackStatus>UPDATE_COMPLETE</StackStatus>{members}");
    Answer::query("DescribeStacks", &format!("<Stacks><member>{stack}</member></Stacks>"))
}

fn create() -> CreateChangeSetRequest {
    CreateChangeSetRequest {
        stack: "web".to_owned(),
        type_: "UPDATE".to_owned(),
        template: Some(TemplateSource { body: Some("Resources: {}".to_owned()), url: None }),
        parameters: vec![],
        capabilities: vec![],
        tags: None,
        role: None,
        triggers: None,
        notifications: None,
        description: None,
        nested: false,
        on_stack_failure: None,
        revert_drift: false,
        mode: None,
        skip_validation: false,
    }
}

fn execute() -> ExecuteChangeSetRequest {
    ExecuteChangeSetRequest {
        stack: "web".to_owned(),
        name: "kiln-of-this-run".to_owned(),
        disable_rollback: None,
        retain_except_on_create: false,
    }
}

/// What stacks that do not exist are answered with.
fn missing() -> Answer {
    let body = "<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code>\
                <Message>Stack [web] does not exist</Message></Error><RequestId>r</RequestId></ErrorResponse>";
    Answer::query_body(400, body)
}

#[test]
fn a_change_set_is_named_after_its_call_and_found_by_that_name_alone() {
    hermetic(async {
        let made = format!("<Id>arn:set</Id><StackId>{ID}</StackId>");
        let (output, asked) = sent(&create(), [Answer::query("CreateChangeSet", &made)]).await;
        assert_eq!((output.name.as_str(), output.id.as_str(), output.stack_id.as_str()), (&*name(), "arn:set", ID));
        for field in [format!("ChangeSetName={}", name()), format!("ClientToken={TOKEN}")] {
            assert!(asked[0].text.contains(&field), "{}", asked[0].text);
        }
        let (told, output) = in_words(fate(&create(), None, 60, [change_set("CREATE_PENDING", "UNAVAILABLE")]).await);
        assert_eq!(
            told,
            "happened: the change set that is named after the call is there, and its status is CREATE_PENDING"
        );
        assert_eq!(output.unwrap().name, name());
        let (told, _) = in_words(fate(&create(), None, 60, [no_change_set()]).await);
        assert_eq!(told, "not happened: no change set is named after the call");
        let (told, _) = in_words(fate_given_up(&create(), 60, [missing()]).await);
        assert_eq!(told, "not happened: no change set is named after the call", "nor the stack");
        assert!(!create().means_the_same_later());
        assert_eq!(denied_look(&create()).await.as_deref(), Some("cloudformation:DescribeChangeSet"));
    });
}

#[test]
fn an_execution_is_ours_where_an_event_carries_its_token() {
    hermetic(async {
        let seen = before(&execute(), [change_set("CREATE_COMPLETE", "AVAILABLE")]).await;
        assert_eq!(seen, json!(ID));
        let ours = events(&[("UPDATE_COMPLETE", TOKEN, 50), ("UPDATE_IN_PROGRESS", TOKEN, 1)]);
        let (told, output) = in_words(fate(&execute(), Some(&seen), 60, [ours]).await);
        assert_eq!(told, "happened: the event UPDATE_IN_PROGRESS of web carries the call's token");
        assert_eq!(output, Some(Operation { token: TOKEN.to_owned() }));
        let (told, _) = in_words(
            fate(&execute(), Some(&seen), 60, [events(&[]), change_set("CREATE_COMPLETE", "AVAILABLE")]).await,
        );
        assert_eq!(told, "not happened: no event of the stack is newer than the call");
        let looked = looked_at(&execute(), &seen, [events(&[("UPDATE_IN_PROGRESS", TOKEN, 1)])]).await;
        assert_eq!(looked, [format!("cloudformation:DescribeStackEvents {ID}")], "by its id: it may be gone");
    });
}

#[test]
fn an_execution_of_somebody_else_is_never_taken_for_ours() {
    hermetic(async {
        let others = || events(&[("UPDATE_IN_PROGRESS", "of-another", 1), ("UPDATE_IN_PROGRESS", "", 1)]);
        let answers = [others(), change_set("CREATE_COMPLETE", "OBSOLETE")];
        let (told, _) = in_words(fate(&execute(), Some(&json!(ID)), 60, answers).await);
        assert_eq!(told, "not happened: events of the stack are newer than the call, and none carries its token");
        let answers = [others(), change_set("CREATE_COMPLETE", "EXECUTE_IN_PROGRESS")];
        let (told, likely) = in_words(fate(&execute(), Some(&json!(ID)), 60, answers).await);
        assert!(told.starts_with("unknown: the change set's execution is EXECUTE_IN_PROGRESS, but "), "{told}");
        assert!(told.ends_with(&format!("look at the events of the stack web for the token {TOKEN}")), "{told}");
        assert_eq!(likely, Some(Operation { token: TOKEN.to_owned() }));
    });
}

#[test]
fn events_of_long_ago_are_not_asked_for() {
    hermetic(async {
        let page = events(&[("UPDATE_COMPLETE", "of-another", -120), ("UPDATE_IN_PROGRESS", TOKEN, -130)]);
        let (told, _) = in_words(fate(&execute(), None, 60, [page, no_change_set()]).await);
        assert_eq!(told, "not happened: no event of the stack is newer than the call", "whatever it carries");
    });
}

#[test]
fn that_a_token_is_known_means_that_the_operation_was_begun() {
    hermetic(async {
        let known = || Answer::query_error(400, "TokenAlreadyExistsException");
        let (output, asked) = sent(&execute(), [known()]).await;
        assert_eq!(output.token, TOKEN);
        assert!(asked[0].text.contains(&format!("ClientRequestToken={TOKEN}")));
        let delete = DeleteStackRequest { stack: "web".to_owned(), retain: vec![], role: None };
        assert_eq!(sent(&delete, [known()]).await.0.token, TOKEN);
    });
}

/// Each operation that brings a stack back is found by its token, by the id that the stack had before.
async fn is_found_by_its_token<W: Write<Output = Operation>>(operation: &W) {
    let seen = before(operation, [stacks("")]).await;
    assert_eq!(seen, json!({ "id": ID }));
    let ours = [("UPDATE_ROLLBACK_IN_PROGRESS", TOKEN, 2)];
    let (told, output) = in_words(fate(operation, Some(&seen), 60, [events(&ours)]).await);
    assert!(told.starts_with("happened: the event UPDATE_ROLLBACK_IN_PROGRESS"), "{told}");
    assert_eq!(output, Some(Operation { token: TOKEN.to_owned() }));
    let others = [("UPDATE_ROLLBACK_IN_PROGRESS", "of-another", 2)];
    let (told, _) = in_words(fate(operation, Some(&seen), 60, [events(&others)]).await);
    assert!(told.starts_with("not happened"), "{told}");
    let (told, _) = in_words(fate(operation, Some(&seen), 60, [missing()]).await);
    assert_eq!(told, "not happened: the stack is not there");
    let looked = looked_at(operation, &seen, [events(&ours)]).await;
    assert_eq!(looked, [format!("cloudformation:DescribeStackEvents {ID}")]);
    assert_eq!(denied_look(operation).await.as_deref(), Some("cloudformation:DescribeStackEvents"));
}

#[test]
fn operations_that_bring_a_stack_back_are_found_by_their_tokens() {
    hermetic(async {
        let stack = || "web".to_owned();
        is_found_by_its_token(&CancelUpdateStackRequest { stack: stack() }).await;
        is_found_by_its_token(&ContinueUpdateRollbackRequest { stack: stack(), role: None, skip: vec![] }).await;
        is_found_by_its_token(&RollbackStackRequest { stack: stack(), role: None, retain_except_on_create: true })
            .await;
        is_found_by_its_token(&DeleteStackRequest { stack: stack(), retain: vec![], role: None }).await;
    });
}

#[test]
fn a_stack_that_was_not_there_was_not_deleted_by_the_call() {
    hermetic(async {
        let delete = DeleteStackRequest { stack: "web".to_owned(), retain: vec![], role: None };
        let seen = before(&delete, [missing()]).await;
        assert_eq!(seen, json!({ "id": Value::Null }));
        let (told, _) = in_words(fate(&delete, Some(&seen), 60, []).await);
        assert_eq!(
            told, "happened: there was no stack to delete when it was sent",
            "a new one of its name is another's"
        );
    });
}

#[test]
fn a_change_set_that_is_not_there_any_more_was_deleted() {
    hermetic(async {
        let delete = DeleteChangeSetRequest { stack: "web".to_owned(), name: name() };
        let told = async |answer| in_words(fate(&delete, None, 1, [answer]).await).0;
        assert_eq!(told(no_change_set()).await, "happened: the change set is not there any more");
        let going = told(change_set("DELETE_PENDING", "UNAVAILABLE")).await;
        assert_eq!(going, "happened: the change set's status is DELETE_PENDING");
        let there = told(change_set("CREATE_COMPLETE", "AVAILABLE")).await;
        assert_eq!(there, "not happened: the change set's status is CREATE_COMPLETE");
        assert_eq!(told(change_set("MELTING", "AVAILABLE")).await, "not happened: the change set's status is MELTING");
    });
}

#[test]
fn a_policy_that_a_stack_has_was_given_to_it() {
    hermetic(async {
        let set = SetStackPolicyRequest { stack: "web".to_owned(), body: r#"{"Statement": []}"#.to_owned() };
        let told = async |body: &str| in_words(fate(&set, None, 1, [Answer::query("GetStackPolicy", body)]).await).0;
        let has = |policy: &str| format!("<StackPolicyBody>{policy}</StackPolicyBody>");
        assert_eq!(told(&has("{\"Statement\":[]}")).await, "happened: the stack has this policy");
        let other = "not happened: the stack has another policy, or none";
        assert_eq!(told(&has("{\"Statement\":[1]}")).await, other);
        assert_eq!(told("").await, other);
        assert!(!set.means_the_same_later());
    });
}

#[test]
fn a_protection_that_a_stack_has_was_given_to_it() {
    hermetic(async {
        let protect = UpdateTerminationProtectionRequest { stack: "web".to_owned(), enabled: true };
        let told = async |on: bool| {
            let stack = stacks(&format!("<EnableTerminationProtection>{on}</EnableTerminationProtection>"));
            in_words(fate(&protect, None, 1, [stack]).await).0
        };
        assert_eq!(told(true).await, "happened: the stack's termination protection is on");
        assert_eq!(told(false).await, "not happened: the stack's termination protection is otherwise");
    });
}

#[test]
fn what_is_harmless_again_is_sent_again() {
    hermetic(async {
        let detect = DetectStackDriftRequest { stack: "web".to_owned(), resources: vec![] };
        assert_eq!(in_words(fate(&detect, None, 1, []).await).0, "send again");
        let put = PutTextRequest {
            bucket: "templates".to_owned(),
            prefix: String::new(),
            suffix: String::new(),
            text: "x".to_owned(),
            key: None,
            owner: None,
        };
        assert_eq!(in_words(fate(&put, None, 1, []).await).0, "send again");
    });
}
