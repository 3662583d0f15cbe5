//! What `Ref` and `Fn::GetAtt` give, in AWS's forms, and what parameters name.

use serde_json::json;

use crate::account::{Outcome, StackAccount};

const TEMPLATE: &str = r#"
Resources:
  Secret: { Type: AWS::SecretsManager::Secret, Properties: { Name: shop/password, GenerateSecretString: { PasswordLength: 20 } } }
  Balancer:
    Type: AWS::ElasticLoadBalancingV2::LoadBalancer
    Properties: { Name: shop, Subnets: [subnet-1, subnet-2] }
  Targets:
    Type: AWS::ElasticLoadBalancingV2::TargetGroup
    Properties: { Name: shop, Port: 80, Protocol: HTTP, VpcId: vpc-1 }
  Bus: { Type: AWS::Events::EventBus, Properties: { Name: orders } }
  Rule: { Type: AWS::Events::Rule, Properties: { Name: nightly, ScheduleExpression: rate(1 day) } }
  Own: { Type: AWS::Events::Rule, Properties: { Name: paid, EventBusName: !Ref Bus, EventPattern: { source: [shop] } } }
Outputs:
  Rule: { Value: !Ref Rule }
  Own: { Value: !Ref Own }
  OwnArn: { Value: !GetAtt Own.Arn }
  Secret: { Value: !Ref Secret }
  Balancer: { Value: !Ref Balancer }
  FullName: { Value: !GetAtt Balancer.LoadBalancerFullName }
  Targets: { Value: !GetAtt Targets.TargetGroupFullName }
"#;

#[tokio::test]
async fn references_have_the_forms_of_aws() -> Outcome {
    let account = StackAccount::with("")?;
    account.call("CreateStack", json!({ "StackName": "web", "TemplateBody": TEMPLATE })).await?;
    assert_eq!(account.settled("web").await?.0, "CREATE_COMPLETE", "{:#?}", account.failures("web").await?);
    let found = account.call("DescribeStacks", json!({ "StackName": "web" })).await?;
    let output = |name: &str| {
        let outputs = found["Stacks"][0]["Outputs"].as_array().cloned().unwrap_or_default();
        let found = outputs.iter().find(|one| one["OutputKey"] == name).cloned().unwrap_or_default();
        found["OutputValue"].as_str().unwrap_or_default().to_owned()
    };
    let drawn = |text: &str| text.len() == 16 && text.chars().all(|one| one.is_ascii_hexdigit());
    let secret = output("Secret");
    let (name, end) = secret.rsplit_once('-').ok_or("no end")?;
    assert_eq!(name, "arn:aws:secretsmanager:us-west-2:111111111111:secret:shop/password");
    assert_eq!(end.len(), 6, "{secret}");
    let full = output("FullName");
    let (name, id) = full.rsplit_once('/').ok_or("no id")?;
    assert!(name == "app/shop" && drawn(id), "{full}");
    assert_eq!(output("Balancer"), format!("arn:aws:elasticloadbalancing:us-west-2:111111111111:loadbalancer/{full}"));
    assert_eq!([output("Rule"), output("Own")], ["nightly", "orders|paid"]);
    assert_eq!(output("OwnArn"), "arn:aws:events:us-west-2:111111111111:rule/orders/paid");
    let targets = output("Targets");
    let (name, id) = targets.rsplit_once('/').ok_or("no id")?;
    assert!(name == "targetgroup/shop" && drawn(id), "{targets}");
    Ok(())
}

#[tokio::test]
async fn an_image_that_is_not_there_is_refused_before_anything_is_made() -> Outcome {
    for kind in ["AWS::EC2::Image::Id", "List<AWS::EC2::Image::Id>", "AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>"]
    {
        let template = format!(
            "Parameters: {{ Image: {{ Type: \"{kind}\" }} }}\nResources: {{ Topic: {{ Type: AWS::SNS::Topic }} }}\n"
        );
        let account =
            StackAccount::with("[[parameters]]\nname = \"/images/gone\"\nvalues = [\"ami-0000000000000009\"]\n")?;
        let [there, gone] = match kind.starts_with("AWS::SSM") {
            true => ["/images/web", "/images/gone"],
            false => ["ami-0000000000000001", "ami-0000000000000009"],
        };
        let asked = |image: &str| {
            json!({
                "StackName": "web", "TemplateBody": template,
                "Parameters": [{ "ParameterKey": "Image", "ParameterValue": image }],
            })
        };
        let refused = account.call("CreateStack", asked(gone)).await;
        let message =
            "Parameter validation failed: parameter value ami-0000000000000009 for parameter name Image does not exist";
        assert!(refused.is_err_and(|error| error.to_string().contains(message)), "{kind}");
        assert_eq!(account.there(), Vec::<String>::new(), "{kind}");
        account.call("CreateStack", asked(there)).await?;
        assert_eq!(account.settled("web").await?.0, "CREATE_COMPLETE", "{kind}");
    }
    Ok(())
}
