//! Templates as people write them, and as they get them wrong.

#![expect(clippy::indexing_slicing, reason = "a test ends where it fails")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{Evaluation, Finding, Known, LATER, Template, check, check_tree, expand, read};

const WEB: &str = r#"AWSTemplateFormatVersion: "2010-09-09"
Description: A web server behind a balancer
Parameters:
  Stage: { Type: String, Default: staging, AllowedValues: [staging, production] }
  Subnets: { Type: "List<AWS::EC2::Subnet::Id>", Default: "subnet-1, subnet-2" }
  Account: { Type: String, Default: "012345678901" }
Mappings:
  Sizes:
    staging: { Type: t3.micro }
    production: { Type: m7g.large }
Conditions:
  IsProduction: !Equals [!Ref Stage, production]
  IsStaging: !Not [!Condition IsProduction]
Resources:
  Logs:
    Type: AWS::Logs::LogGroup
    DeletionPolicy: Retain
    Properties:
      LogGroupName: !Sub "/web/${Stage}/${AWS::Region}/${!Literal}"
      RetentionInDays: !If [IsProduction, 90, !Ref "AWS::NoValue"]
  Template:
    Type: AWS::EC2::LaunchTemplate
    Properties:
      LaunchTemplateData:
        InstanceType: !FindInMap [Sizes, !Ref Stage, Type]
        UserData: !Base64
          Fn::Sub:
            - "log to ${Group}"
            - Group: !GetAtt Logs.Arn
  Fleet:
    Type: AWS::AutoScaling::AutoScalingGroup
    DependsOn: Logs
    Properties:
      MinSize: "2"
      MaxSize: 10
      VPCZoneIdentifier: !Ref Subnets
      LaunchTemplate:
        LaunchTemplateId: !Ref Template
        Version: !GetAtt [Template, LatestVersionNumber]
Outputs:
  First: { Value: !Select [0, !Ref Subnets] }
  Only: { Condition: IsProduction, Value: !Join ["-", [a, !Ref Stage]], Export: { Name: !Sub "${AWS::StackName}-x" } }
"#;

fn problems(text: &str) -> Vec<String> {
    check(text).err().unwrap_or_default().iter().map(Finding::to_string).collect()
}

struct Fixed(BTreeMap<&'static str, Value>);

impl Known for Fixed {
    fn reference(&self, name: &str) -> Option<Value> {
        self.0.get(name).cloned()
    }

    fn attribute(&self, of: &str, _attribute: &str) -> Option<Value> {
        self.0.get(of).map(|_| Value::from(LATER))
    }

    fn import(&self, name: &str) -> Option<Value> {
        (name == "shared").then(|| json!("vpc-1"))
    }

    fn zones(&self, region: &str) -> Vec<String> {
        vec![format!("{region}a"), format!("{region}b")]
    }
}

fn known(stage: &str) -> Fixed {
    Fixed(BTreeMap::from([
        ("Stage", json!(stage)),
        ("Subnets", json!(["subnet-1", "subnet-2"])),
        ("AWS::Region", json!("eu-central-1")),
        ("AWS::StackName", json!("web")),
        ("Logs", json!("/web/logs")),
        ("Template", json!(LATER)),
    ]))
}

fn evaluated(template: &Template, stage: &str, resource: &str) -> Result<Value, Finding> {
    let known = known(stage);
    Evaluation::new(template, &known).present(&template.resources[resource].properties)
}

#[test]
fn a_template_is_read_and_its_functions_are_computed() -> Result<(), Vec<Finding>> {
    let template = check(WEB)?;
    assert_eq!(template.dependencies()["Fleet"].iter().copied().collect::<Vec<_>>(), ["Logs", "Template"]);
    assert_eq!(template.parameters["Account"].default.as_deref(), Some("012345678901"));
    let one = |stage, resource| evaluated(&template, stage, resource).map_err(|finding| vec![finding]);
    assert_eq!(one("staging", "Logs")?, json!({ "LogGroupName": "/web/staging/eu-central-1/${Literal}" }));
    assert_eq!(one("production", "Logs")?["RetentionInDays"], json!(90));
    let data = &one("production", "Template")?["LaunchTemplateData"];
    assert_eq!((&data["InstanceType"], &data["UserData"]), (&json!("m7g.large"), &json!(LATER)));
    let fleet = one("staging", "Fleet")?;
    assert_eq!(fleet["LaunchTemplate"], json!({ "LaunchTemplateId": LATER, "Version": LATER }));
    assert_eq!((&fleet["MinSize"], &fleet["MaxSize"]), (&json!("2"), &json!(10)));
    let known = known("production");
    let evaluation = Evaluation::new(&template, &known);
    let only = &template.outputs["Only"];
    assert!(evaluation.is_made(Some("IsProduction")).map_err(|finding| vec![finding])?);
    let value = evaluation.present(&only.value).map_err(|finding| vec![finding])?;
    let export = only.export.as_ref().and_then(|node| evaluation.present(node).ok());
    assert_eq!((value, export), (json!("a-production"), Some(json!("web-x"))));
    Ok(())
}

#[test]
fn the_templates_that_come_with_kiln_have_no_fault() -> Result<(), Box<dyn std::error::Error>> {
    let mut seen = 0;
    for folder in ["../pipelines/templates", "../tests/templates"] {
        for entry in std::fs::read_dir(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder))? {
            let path = entry?.path();
            if path.extension().is_some_and(|end| end == "yaml" || end == "yml" || end == "json") {
                let found = check(&std::fs::read_to_string(&path)?).err().unwrap_or_default();
                assert!(found.is_empty(), "{}: {found:#?}", path.display());
                seen += 1;
            }
        }
    }
    assert!(seen > 4, "{seen}");
    Ok(())
}

#[test]
fn json_is_the_same_template() -> Result<(), Box<dyn std::error::Error>> {
    let tree = read(WEB).map_err(|finding| finding.to_string())?;
    let pretty = serde_json::to_string_pretty(&tree.json())?.replace("  ", "\t");
    let again = read(&pretty).map_err(|finding| finding.to_string())?;
    assert_eq!(again.json(), tree.json());
    assert!(check(&pretty).is_ok());
    Ok(())
}

#[test]
fn all_that_is_wrong_is_told_at_once_by_line_and_column() {
    let wrong = r#"Resorces: {}
Parameters:
  Count: { Type: Numbr }
  Stage: { Type: String, Default: test, AllowedValues: [staging, production] }
  Short: { Type: String, Defalt: a, AllowedPattern: "[a-z]{3}" }
Conditions:
  Big: !Equals [!Ref Stag, production]
Resources:
  Logs:
    Type: AWS::Logs::LogGroup
    Condition: Bgi
    DeletionPolicy: Retian
    Properties:
      LogGroupNames: x
      Arn: arn:aws:logs
      RetentionInDays: many
  Fleet:
    Type: AWS::AutoScaling::AutoScalingGroup
    DependsOn: [Log]
    Properties:
      MinSize: 1
      VPCZoneIdentifier: subnet-1
      TargetGroupARNs: [!GetAtt Logs.Anr, !Ref Traget, !FindInMap [Sizes, a, b]]
  One: { Type: AWS::SNS::Topic, Properties: { TopicName: !GetAtt Two.TopicName } }
  Two: { Type: AWS::SNS::Topic, Properties: { TopicName: !Sub "${One}-x" } }
  Waits: { Type: AWS::SNS::Topic, DependsOn: One }
  Odd: { Typ: AWS::SNS::Topic }
Outputs:
  Url: { Value: { "Fn::Jion": ["", []] } }
"#;
    insta::assert_snapshot!(problems(wrong).join("\n"));
}

#[test]
fn what_is_no_template_is_refused_where_it_goes_wrong() {
    for (text, told) in [
        ("", "1:1: the template is empty"),
        ("- a", "1:1: a template is a structure, not a list"),
        ("Resources: [", "this is no YAML"),
        ("Resources: {}\n---\nResources: {}", "2:1: a template is one YAML document"),
        ("Resources:\n  A: { Type: !Reff x }", "2:14: there is no function `!Reff`; did you mean \"Ref\"?"),
        ("Resources:\n  A: 1\n  A: 2", "3:3: \"A\" stands here twice"),
        ("Resources: { <<: { b: c } }", "does not merge by `<<`"),
        ("A: &a {b: c}\nResources:\n  A: *a", "3:6: CloudFormation takes no aliases (`*name`); write the value out"),
        ("Resources:\n  A: !GetAtt B", "names no attribute"),
        ("Resources: !!set {a}", "`!!set`"),
    ] {
        let found = problems(text).join("\n");
        assert!(found.contains(told), "{text:?}: {found}");
    }
}

#[test]
fn hostile_text_is_bounded() {
    assert!(problems(&"[".repeat(100)).join("").contains("levels deep"));
    let blocks: String = (0..300).map(|level| format!("{}a:\n", " ".repeat(level))).collect();
    assert!(problems(&blocks).join("").contains("levels deep"));
    assert!(problems(&"[".repeat(100_000)).join("").contains("recursion limit exceeded"));
    let many = format!("A: [{}]", "x, ".repeat(250_000));
    assert!(problems(&many).join("").contains("more than 200000 values"));
    assert!(problems(&" ".repeat(crate::LARGEST + 1)).join("").contains("nested stacks"));
}

#[test]
fn types_that_are_not_known_are_named_and_no_fault() -> Result<(), Vec<Finding>> {
    let template = check("Resources:\n  A:\n    Type: AWS::Batch::JobQueue\n  B:\n    Type: AWS::SNS::Topc\n")?;
    let told: Vec<String> = template.unsupported().iter().map(Finding::to_string).collect();
    assert_eq!(told.len(), 2);
    assert!(told[0].starts_with("3:11: Resources.A.Type: the type \"AWS::Batch::JobQueue\""), "{told:?}");
    assert!(told[1].ends_with("did you mean \"AWS::SNS::Topic\"?"), "{told:?}");
    Ok(())
}

#[test]
fn loops_are_unrolled_over_parameters() -> Result<(), Box<dyn std::error::Error>> {
    let text = r#"Transform: AWS::LanguageExtensions
Parameters:
  Names: { Type: CommaDelimitedList, Default: "a,bc" }
Resources:
  Fn::ForEach::Topics:
    - Name
    - !Ref Names
    - "Topic&{Name}":
        Type: AWS::SNS::Topic
        Properties: { TopicName: !Sub "x-${Name}", DisplayName: !Ref Name }
  Fn::ForEach::Policies:
    - Name
    - !Ref Names
    - "Policy&{Name}":
        Type: AWS::SNS::TopicPolicy
        Properties: { PolicyDocument: {}, Topics: ["Fn::GetAtt": [!Sub "Topic${Name}", TopicArn]] }
  Count:
    Type: AWS::SSM::Parameter
    Properties: { Type: String, Value: !Length [1, 2, 3], Description: !ToJsonString { a: [1] } }
Outputs:
  Fn::ForEach::All:
    - Name
    - [a]
    - "Out${Name}": { Value: !Ref "Topic${Name}" }
"#;
    let template = check(text).map_err(|findings| format!("{findings:?}"))?;
    assert_eq!(template.resources.keys().collect::<Vec<_>>(), ["Count", "Policya", "Policybc", "Topica", "Topicbc"]);
    assert!(template.dependencies()["Policya"].contains("Topica"), "what a loop makes of a name is found");
    let known = known("staging");
    let one = Evaluation::new(&template, &known).present(&template.resources["Topicbc"].properties);
    assert_eq!(one, Ok(json!({ "TopicName": "x-bc", "DisplayName": "bc" })));
    let count = Evaluation::new(&template, &known).present(&template.resources["Count"].properties);
    assert_eq!(count, Ok(json!({ "Type": "String", "Value": 3, "Description": "{\"a\":[1]}" })));
    assert!(template.outputs.contains_key("Outa"));

    let tree = read(text).map_err(|finding| finding.to_string())?;
    let values = BTreeMap::from([("Names".to_owned(), json!(["a", "q"]))]);
    let again = check_tree(&expand(&tree, &values).map_err(|finding| finding.to_string())?, &values);
    assert!(again.is_ok_and(|template| template.resources.contains_key("Topicq")));
    Ok(())
}

#[test]
fn rules_of_a_template_ask_for_attributes_of_what_parameters_name() -> Result<(), Vec<Finding>> {
    let text = r#"Parameters:
  Stage: { Type: String }
  Subnets: { Type: "List<AWS::EC2::Subnet::Id>" }
Rules:
  Same:
    Assertions:
      - Assert: !EachMemberEquals [!ValueOfAll ["AWS::EC2::Subnet::Id", VpcId], vpc-1]
        AssertDescription: all of one
  Sized:
    RuleCondition: !Equals [!Ref Stage, production]
    Assertions: [{ Assert: !Contains [[a, b], !Ref Stage] }]
Resources: { Topic: { Type: AWS::SNS::Topic } }
"#;
    struct Described(Fixed, &'static str);
    impl Known for Described {
        fn reference(&self, name: &str) -> Option<Value> {
            self.0.reference(name)
        }
        fn attribute(&self, _: &str, _: &str) -> Option<Value> {
            None
        }
        fn import(&self, _: &str) -> Option<Value> {
            None
        }
        fn zones(&self, _: &str) -> Vec<String> {
            Vec::new()
        }
        fn described(&self, kind: &str, id: &str, attribute: &str) -> Option<Value> {
            assert_eq!((kind, attribute), ("AWS::EC2::Subnet::Id", "VpcId"));
            Some(Value::from(if id == "subnet-2" { self.1 } else { "vpc-1" }))
        }
    }
    let template = check(text)?;
    let broken = |stage, vpc| Evaluation::new(&template, &Described(known(stage), vpc)).broken_rules();
    assert_eq!(broken("staging", "vpc-1"), Ok(vec![]));
    assert_eq!(broken("production", "vpc-2"), Ok(vec!["all of one".to_owned(), "Rule Sized is broken".to_owned()]));
    assert_eq!(Evaluation::new(&template, &known("staging")).broken_rules(), Ok(vec![]), "nobody can tell");
    Ok(())
}

fn of(expression: &str) -> Result<Option<Value>, String> {
    let text = format!(
        "Resources: {{}}\nMappings: {{ M: {{ a: {{ b: c }} }} }}\nMetadata: {expression}\nConditions: {{ Yes: !Equals [1, \"1\"] }}\n"
    );
    let tree = read(&text).map_err(|finding| finding.to_string())?;
    let (template, _) = Template::of(&tree);
    let known = known("staging");
    let node = template.metadata.clone().ok_or("nothing")?;
    Evaluation::new(&template, &known).value(&node).map_err(|finding| finding.message)
}

#[test]
fn each_function_gives_what_cloudformation_gives() {
    for (expression, wanted) in [
        ("!Join [',', [a, 1, true]]", json!("a,1,true")),
        ("!Split ['|', 'a|b']", json!(["a", "b"])),
        ("!Select [1, [a, b]]", json!("b")),
        ("!Select ['0', !GetAZs '']", json!("eu-central-1a")),
        ("!GetAZs us-east-1", json!(["us-east-1a", "us-east-1b"])),
        ("!Base64 abc", json!("YWJj")),
        ("!Cidr [10.0.0.0/16, 3, 8]", json!(["10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24"])),
        ("!Cidr ['2001:db8::/56', 2, 64]", json!(["2001:db8::/64", "2001:db8:0:1::/64"])),
        ("!FindInMap [M, a, b]", json!("c")),
        ("!FindInMap [M, a, x, { DefaultValue: d }]", json!("d")),
        ("!ImportValue shared", json!("vpc-1")),
        ("!If [Yes, 1, 2]", json!(1)),
        ("[!If [Yes, !Ref AWS::NoValue, 2], 3]", json!([3])),
        ("!Join ['', [!Ref Template]]", json!(LATER)),
        ("!Select [0, !Split ['-', !Ref Template]]", json!(LATER)),
        ("!Sub 'a-${Template}'", json!(format!("a-{LATER}"))),
        ("{ Condition: { Bool: { a: true } } }", json!({ "Condition": { "Bool": { "a": true } } })),
    ] {
        assert_eq!(of(expression), Ok(Some(wanted)), "{expression}");
    }
    for (expression, told) in [
        ("!Select [2, [a, b]]", "cannot select nonexistent value at index 2"),
        ("!FindInMap [M, a, x]", "Unable to get mapping for M::a::x"),
        ("!ImportValue other", "No export named other found."),
        ("!Cidr [10.0.0.0/24, 3, 8]", "has no room"),
        ("!Cidr [10.0.0.0, 3, 8]", "no block of addresses"),
        ("!Sub '${Subnets}'", "is no text"),
        ("!If [No, 1, 2]", "there is no condition"),
        ("!Join [1]", "requires two parameters"),
    ] {
        assert!(of(expression).is_err_and(|error| error.contains(told)), "{expression}: {:?}", of(expression));
    }
}

#[test]
fn values_of_parameters_are_refused_in_the_words_of_cloudformation() -> Result<(), Vec<Finding>> {
    let template = check(
        "Parameters:\n  N: { Type: Number, MinValue: 2, MaxValue: 4 }\n  P: { Type: String, AllowedPattern: '[a-z]+', MinLength: 2 }\n  \
         L: { Type: 'List<Number>' }\n  S: { Type: 'AWS::SSM::Parameter::Value<String>', Default: /a/b }\nResources:\n  T: { Type: AWS::SNS::Topic }\n",
    )?;
    let refused = |name: &str, value: &str| {
        template.parameters[name].check(name, value).err().map(|refusal| refusal.0).unwrap_or_default()
    };
    assert_eq!(refused("N", "5"), "Parameter 'N' must be a number not greater than 4");
    assert_eq!(refused("N", "x"), "Parameter 'N' must be a number");
    assert_eq!(refused("P", "a1"), "Parameter 'P' must match pattern [a-z]+");
    assert_eq!(refused("P", "a"), "Parameter 'P' must contain at least 2 characters");
    assert_eq!(refused("L", "1,x"), "Parameter 'L' must be a number");
    assert_eq!((refused("L", "1, 2"), refused("N", "3")), (String::new(), String::new()));
    assert!(template.parameters["S"].kind.is_ssm_value() && !template.parameters["N"].kind.is_ssm_value());
    Ok(())
}

proptest! {
    #[test]
    fn whatever_text_it_is_nothing_panics(text in "[A-Za-z!:&*\\[\\]{}\"'| \n-]{0,200}") {
        let _ = check(&text);
    }
}
