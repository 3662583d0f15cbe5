//! Each template that comes with kiln: made, made again, failing at each of its resources, deleted.

use serde_json::{Value, json};

use crate::account::{Outcome, StackAccount, differences, folder};

/// The values of parameters that have no default, for all templates.
fn parameters(text: &str) -> Vec<Value> {
    let digest = format!("sha256:{}", "0".repeat(64));
    let known = [
        ("GroupName", "web"),
        ("ImageId", "ami-0000000000000001"),
        ("VpcId", "vpc-1"),
        ("SubnetId", "subnet-1"),
        ("SubnetIds", "subnet-1,subnet-2"),
        ("FirstSubnetId", "subnet-1"),
        ("SecondSubnetId", "subnet-2"),
        ("InstanceSecurityGroupIds", "sg-1"),
        ("LoadBalancerSubnetIds", "subnet-1,subnet-2"),
        ("LoadBalancerSecurityGroupIds", "sg-1"),
        ("SecurityGroupIds", "sg-1"),
        ("TaskSecurityGroupIds", "sg-1"),
        ("GroupIds", "sg-1"),
        ("ImageDigest", digest.as_str()),
        ("ChildUrl", "https://templates.s3.us-west-2.amazonaws.com/child.yaml"),
        ("ServiceToken", "arn:aws:lambda:us-west-2:111111111111:function:records"),
        ("ApiToken", "a-token-of-20-letters"),
        ("LoadBalancerScheme", "internal"),
        ("Name", "web"),
    ];
    let template = kiln_template::read(text).ok();
    let declared = template.as_ref().and_then(|root| root.get("Parameters"));
    let asks = |name: &str| {
        let told = declared.and_then(|all| all.get(name));
        told.is_some_and(|told| told.get("Default").is_none() || name == "LoadBalancerScheme")
    };
    let given = known.iter().filter(|(name, _)| asks(name));
    given.map(|(name, value)| json!({ "ParameterKey": name, "ParameterValue": value })).collect()
}

fn all() -> Outcome<Vec<(String, String)>> {
    let mut found = Vec::new();
    for part in ["pipelines/templates", "tests/templates"] {
        for entry in std::fs::read_dir(folder(part))? {
            let path = entry?.path();
            if path.extension().is_some_and(|end| end == "yaml" || end == "json") {
                let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
                found.push((name, std::fs::read_to_string(&path)?));
            }
        }
    }
    found.sort();
    assert!(found.len() > 10, "{}", found.len());
    Ok(found)
}

/// An account with what the template needs beside its parameters: the network of another stack.
async fn ready(name: &str, more: &str) -> Outcome<StackAccount> {
    let signal = "[[resource-behaviours]]\nresource = \"Ready\"\non = \"create\"\nsignals = [\"success\"]\n";
    let account = StackAccount::with(&format!("{signal}{more}"))?;
    if name == "load-balancer" {
        let vpc = std::fs::read_to_string(folder("tests/templates/vpc.yaml"))?;
        account.call("CreateStack", asked("vpc", &vpc)).await?;
        assert_eq!(account.settled("vpc").await?.0, "CREATE_COMPLETE", "{:#?}", account.failures("vpc").await?);
    }
    account.pass(1);
    Ok(account)
}

fn asked(name: &str, text: &str) -> Value {
    json!({
        "StackName": name, "TemplateBody": text, "Parameters": parameters(text),
        "Capabilities": ["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
    })
}

#[tokio::test]
async fn each_template_is_made_and_deleted_and_nothing_is_left() -> Outcome {
    let mut wrong = Vec::new();
    for (name, text) in all()? {
        let account = ready(&name, "").await?;
        let before = account.holds();
        if let Err(error) = account.call("CreateStack", asked(&name, &text)).await {
            wrong.push(format!("{name} is refused: {error}"));
            continue;
        }
        let (status, reason) = account.settled(&name).await?;
        if status != "CREATE_COMPLETE" {
            wrong.push(format!("{name}: {status}: {reason}: {:#?}", account.failures(&name).await?));
            continue;
        }
        let same = account.call("UpdateStack", asked(&name, &text)).await;
        if !text.contains("AWS::CloudFormation::Stack")
            && !same.is_err_and(|error| error.to_string().contains("No updates"))
        {
            wrong.push(format!("{name}: the same again is an update"));
        }
        let id = account.call("DescribeStacks", json!({ "StackName": name })).await?["Stacks"][0]["StackId"].clone();
        account.settled(&name).await?;
        account.call("DeleteStack", json!({ "StackName": name })).await?;
        let (status, reason) = account.settled(id.as_str().unwrap_or_default()).await?;
        if status != "DELETE_COMPLETE" {
            let failures = account.failures(id.as_str().unwrap_or_default()).await?;
            wrong.push(format!("{name}: {status}: {reason}: {failures:#?}"));
            continue;
        }
        account.pass(3600);
        let kept = kept(&text);
        compare(&name, &before, &account, &kept, &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Whether a template says of a resource that it stays.
fn kept(text: &str) -> Vec<String> {
    let Ok(root) = kiln_template::read(text) else { return Vec::new() };
    let resources = root.get("Resources").and_then(|node| node.entries()).unwrap_or_default();
    let stays = |node: &kiln_template::Node| {
        node.get("DeletionPolicy").is_some_and(|policy| policy.as_text() != Some("Delete"))
    };
    resources.iter().filter(|entry| stays(&entry.value)).map(|entry| entry.key.clone()).collect()
}

fn compare(name: &str, before: &Value, account: &StackAccount, kept: &[String], wrong: &mut Vec<String>) {
    let mut after = Vec::new();
    differences("", before, &account.holds(), &mut after);
    // What stays because its template says so is no left-over.
    if !kept.is_empty() {
        return;
    }
    if !after.is_empty() {
        wrong.push(format!("{name} leaves {after:#?}"));
    }
}

#[tokio::test]
async fn each_template_fails_at_each_of_its_resources_and_is_taken_back() -> Outcome {
    let mut wrong = Vec::new();
    for (name, text) in all()? {
        let logical = {
            let account = ready(&name, "").await?;
            if account.call("CreateStack", asked(&name, &text)).await.is_err() {
                continue;
            }
            account.settled(&name).await?;
            account.resources(&name).await?
        };
        for (resource, _, _) in logical {
            let more = format!(
                "[[resource-behaviours]]\nresource = \"{resource}\"\non = \"create\"\nfails = \"the test says so\""
            );
            let account = ready(&name, &more).await?;
            let before = account.holds();
            let mut input = asked(&name, &text);
            input["RetainExceptOnCreate"] = json!(true);
            account.call("CreateStack", input).await?;
            let (status, _) = account.settled(&name).await?;
            let failures = account.failures(&name).await?;
            if status != "ROLLBACK_COMPLETE" {
                wrong.push(format!("{name} with {resource}: {status}: {failures:#?}"));
                continue;
            }
            if failures.first().is_none_or(|first| *first != format!("{resource} CREATE_FAILED: the test says so")) {
                wrong.push(format!("{name} with {resource}: {failures:#?}"));
            }
            account.pass(3600);
            compare(&format!("{name} with {resource}"), &before, &account, &[], &mut wrong);
            assert_eq!(account.active(), Vec::<String>::new(), "{name} with {resource}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// The images that the instances of the fleet run, those that have ended left out.
fn images(account: &StackAccount) -> Vec<String> {
    let holds = account.holds();
    let instances = holds["ec2"]["instances"].as_object().cloned().unwrap_or_default();
    let mut images: Vec<String> =
        instances.values().map(|instance| instance["image"].as_str().unwrap_or_default().to_owned()).collect();
    images.sort();
    images
}

#[tokio::test]
async fn a_group_replaces_its_instances_only_where_its_update_policy_says_so() -> Outcome {
    let text = std::fs::read_to_string(folder("pipelines/templates/fleet.yaml"))?;
    let (old, new) = ("ami-0000000000000001", "ami-0000000000000002");
    for (by, image) in [("stage", old), ("stack", new)] {
        let account = ready("fleet", &format!("[[images]]\nname = \"web-2\"\nid = \"{new}\"\n")).await?;
        let mut input = asked("fleet", &text);
        let given = input["Parameters"].as_array_mut().ok_or("no parameters")?;
        given.push(json!({ "ParameterKey": "RefreshBy", "ParameterValue": by }));
        account.call("CreateStack", input.clone()).await?;
        assert_eq!(account.settled("fleet").await?.0, "CREATE_COMPLETE");
        account.pass(900);
        assert_eq!(images(&account), [old, old]);
        for given in input["Parameters"].as_array_mut().into_iter().flatten() {
            if given["ParameterKey"] == "ImageId" {
                given["ParameterValue"] = json!(new);
            }
        }
        account.call("UpdateStack", input).await?;
        assert_eq!(
            account.settled("fleet").await?.0,
            "UPDATE_COMPLETE",
            "{by}: {:#?}",
            account.failures("fleet").await?
        );
        account.pass(900);
        assert_eq!(images(&account), [image, image], "{by}");
    }
    Ok(())
}
