//! CloudFormation and S3, as kiln asks them and reads their answers.

use super::canned::{Answer, failed, hermetic, refused, sent};
use crate::aws::error::ErrorKind;
use crate::contract::bindings::kiln::aws_cloudformation::cloudformation::{
    CreateChangeSetRequest, DescribeChangeSetRequest, DescribeEventsRequest, DescribeStackEventsRequest,
    DescribeStacksRequest, ExecuteChangeSetRequest, GetTemplateRequest, ListExportsRequest, Parameter,
    RollbackTriggers, TemplateSource, ValidateTemplateRequest,
};
use crate::contract::bindings::kiln::aws_s3::s3::PutTextRequest;

fn create() -> CreateChangeSetRequest {
    CreateChangeSetRequest {
        stack: "web".to_owned(),
        type_: "UPDATE".to_owned(),
        template: None,
        parameters: vec![
            Parameter { name: "Digest".to_owned(), value: Some("sha256:0a".to_owned()) },
            Parameter { name: "Size".to_owned(), value: None },
        ],
        capabilities: vec!["CAPABILITY_IAM".to_owned()],
        tags: Some(vec![]),
        role: None,
        triggers: Some(RollbackTriggers {
            alarms: vec!["arn:aws:cloudwatch:us-west-2:111111111111:alarm:web-5xx".to_owned()],
            composites: vec![],
            minutes: 10,
        }),
        notifications: None,
        description: None,
        nested: true,
        on_stack_failure: None,
        revert_drift: true,
        mode: Some("EXPRESS".to_owned()),
        skip_validation: false,
    }
}

#[test]
fn a_change_set_is_asked_for_with_what_is_said_and_nothing_else() {
    hermetic(async {
        let made = Answer::query("CreateChangeSet", "<Id>arn:set</Id><StackId>arn:stack</StackId>");
        let (_, asked) = sent(&create(), [made]).await;
        let mut fields: Vec<&str> = asked[0].text.split('&').collect();
        fields.retain(|field| !field.starts_with("ChangeSetName=") && !field.starts_with("ClientToken="));
        let expected = [
            "Action=CreateChangeSet",
            "Version=2010-05-15",
            "StackName=web",
            "ChangeSetType=UPDATE",
            "UsePreviousTemplate=true",
            "Parameters.member.1.ParameterKey=Digest",
            "Parameters.member.1.ParameterValue=sha256%3A0a",
            "Parameters.member.2.ParameterKey=Size",
            "Parameters.member.2.UsePreviousValue=true",
            "Capabilities.member.1=CAPABILITY_IAM",
            "Tags=",
            "RollbackConfiguration.RollbackTriggers.member.1.Arn=arn%3Aaws%3Acloudwatch%3Aus-west-2%3A111111111111%3Aalarm%3Aweb-5xx",
            "RollbackConfiguration.RollbackTriggers.member.1.Type=AWS%3A%3ACloudWatch%3A%3AAlarm",
            "RollbackConfiguration.MonitoringTimeInMinutes=10",
            "IncludeNestedStacks=true",
            "DeploymentMode=REVERT_DRIFT",
            "DeploymentConfig.Mode=EXPRESS",
        ];
        assert_eq!(fields, expected);
    });
}

#[test]
fn what_cloudformation_would_refuse_or_misread_is_not_sent() {
    hermetic(async {
        let long = TemplateSource { body: Some("x".repeat(51_201)), url: None };
        let told = refused(&CreateChangeSetRequest { template: Some(long.clone()), ..create() }).await;
        assert!(told.contains("51201 bytes") && told.contains("S3"), "{told}");
        assert!(refused(&ValidateTemplateRequest { template: long }).await.contains("51201 bytes"));
        let both = TemplateSource { body: Some("x".to_owned()), url: Some("https://x".to_owned()) };
        assert!(refused(&ValidateTemplateRequest { template: both }).await.contains("one of the two"));
        let role = Some("stacks".to_owned());
        assert!(refused(&CreateChangeSetRequest { role, ..create() }).await.contains("not the ARN of a role"));
        let alarm = RollbackTriggers { alarms: vec!["web-5xx".to_owned()], composites: vec![], minutes: 0 };
        assert!(
            refused(&CreateChangeSetRequest { triggers: Some(alarm), ..create() }).await.contains("ARN of an alarm")
        );
        let by_arn = DescribeChangeSetRequest {
            stack: "web".to_owned(),
            name: "arn:aws:cloudformation:us-west-2:111111111111:changeSet/other/0a".to_owned(),
            values: true,
        };
        assert!(refused(&by_arn).await.contains("no name of a change set"));
        let odd = DescribeStacksRequest { stack: Some("web/x".to_owned()) };
        refused(&odd).await;
        let neither =
            DescribeEventsRequest { stack: "web".to_owned(), operation: None, change_set: None, failed: false };
        assert!(refused(&neither).await.contains("one of the two"));
    });
}

#[test]
fn a_change_set_tells_why_each_resource_changes_page_by_page() {
    hermetic(async {
        let change = |name: &str, more: &str| {
            format!(
                "<member><Type>Resource</Type><ResourceChange><Action>Modify</Action><LogicalResourceId>{name}</LogicalResourceId>\
                 <ResourceType>AWS::ECS::Service</ResourceType>{more}</ResourceChange></member>"
            )
        };
        let detail = "<Replacement>True</Replacement><Scope><member>Properties</member></Scope><Details><member><Target>\
            <Attribute>Properties</Attribute><Name>Cluster</Name><RequiresRecreation>Always</RequiresRecreation>\
            <Path>/Properties/Cluster</Path><BeforeValue>a</BeforeValue><AfterValue>b &amp; c</AfterValue></Target>\
            <Evaluation>Static</Evaluation><ChangeSource>ParameterReference</ChangeSource>\
            <CausingEntity>ClusterName</CausingEntity></member></Details><NewThing><member/></NewThing>";
        let head = "<ChangeSetName>kiln-0</ChangeSetName><StackName>web</StackName><Status>CREATE_COMPLETE</Status>\
                    <ExecutionStatus>AVAILABLE</ExecutionStatus>";
        let page = |change: String, more: &str| {
            Answer::query("DescribeChangeSet", &format!("{head}<Changes>{change}</Changes>{more}"))
        };
        let request = DescribeChangeSetRequest { stack: "web".to_owned(), name: "kiln-0".to_owned(), values: true };
        let pages = [page(change("A", detail), "<NextToken>2</NextToken>"), page(change("B", ""), "")];
        let (set, asked) = sent(&request, pages).await;
        assert!(asked[1].text.ends_with("NextToken=2"), "{}", asked[1].text);
        let names: Vec<&str> = set.changes.iter().map(|change| change.logical.as_str()).collect();
        assert_eq!((names, set.status.as_str()), (vec!["A", "B"], "CREATE_COMPLETE"));
        let first = &set.changes[0];
        assert_eq!(first.replacement.as_deref(), Some("True"));
        let detail = &first.details[0];
        assert_eq!((detail.before.as_deref(), detail.after.as_deref()), (Some("a"), Some("b & c")));
        assert_eq!((detail.recreation.as_str(), detail.cause.as_deref()), ("Always", Some("ClusterName")));
    });
}

#[test]
fn events_are_told_oldest_first_and_only_those_that_are_new() {
    hermetic(async {
        let event = |id: &str| {
            format!(
                "<member><EventId>{id}</EventId><StackId>s</StackId><Timestamp>2026-01-05T08:50:00.000Z</Timestamp>\
                 <LogicalResourceId>Web</LogicalResourceId><ResourceStatus>CREATE_COMPLETE</ResourceStatus></member>"
            )
        };
        let page = |ids: &[&str], token: &str| {
            let events: String = ids.iter().map(|id| event(id)).collect();
            Answer::query("DescribeStackEvents", &format!("<StackEvents>{events}</StackEvents>{token}"))
        };
        let pages =
            || [page(&["e5", "e4"], "<NextToken>t</NextToken>"), page(&["e3", "e2"], "<NextToken>u</NextToken>")];
        let request = |after: &str| DescribeStackEventsRequest {
            stack: "web".to_owned(),
            after: Some(after.to_owned()),
            since: None,
        };
        let ids = async |after: &str, answers: Vec<Answer>| {
            let (output, asked) = sent(&request(after), answers).await;
            (output.events.into_iter().map(|event| event.id).collect::<Vec<_>>(), asked.len())
        };
        assert_eq!(ids("e2", pages().into()).await, (vec!["e3".to_owned(), "e4".to_owned(), "e5".to_owned()], 2));
        assert_eq!(ids("e4", pages().into()).await, (vec!["e5".to_owned()], 1));
    });
}

#[test]
fn a_template_is_read_byte_for_byte() {
    hermetic(async {
        let request = GetTemplateRequest { stack: "web".to_owned(), change_set: None, processed: false };
        let body = "<TemplateBody>  Resources:\n    A: &quot;x&lt;y&quot; # &amp;\n\n</TemplateBody>";
        let (output, _) = sent(&request, [Answer::query("GetTemplate", body)]).await;
        assert_eq!(output.body, "  Resources:\n    A: \"x<y\" # &\n\n");
    });
}

#[test]
fn a_stack_that_is_not_there_is_told_from_a_request_that_is_wrong() {
    hermetic(async {
        let error = |code: &str, message: &str| {
            let body = format!(
                "<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
            );
            Answer::query_body(400, &body)
        };
        let stack = DescribeStacksRequest { stack: Some("web".to_owned()) };
        let missing = failed(&stack, error("ValidationError", "Stack with id web does not exist")).await;
        assert_eq!(missing, Some((ErrorKind::NotFound, "ValidationError".to_owned())));
        let execute = ExecuteChangeSetRequest {
            stack: "web".to_owned(),
            name: "kiln-0".to_owned(),
            disable_rollback: None,
            retain_except_on_create: false,
        };
        let other = failed(&execute, error("InvalidChangeSetStatus", "ChangeSet [x] cannot be executed")).await;
        assert_eq!(other, Some((ErrorKind::Conflict, "InvalidChangeSetStatus".to_owned())));
        let exports = Answer::query(
            "ListExports",
            "<Exports><member><Name>a</Name><Value>1</Value>\
            <ExportingStackId>one</ExportingStackId></member><member><Name>b</Name><Value>2</Value>\
            <ExportingStackId>two</ExportingStackId></member></Exports>",
        );
        let (output, _) = sent(&ListExportsRequest { stack_id: Some("two".to_owned()) }, [exports]).await;
        assert_eq!(output.exports.into_iter().map(|export| export.name).collect::<Vec<_>>(), ["b"]);
    });
}

fn put() -> PutTextRequest {
    PutTextRequest {
        bucket: "templates".to_owned(),
        prefix: "kiln/".to_owned(),
        suffix: ".yaml".to_owned(),
        text: "Resources: {}\n".to_owned(),
        key: None,
        owner: Some("111111111111".to_owned()),
    }
}

#[test]
fn a_text_lies_in_s3_under_its_own_digest_encrypted() {
    hermetic(async {
        let key = "kiln/d5e4cf7ba2a9ddaf3cbc5d85ab1bf2bc1e8d5b8b5f6bd2e5b2e0e7f2fc0b5a6f.yaml";
        let answer = Answer::query_body(200, "").with_header("x-amz-version-id", "3/L4");
        let (output, asked) = sent(&put(), [answer]).await;
        assert_eq!(asked[0].text, "Resources: {}\n");
        assert_eq!(output.key.len(), key.len());
        assert!(output.key.starts_with("kiln/") && output.key.ends_with(".yaml"), "{}", output.key);
        let url = format!("https://templates.s3.us-west-2.amazonaws.com/{}?versionId=3/L4", output.key);
        assert_eq!((output.url, output.version.as_deref()), (url, Some("3/L4")));
        let (again, _) = sent(&put(), [Answer::query_body(200, "")]).await;
        assert_eq!((again.key, again.version), (output.key, None));
        let error = Answer::query_body(404, "<Error><Code>NoSuchBucket</Code><Message>no</Message></Error>");
        assert_eq!(failed(&put(), error).await, Some((ErrorKind::NotFound, "NoSuchBucket".to_owned())));
    });
}

#[test]
fn what_s3_could_read_otherwise_is_not_sent() {
    hermetic(async {
        for bucket in ["", "a", "Web", "a..b", "-ab", "a/b", "a?b"] {
            assert!(
                refused(&PutTextRequest { bucket: bucket.to_owned(), ..put() }).await.contains("bucket"),
                "{bucket}"
            );
        }
        for prefix in ["../", "a b", "a?", "é/"] {
            assert!(
                refused(&PutTextRequest { prefix: prefix.to_owned(), ..put() }).await.contains("part of a key"),
                "{prefix}"
            );
        }
        assert!(refused(&PutTextRequest { text: String::new(), ..put() }).await.contains("0 bytes"));
        assert!(refused(&PutTextRequest { key: Some("alias/x".to_owned()), ..put() }).await.contains("KMS key"));
        assert!(refused(&PutTextRequest { owner: Some("me".to_owned()), ..put() }).await.contains("account"));
    });
}
