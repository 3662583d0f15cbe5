//! Tasks by themselves, and task definitions that lose nothing.

use serde_json::json;

use crate::world::{Outcome, web};

#[tokio::test]
async fn a_task_of_a_service_that_is_stopped_is_replaced_and_remembered_for_an_hour() -> Outcome {
    let world = web("desired-count = 2", "")?;
    let listed = world.ecs("ListTasks", json!({ "cluster": "web", "serviceName": "web" })).await?;
    let task = listed["taskArns"][0].clone();
    world.ecs("StopTask", json!({ "cluster": "web", "task": task, "reason": "by hand" })).await?;
    world.pass(100);
    assert_eq!(world.counts(), (2, 2));
    let stopped = json!({ "cluster": "web", "desiredStatus": "STOPPED", "family": "web" });
    let listed = world.ecs("ListTasks", stopped.clone()).await?;
    assert_eq!(listed["taskArns"], json!([task]));
    let described = world.ecs("DescribeTasks", json!({ "cluster": "web", "tasks": [task, "absent"] })).await?;
    let found = &described["tasks"][0];
    assert_eq!((&found["lastStatus"], &found["stopCode"]), (&json!("STOPPED"), &json!("UserInitiated")));
    assert_eq!((&found["stoppedReason"], &found["group"]), (&json!("by hand"), &json!("service:web")));
    assert_eq!(described["failures"][0]["reason"], "MISSING");
    let service = world.service().await?;
    assert_eq!(found["startedBy"], service["deployments"][0]["id"]);
    world.pass(3700);
    assert_eq!(world.ecs("ListTasks", stopped).await?["taskArns"], json!([]));
    Ok(())
}

#[tokio::test]
async fn a_task_without_a_service_runs_once_for_one_token() -> Outcome {
    let crash = "[[task-behaviours]]\nfamily = 'web'\nfrom-revision = 2\ncrash-after = '30s'\nexit-code = 0";
    let world = web("desired-count = 0", crash)?;
    let definition = world.register("example.com/job@sha256:0a1b").await?;
    let input = json!({ "cluster": "web", "taskDefinition": definition, "startedBy": "nightly", "clientToken": "once",
        "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } } });
    let one = world.ecs("RunTask", input.clone()).await?["tasks"][0]["taskArn"].clone();
    let two = world.ecs("RunTask", input).await?["tasks"][0]["taskArn"].clone();
    assert_eq!(one, two);
    world.pass(45);
    let running = world.ecs("DescribeTasks", json!({ "cluster": "web", "tasks": [one] })).await?["tasks"][0].take();
    assert_eq!((&running["lastStatus"], &running["healthStatus"]), (&json!("RUNNING"), &json!("UNKNOWN")));
    assert_eq!(running["containers"][0]["imageDigest"], "sha256:0a1b");
    world.pass(100);
    let ended = world.ecs("DescribeTasks", json!({ "cluster": "web", "tasks": [one] })).await?["tasks"][0].take();
    assert_eq!((&ended["lastStatus"], &ended["containers"][0]["exitCode"]), (&json!("STOPPED"), &json!(0)));
    assert_eq!(world.counts(), (0, 0), "nobody replaces it");
    Ok(())
}

#[tokio::test]
async fn a_task_definition_keeps_fields_that_nobody_knows() -> Outcome {
    let world = web("desired-count = 0", "")?;
    let input = json!({
        "family": "odd", "memory": "512", "newTopLevel": { "a": [1, null, 2.5] },
        "containerDefinitions": [{ "name": "app", "image": "x", "newField": { "deep": true } }],
        "tags": [{ "key": "kiln:token", "value": "t" }],
        "revision": 77, "status": "INACTIVE",
    });
    let registered = world.ecs("RegisterTaskDefinition", input).await?;
    assert_eq!(registered["taskDefinition"]["revision"], 1);
    assert_eq!(registered["tags"], json!([{ "key": "kiln:token", "value": "t" }]));
    let input = json!({ "taskDefinition": "odd", "include": ["TAGS"] });
    let described = world.ecs("DescribeTaskDefinition", input).await?;
    assert_eq!(described["taskDefinition"]["newTopLevel"]["a"][2], 2.5);
    assert_eq!(described["taskDefinition"]["containerDefinitions"][0]["newField"], json!({ "deep": true }));
    assert_eq!(described["taskDefinition"]["status"], "ACTIVE");
    assert_eq!(described["tags"], registered["tags"]);
    Ok(())
}

#[tokio::test]
async fn chance_strikes_some_tasks_and_the_same_ones_each_time() -> Outcome {
    let mut outcomes = Vec::new();
    for _ in 0..2 {
        let behaviour = "[[task-behaviours]]\nimage = 'web:2'\nprobability = 0.5\nnever-starts = true";
        let world = web("desired-count = 8", behaviour)?;
        let arn = world.deploy("example.com/web:2", json!({})).await?;
        world.pass(900);
        assert_eq!(world.deployment(&arn).await?["status"], "SUCCESSFUL");
        outcomes.push(world.said().await?);
    }
    assert_eq!(outcomes.first(), outcomes.last());
    let rounds = outcomes.iter().flatten().filter(|said| said.contains("has started")).count();
    assert!(rounds > 2, "some failed and were started again");
    Ok(())
}
