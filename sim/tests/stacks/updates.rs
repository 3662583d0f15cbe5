//! Each change of each template, failing at each resource that it touches: afterwards the account is what it was before.
//!
//! What the changes are, and what they touch, is in the data files beside the templates.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::account::{Outcome, StackAccount, differences, folder};

/// A data file.
struct Case {
    name: String,
    template: String,
    data: toml::Table,
}

/// A change of a stack, by its name in the data file.
const CHANGES: [&str; 2] = ["in-place", "replacing"];

fn case(name: &str) -> Outcome<Case> {
    let data: toml::Table = std::fs::read_to_string(folder("tests/templates").join(format!("{name}.toml")))?.parse()?;
    let file = data["template"].as_str().ok_or("no template")?;
    let template = std::fs::read_to_string(folder("tests/templates").join(file))?;
    Ok(Case { name: name.to_owned(), template, data })
}

fn cases() -> Outcome<Vec<Case>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder("tests/templates"))? {
        let path = entry?.path();
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        if path.extension().is_some_and(|end| end == "toml") && name != "world" {
            names.push(name);
        }
    }
    names.sort();
    assert!(names.len() > 15, "{names:?}");
    names.iter().map(|name| case(name)).collect()
}

impl Case {
    fn list(&self, change: &str, list: &str) -> BTreeSet<String> {
        let found = self.data.get(change).and_then(|change| change.get(list)).and_then(toml::Value::as_array);
        found.into_iter().flatten().filter_map(|one| Some(one.as_str()?.to_owned())).collect()
    }

    /// An account with the stacks that this one needs, and with what the world says of it.
    async fn account(&self, more: &str) -> Outcome<StackAccount> {
        let account = StackAccount::of_templates(more)?;
        for before in self.data.get("before").and_then(toml::Value::as_array).into_iter().flatten() {
            let other = case(before.as_str().ok_or("no name")?)?;
            account.call("CreateStack", other.asked(&account, None).await?).await?;
            assert_eq!(account.settled(&other.name).await?.0, "CREATE_COMPLETE");
        }
        Ok(account)
    }

    /// The call that makes the stack, or brings it to a change.
    async fn asked(&self, account: &StackAccount, change: Option<&str>) -> Outcome<Value> {
        let mut given: BTreeMap<String, String> = BTreeMap::new();
        let of = |part: Option<&toml::Value>| part.and_then(toml::Value::as_table).cloned().unwrap_or_default();
        let told = change.and_then(|change| self.data.get(change));
        for parameters in [of(self.data.get("parameters")), of(told.and_then(|told| told.get("parameters")))] {
            for (name, value) in parameters {
                given.insert(name, account.filled(value.as_str().unwrap_or_default()).await?);
            }
        }
        let mut template = self.template.clone();
        for edit in told.and_then(|told| told.get("edits")).and_then(toml::Value::as_array).into_iter().flatten() {
            let part = |name: &str| edit.get(name).and_then(toml::Value::as_str).unwrap_or_default();
            assert_eq!(template.matches(part("from")).count(), 1, "{}", self.name);
            template = template.replace(part("from"), part("to"));
        }
        let parameters: Vec<Value> =
            given.iter().map(|(name, value)| json!({ "ParameterKey": name, "ParameterValue": value })).collect();
        Ok(json!({
            "StackName": self.name, "TemplateBody": template, "Parameters": parameters,
            "Capabilities": ["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
        }))
    }

    /// The stack as it is made, in an account in which this is so.
    async fn made(&self, more: &str) -> Outcome<StackAccount> {
        let account = self.account(more).await?;
        account.call("CreateStack", self.asked(&account, None).await?).await?;
        let (status, reason) = account.settled(&self.name).await?;
        assert_eq!(status, "CREATE_COMPLETE", "{}: {reason}: {:#?}", self.name, account.failures(&self.name).await?);
        // Groups and services come to rest.
        account.pass(1800);
        Ok(account)
    }
}

/// What a change does to a stack and to those within it: stack, logical id, what is begun.
fn steps(account: &StackAccount, from: usize) -> BTreeSet<(String, String, String)> {
    let mut steps = BTreeSet::new();
    for event in account.happened().into_iter().skip(from) {
        let (stack, logical, status) = event;
        if stack != logical && status.ends_with("_IN_PROGRESS") {
            steps.insert((stack, logical, status));
        }
    }
    steps
}

/// How a step comes to fail: before anything is done, or when it is done and does not come to rest.
const WAYS: [&str; 2] = ["fails = \"the test says so\"", "hangs = true"];

async fn failing(change: &str) -> Outcome {
    let mut wrong = Vec::new();
    let mut tried = 0;
    for case in cases()? {
        let account = case.made("").await?;
        let from = account.happened().len();
        account.call("UpdateStack", case.asked(&account, Some(change)).await?).await?;
        let (status, reason) = account.settled(&case.name).await?;
        if status != "UPDATE_COMPLETE" {
            wrong.push(format!(
                "{} {change}: {status}: {reason}: {:#?}",
                case.name,
                account.failures(&case.name).await?
            ));
            continue;
        }
        let steps = steps(&account, from);
        let own = |status: &str| -> BTreeSet<String> {
            let own = steps.iter().filter(|step| step.0 == case.name && step.2 == status);
            own.map(|step| step.1.clone()).collect()
        };
        let listed = |lists: [&str; 2]| -> BTreeSet<String> {
            lists.into_iter().flat_map(|list| case.list(change, list)).collect()
        };
        for (what, lists, is) in [
            ("changes", ["modified", "replaced"], own("UPDATE_IN_PROGRESS")),
            ("makes", ["added", "added"], own("CREATE_IN_PROGRESS")),
        ] {
            let listed = listed(lists);
            if listed != is {
                wrong.push(format!("{} {change} {what} {is:?} and should {listed:?}", case.name));
            }
        }
        let mut touched: BTreeSet<(String, String, &str)> = BTreeSet::new();
        for (stack, logical, status) in &steps {
            let on = match status.as_str() {
                "UPDATE_IN_PROGRESS" => "update",
                "CREATE_IN_PROGRESS" => "create",
                _ => continue,
            };
            touched.insert((stack.clone(), logical.clone(), on));
        }
        assert!(!touched.is_empty(), "{} {change}", case.name);
        for (stack, logical, on) in touched {
            for way in WAYS {
                tried += 1;
                let more = format!(
                    "[[resource-behaviours]]\nstack = \"{stack}\"\nresource = \"{logical}\"\non = \"{on}\"\n{way}\ntimes = 1"
                );
                let told = format!("{} {change} with {logical} of {stack}, {way}", case.name);
                if let Err(error) = taken_back(&case, change, &more, &told, &logical, &mut wrong).await {
                    wrong.push(format!("{told}: {error}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tried > 60, "{tried}");
    Ok(())
}

/// An update of which something fails: it is taken back, and nothing is another.
async fn taken_back(
    case: &Case,
    change: &str,
    more: &str,
    told: &str,
    logical: &str,
    wrong: &mut Vec<String>,
) -> Outcome {
    let account = case.made(more).await?;
    let before = (account.rests(), account.described().await?);
    let mut input = case.asked(&account, Some(change)).await?;
    input["RetainExceptOnCreate"] = json!(true);
    account.call("UpdateStack", input.clone()).await?;
    let (status, reason) = account.settled(&case.name).await?;
    let failures = account.failures(&case.name).await?;
    if status != "UPDATE_ROLLBACK_COMPLETE" {
        wrong.push(format!("{told}: {status}: {reason}: {failures:#?}"));
        return Ok(());
    }
    let first = account.first_failure().unwrap_or_default();
    if first != logical {
        wrong.push(format!("{told}: {first} failed first: {failures:#?}"));
    }
    account.pass(3600);
    let mut found = Vec::new();
    differences("", &before.0, &account.rests(), &mut found);
    differences("stacks", &before.1, &account.described().await?, &mut found);
    if !found.is_empty() {
        wrong.push(format!("{told}: {found:#?}"));
        return Ok(());
    }
    // It is what it was told to be before.
    let nested = case.template.contains("AWS::CloudFormation::Stack");
    let same = account.call("UpdateStack", case.asked(&account, None).await?).await;
    if !nested && !same.is_err_and(|error| error.to_string().contains("No updates are to be performed")) {
        wrong.push(format!("{told}: what it was before is an update"));
        return Ok(());
    }
    account.settled(&case.name).await?;
    // What was taken back can be done.
    account.call("UpdateStack", input).await?;
    let (status, reason) = account.settled(&case.name).await?;
    if status != "UPDATE_COMPLETE" {
        wrong.push(format!("{told}, again: {status}: {reason}: {:#?}", account.failures(&case.name).await?));
    }
    Ok(())
}

#[tokio::test]
async fn each_change_in_place_fails_at_each_of_its_resources_and_is_taken_back() -> Outcome {
    failing(CHANGES[0]).await
}

#[tokio::test]
async fn each_change_that_replaces_fails_at_each_of_its_resources_and_is_taken_back() -> Outcome {
    failing(CHANGES[1]).await
}

/// What cannot be deleted once an update is done is left behind, and the update is done.
#[tokio::test]
async fn what_an_update_cannot_delete_is_no_failure_of_it() -> Outcome {
    for case in cases()? {
        let kept = case.list("kept", "replacing");
        let gone: Vec<String> = ["replaced", "removed"]
            .iter()
            .flat_map(|list| case.list("replacing", list))
            .filter(|logical| !kept.contains(logical))
            .collect();
        for logical in gone {
            let more = format!(
                "[[resource-behaviours]]\nstack = \"{}\"\nresource = \"{logical}\"\non = \"delete\"\nfails = \"it is in use\"\ntimes = 1",
                case.name
            );
            let account = case.made(&more).await?;
            account.call("UpdateStack", case.asked(&account, Some("replacing")).await?).await?;
            let (status, reason) = account.settled(&case.name).await?;
            let failures = account.failures(&case.name).await?;
            assert_eq!(status, "UPDATE_COMPLETE", "{} {logical}: {reason}: {failures:#?}", case.name);
            assert_eq!(failures, [format!("{logical} DELETE_FAILED: it is in use")], "{}", case.name);
        }
    }
    Ok(())
}

/// What stays when a stack is deleted, when a change replaces it, and when a creation is rolled back, is what the data files say.
#[tokio::test]
async fn what_stays_in_the_account_is_named() -> Outcome {
    let skipped = |account: &StackAccount, from: usize| -> BTreeSet<String> {
        let skipped = account.happened().into_iter().skip(from).filter(|event| event.2 == "DELETE_SKIPPED");
        skipped.map(|event| event.1).collect()
    };
    let mut wrong = Vec::new();
    for case in cases()? {
        let mut found = Vec::new();
        let account = case.made("").await?;
        let id =
            account.call("DescribeStacks", json!({ "StackName": case.name })).await?["Stacks"][0]["StackId"].clone();
        let from = account.happened().len();
        account.call("DeleteStack", json!({ "StackName": case.name })).await?;
        account.settled(id.as_str().unwrap_or_default()).await?;
        found.push(("deletion", skipped(&account, from)));

        let account = case.made("").await?;
        let from = account.happened().len();
        account.call("UpdateStack", case.asked(&account, Some("replacing")).await?).await?;
        account.settled(&case.name).await?;
        found.push(("replacing", skipped(&account, from)));

        for (list, is) in found {
            let said = case.list("kept", list);
            if said != is {
                wrong.push(format!("{}: by {list} {is:?} stay and should {said:?}", case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}
