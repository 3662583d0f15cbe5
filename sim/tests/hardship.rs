//! AWS on a bad day: it is busy, full, late and paged; and all that happens the same way again.

mod account;

use account::{Account, Checked};
use kiln_sim::{Bytes, WorldFile};
use serde_json::{Value, json};

const WEB: &str = "
[[repositories]]
name = 'web'
history = { count = 5, prefix = 'release-', from = 1, every = '1d', last = '-1d' }
[[projects]]
name = 'web'
pushes = { repository = 'web', tag = 'built' }
[[services]]
cluster = 'web'
name = 'web'
desired-count = 2
containers = [{ name = 'app', image = 'web:release-1' }]
";

fn items(answer: &Value, member: &str) -> Vec<Value> {
    answer.get(member).and_then(Value::as_array).cloned().unwrap_or_default()
}

fn web(cluster: &str) -> String {
    format!("{WEB}[[clusters]]\nname = 'web'\n{cluster}")
}

async fn service(account: &Account) -> Result<Value, Box<dyn std::error::Error>> {
    let asked = account.call("ecs:DescribeServices", json!({ "cluster": "web", "services": ["web"] })).await;
    Ok(items(&asked.map_err(|error| format!("{error:?}"))?, "services").into_iter().next().ok_or("the service")?)
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_too_often_is_throttled_in_the_services_words() -> Checked {
    let world = "[throttling]\nrate = 1\nburst = 2\n[throttling.operations]\n'ecr:DescribeImages' = { rate = 0.1 }";
    let account = Account::of(&format!("{world}\n{WEB}[[clusters]]\nname = 'web'"))?;
    for (action, words) in [
        ("ecs:ListClusters", ("ThrottlingException", "Rate exceeded")),
        (
            "kms:ListKeys",
            (
                "ThrottlingException",
                "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.",
            ),
        ),
        ("cloudwatch:DescribeAlarms", ("Throttling", "Rate exceeded")),
    ] {
        for _ in 0..2 {
            assert!(account.call(action, json!({})).await.is_ok(), "{action}");
        }
        let words = Err((words.0.to_owned(), words.1.to_owned()));
        assert_eq!(account.call(action, json!({})).await, words, "{action}");
    }
    account.wait(1).await;
    assert!(account.call("ecs:ListClusters", json!({})).await.is_ok());
    let images = json!({ "repositoryName": "web" });
    assert!(account.call("ecr:DescribeImages", images.clone()).await.is_ok());
    assert!(account.call("ecr:DescribeImages", images.clone()).await.is_err());
    assert!(account.call("ecr:ListImages", images.clone()).await.is_ok(), "the service has another bucket");
    account.wait(10).await;
    assert!(account.call("ecr:DescribeImages", images).await.is_ok());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn pages_are_as_small_as_the_world_wants_and_join_to_the_whole() -> Checked {
    let account = Account::of(&format!("page-size = 2\n{}", web("")))?;
    let (mut input, mut pages, mut found) = (json!({ "repositoryName": "web", "maxResults": 1000 }), 0, Vec::new());
    loop {
        let page = account.call("ecr:DescribeImages", input.clone()).await.map_err(|error| format!("{error:?}"))?;
        let images = items(&page, "imageDetails");
        assert!(images.len() <= 2, "{page}");
        found.extend(images);
        pages += 1;
        match page.get("nextToken") {
            Some(token) => input = json!({ "repositoryName": "web", "nextToken": token }),
            None => break,
        }
    }
    assert_eq!((pages, found.len()), (3, 5));
    for _ in 0..3 {
        let started = account.call("codebuild:StartBuild", json!({ "projectName": "web" })).await;
        assert!(started.is_ok(), "{started:?}");
    }
    let listed = account.call("codebuild:ListBuildsForProject", json!({ "projectName": "web" })).await;
    assert_eq!(items(&listed.map_err(|error| format!("{error:?}"))?, "ids").len(), 2);
    assert!(WorldFile::parse("account = '111111111111'\nregion = 'us-west-2'\npage-size = 0").is_err());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_is_new_may_be_missed_and_is_there_within_the_window() -> Checked {
    let mut missed = 0;
    for seed in 0..8 {
        let account = Account::of(&format!(
            "seed = {seed}\n[consistency]\ndescribe-after-create = '2s'\n[[projects]]\nname = 'web'"
        ))?;
        let input = json!({ "repositoryName": "new" });
        assert!(account.call("ecr:CreateRepository", input.clone()).await.is_ok());
        let describe = async || account.call("ecr:DescribeRepositories", json!({ "repositoryNames": ["new"] })).await;
        let early = describe().await;
        missed += usize::from(early.as_ref().is_err_and(|(code, _)| code == "RepositoryNotFoundException"));
        // Writes work on what is there.
        let again = account.call("ecr:CreateRepository", input).await;
        assert!(again.is_err_and(|(code, _)| code == "RepositoryAlreadyExistsException"));
        account.wait(2).await;
        assert!(describe().await.is_ok(), "seed {seed}: {early:?}");
    }
    assert!(missed >= 4, "{missed} of 8 were missed");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_was_changed_may_look_as_before_for_a_while_only() -> Checked {
    let mut stale = 0;
    for seed in 0..8 {
        let account = Account::of(&format!("seed = {seed}\n[consistency]\nread-after-update = '5s'\n{}", web("")))?;
        let update = json!({ "cluster": "web", "service": "web", "desiredCount": 3 });
        let told = account.call("ecs:UpdateService", update).await.map_err(|error| format!("{error:?}"))?;
        assert_eq!(told.pointer("/service/desiredCount"), Some(&json!(3)), "the answer to a write is of now");
        stale += usize::from(service(&account).await?.get("desiredCount") == Some(&json!(2)));
        account.wait(5).await;
        assert_eq!(service(&account).await?.get("desiredCount"), Some(&json!(3)), "seed {seed}");
    }
    assert!(stale >= 4, "{stale} of 8 were stale");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_cluster_without_room_places_nothing_until_there_is_some() -> Checked {
    let account = Account::of(&web("capacity = 2"))?;
    let update = json!({ "cluster": "web", "service": "web", "desiredCount": 4 });
    assert!(account.call("ecs:UpdateService", update).await.is_ok());
    account.wait(120).await;
    let full = service(&account).await?;
    assert_eq!((full.get("runningCount"), full.get("pendingCount")), (Some(&json!(2)), Some(&json!(0))), "{full}");
    let event = items(&full, "events").first().and_then(|event| event.get("message")?.as_str().map(str::to_owned));
    let told = "(service web) was unable to place a task because no container instance met all of its requirements.";
    assert!(event.as_deref().is_some_and(|event| event.starts_with(told)), "{event:?}");
    let run = json!({ "cluster": "web", "taskDefinition": "web", "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } } });
    let ran = account.call("ecs:RunTask", run).await.map_err(|error| format!("{error:?}"))?;
    assert_eq!(
        items(&ran, "failures").first().and_then(|failure| failure.get("reason")),
        Some(&json!("RESOURCE:MEMORY"))
    );
    assert_eq!((items(&ran, "tasks").len(), account.count("ecs:RunTask")), (0, 0));
    // One goes, another one comes in its place.
    let tasks =
        account.call("ecs:ListTasks", json!({ "cluster": "web" })).await.map_err(|error| format!("{error:?}"))?;
    let one = items(&tasks, "taskArns").into_iter().next().ok_or("a task")?;
    assert!(account.call("ecs:StopTask", json!({ "cluster": "web", "task": one })).await.is_ok());
    account.wait(600).await;
    let still = service(&account).await?;
    assert_eq!((still.get("runningCount"), still.get("pendingCount")), (Some(&json!(2)), Some(&json!(0))), "{still}");
    let tasks =
        account.call("ecs:ListTasks", json!({ "cluster": "web" })).await.map_err(|error| format!("{error:?}"))?;
    assert!(!items(&tasks, "taskArns").contains(&one), "{tasks}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_account_may_have_so_many_builds_at_a_time() -> Checked {
    let account = Account::of("concurrent-builds = 1\n[[projects]]\nname = 'web'")?;
    let start = async || account.call("codebuild:StartBuild", json!({ "projectName": "web" })).await;
    assert!(start().await.is_ok());
    let words = ("AccountLimitExceededException", "Cannot have more than 1 builds in queue for the account");
    assert_eq!(start().await, Err((words.0.to_owned(), words.1.to_owned())));
    account.wait(3600).await;
    assert!(start().await.is_ok());
    assert_eq!(account.count("codebuild:StartBuild"), 2);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn credentials_that_are_struck_count_as_expired() -> Checked {
    let account =
        Account::of("[[faults]]\nservice = 'ecr'\nkind = 'expired'\nafter = '10s'\nuntil = '20s'\nprobability = 1.0")?;
    let list = async || account.call("ecr:DescribeRepositories", json!({})).await;
    assert!(list().await.is_ok());
    account.wait(10).await;
    for _ in 0..2 {
        assert!(list().await.is_err_and(|(code, _)| code == "ExpiredTokenException"));
    }
    account.wait(10).await;
    assert!(list().await.is_ok());
    Ok(())
}

/// A walk through builds, deployments and faults, and all that was answered.
async fn walk() -> Result<(Vec<(u16, Bytes)>, String, Value), Box<dyn std::error::Error>> {
    let hardship = "seed = 42\npage-size = 2\n[throttling]\nrate = 3\nburst = 4\n[consistency]\ndescribe-after-create = '3s'\nread-after-update = '3s'";
    let faults = "[[faults]]\noperation = '*'\nprobability = 0.2\nkind = 'internal'\n[[faults]]\nservice = 'ecs'\nprobability = 0.1\nkind = 'throttle'";
    let account = Account::of(&format!("{hardship}\n{}\n{faults}", web("capacity = 3")))?;
    let mut answers = Vec::new();
    for step in 0..60_u64 {
        let update = json!({ "cluster": "web", "service": "web", "forceNewDeployment": step % 9 == 0, "desiredCount": 1 + step % 4 });
        for (action, input) in [
            (
                "codebuild:StartBuild",
                json!({ "projectName": "web", "idempotencyToken": format!("token-{}", step / 3) }),
            ),
            ("codebuild:ListBuilds", json!({})),
            ("ecs:UpdateService", update),
            ("ecs:DescribeServices", json!({ "cluster": "web", "services": ["web"] })),
            ("ecs:ListTasks", json!({ "cluster": "web" })),
            (
                "ecs:RegisterTaskDefinition",
                json!({ "family": "web", "containerDefinitions": [{ "name": "app", "image": "web:built", "memory": 64 }] }),
            ),
            ("ecr:DescribeImages", json!({ "repositoryName": "web" })),
            ("logs:DescribeLogGroups", json!({})),
            ("kms:CreateKey", json!({})),
            ("secretsmanager:CreateSecret", json!({ "Name": format!("s{step}"), "SecretString": "x" })),
            ("cloudwatch:DescribeAlarms", json!({})),
        ] {
            answers.push(account.bytes(action, input).await);
        }
        account.wait(7).await;
    }
    let effects = serde_json::to_string(&account.simulator().effects())?;
    Ok((answers, effects, account.simulator().state()))
}

#[tokio::test(start_paused = true)]
async fn the_same_requests_to_the_same_world_are_answered_byte_for_byte_on_the_worst_of_days() -> Checked {
    let one = walk().await?;
    let failed = one.0.iter().filter(|(status, _)| *status != 200).count();
    assert!(failed > 50 && failed < one.0.len() - 50, "{failed} of {} failed", one.0.len());
    let two = walk().await?;
    for (index, (one, two)) in one.0.iter().zip(&two.0).enumerate() {
        assert_eq!(one, two, "answer {index}");
    }
    assert_eq!(one.1, two.1);
    assert_eq!(one.2.to_string(), two.2.to_string());
    Ok(())
}
