//! The members of requests and answers that kiln has without the SDK's types, as the code has them: lists that `tests/python/members.py`
//! holds against botocore's model of each operation.

use schemars::{JsonSchema, SchemaGenerator};
use serde_json::Value;

use crate::aws::{cloudformation, ec2};

/// The members of a type, each with its path and its kind: `ImageId[] string`.
fn members<T: JsonSchema>() -> Vec<String> {
    let mut generator = SchemaGenerator::default();
    let schema = serde_json::to_value(generator.root_schema_for::<T>()).unwrap_or_default();
    let mut found = Vec::new();
    below(&schema, &schema, "", &mut found);
    found.sort();
    found
}

fn below(root: &Value, schema: &Value, path: &str, found: &mut Vec<String>) {
    let target = |schema: &Value| -> Value {
        let reference = schema.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#'));
        // What may be absent is one of itself and nothing.
        let some = schema.get("anyOf").and_then(Value::as_array).and_then(|any| any.first());
        let reference = reference
            .map(str::to_owned)
            .or_else(|| some.and_then(|some| some.get("$ref")?.as_str()?.strip_prefix('#').map(str::to_owned)));
        reference.and_then(|pointer| root.pointer(&pointer)).unwrap_or(schema).clone()
    };
    for (name, member) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let mut at = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let mut member = target(member);
        if let Some(items) = member.get("items").cloned() {
            at.push_str("[]");
            member = target(&items);
        }
        let kind = match member.get("type") {
            Some(Value::String(kind)) => kind.clone(),
            Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str).unwrap_or_default().to_owned(),
            _ => "document".to_owned(),
        };
        found.push(format!("{at} {kind}"));
        below(root, &member, &at, found);
    }
}

macro_rules! operations {
    (in $service:ident: $($request:ident => $answer:ident,)*) => {{
        let mut text = String::new();
        $(
            text.push_str(concat!("[", stringify!($request), "]\n"));
            for (side, members) in [("in", members::<$service::wire::$request>()), ("out", members::<$service::wire::$answer>())] {
                members.iter().for_each(|member| text.push_str(&format!("{side} {member}\n")));
            }
        )*
        text
    }};
}

/// The members of a request whose answer says nothing.
fn alone(name: &str, members: Vec<String>) -> String {
    members.into_iter().fold(format!("[{name}]\n"), |text, member| format!("{text}in {member}\n"))
}

#[test]
fn members_of_ec2_are_listed_as_the_code_has_them() {
    let list = operations! {
        in ec2:
        DescribeImages => ImagesAnswer,
        DescribeImageAttribute => ImageAttributeAnswer,
        DescribeSnapshots => SnapshotsAnswer,
        DescribeImageReferences => ReferencesAnswer,
        CreateImageUsageReport => ReportAnswer,
        DescribeImageUsageReports => ReportsAnswer,
        DescribeImageUsageReportEntries => EntriesAnswer,
        EnableImageDeprecation => Done,
        DisableImage => Done,
        DeregisterImage => DeregisterAnswer,
        DescribeLaunchTemplates => TemplatesAnswer,
        DescribeLaunchTemplateVersions => VersionsAnswer,
        CreateLaunchTemplateVersion => VersionAnswer,
        ModifyLaunchTemplate => TemplateAnswer,
        DescribeInstances => InstancesAnswer,
        DescribeInstanceStatus => StatusesAnswer,
        GetConsoleOutput => ConsoleAnswer,
        DescribeSubnets => SubnetsAnswer,
        DescribeSecurityGroups => GroupsAnswer,
    };
    let without_answer = [
        alone("DeleteSnapshot", members::<ec2::wire::DeleteSnapshot>()),
        alone("CreateTags", members::<ec2::wire::CreateTags>()),
    ];
    insta::assert_snapshot!("ec2_members", format!("{list}{}", without_answer.concat()));
}

#[test]
fn members_of_cloudformation_are_listed_as_the_code_has_them() {
    let list = operations! {
        in cloudformation:
        ValidateTemplate => ValidateAnswer,
        GetTemplateSummary => SummaryAnswer,
        CreateChangeSet => ChangeSetMade,
        DescribeChangeSet => ChangeSetAnswer,
        DescribeStacks => StacksAnswer,
        ListStackResources => StackResourcesAnswer,
        DescribeStackEvents => StackEventsAnswer,
        DescribeEvents => OperationEventsAnswer,
        GetTemplate => TemplateBodyAnswer,
        DetectStackDrift => DetectionAnswer,
        DescribeStackDriftDetectionStatus => DetectionStatusAnswer,
        DescribeStackResourceDrifts => DriftsAnswer,
        GetStackPolicy => StackPolicyAnswer,
        UpdateTerminationProtection => ProtectionAnswer,
        ListExports => ExportsAnswer,
        ListImports => ImportsAnswer,
    };
    let without_answer = [
        alone("ExecuteChangeSet", members::<cloudformation::wire::ExecuteChangeSet>()),
        alone("DeleteChangeSet", members::<cloudformation::wire::DeleteChangeSet>()),
        alone("ContinueUpdateRollback", members::<cloudformation::wire::ContinueUpdateRollback>()),
        alone("RollbackStack", members::<cloudformation::wire::RollbackStack>()),
        alone("CancelUpdateStack", members::<cloudformation::wire::CancelUpdateStack>()),
        alone("DeleteStack", members::<cloudformation::wire::DeleteStack>()),
        alone("SetStackPolicy", members::<cloudformation::wire::SetStackPolicy>()),
    ];
    insta::assert_snapshot!("cloudformation_members", format!("{list}{}", without_answer.concat()));
}
