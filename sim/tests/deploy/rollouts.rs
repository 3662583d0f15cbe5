//! Rolling deployments: to their end, failing, going back, stopped, superseded.

use serde_json::json;

use crate::world::{Outcome, web};

#[tokio::test]
async fn a_deployment_replaces_the_tasks_in_waves_and_succeeds() -> Outcome {
    let world = web("desired-count = 4\nmaximum-percent = 150", "")?;
    let before = world.service().await?["taskDefinition"].clone();
    let arn = world.deploy("example.com/web:2", json!({})).await?;

    let service = world.service().await?;
    assert_eq!(service["currentServiceDeployment"], json!(arn));
    let [primary, active] = service["deployments"].as_array().ok_or("deployments")?.as_slice() else {
        return Err("two deployments".into());
    };
    assert_eq!((&primary["status"], &primary["rolloutState"]), (&json!("PRIMARY"), &json!("IN_PROGRESS")));
    assert_eq!((&active["status"], &active["taskDefinition"]), (&json!("ACTIVE"), &before));
    assert_eq!(world.deployment(&arn).await?["status"], "PENDING");

    // Two of six may be new; they are provisioned, pulled and started, then checked.
    world.pass(3);
    assert_eq!(world.deployment(&arn).await?["status"], "IN_PROGRESS");
    assert_eq!(world.service().await?["pendingCount"], 2);
    world.pass(42);
    assert_eq!(world.service().await?["runningCount"], 6);
    assert_eq!(world.counts(), (6, 4), "they run, and are not healthy yet");
    world.pass(20);
    assert_eq!(world.counts(), (6, 4), "two old ones make room for the second wave");
    world.pass(60);
    assert_eq!(world.counts(), (4, 4));
    assert_eq!(world.deployment(&arn).await?["status"], "IN_PROGRESS", "the old ones drain");
    world.pass(40);

    let service = world.service().await?;
    let deployment = world.deployment(&arn).await?;
    assert_eq!(deployment["status"], "SUCCESSFUL");
    assert_eq!(deployment["targetServiceRevision"]["runningTaskCount"], 4);
    assert_eq!(service["deployments"].as_array().map(Vec::len), Some(1));
    assert_eq!(service["deployments"][0]["rolloutState"], "COMPLETED");
    assert!(service["currentServiceDeployment"].is_null());
    assert_eq!(
        world.said().await?,
        [
            "(service web) (deployment #1) deployment completed.",
            "(service web) has reached a steady state.",
            "(service web) has started 2 tasks: (task #2) (task #3).",
            "(service web) has stopped 1 running tasks: (task #4).",
            "(service web) has started 1 tasks: (task #5).",
            "(service web) has stopped 1 running tasks: (task #6).",
            "(service web) has started 1 tasks: (task #7).",
            "(service web) has stopped 1 running tasks: (task #8).",
            "(service web) has stopped 1 running tasks: (task #9).",
            "(service web) (deployment #10) deployment completed.",
            "(service web) has reached a steady state.",
        ]
    );
    let revision = deployment["targetServiceRevision"]["arn"].clone();
    let revisions = world.ecs("DescribeServiceRevisions", json!({ "serviceRevisionArns": [revision] })).await?;
    assert_eq!(revisions["serviceRevisions"][0]["taskDefinition"], service["taskDefinition"]);
    assert_eq!(revisions["serviceRevisions"][0]["containerImages"][0]["image"], "example.com/web:2");
    let stopped = world.tasks().into_iter().find(|task| task["phase"] == "STOPPED").ok_or("a stopped task")?;
    assert_eq!(stopped["stop-code"], "ServiceSchedulerInitiated");
    assert_eq!(stopped["containers"][0]["exit-code"], 0);
    Ok(())
}

const CRASHES: &str =
    "[[task-behaviours]]\nimage = 'web:2'\ncrash-after = '5s'\nexit-code = 3\nreason = 'OutOfMemoryError: killed'";

#[tokio::test]
async fn crashing_tasks_trip_the_circuit_breaker_and_the_service_goes_back() -> Outcome {
    let world = web("desired-count = 4\ncircuit-breaker = 'rollback'", CRASHES)?;
    let before = world.service().await?["taskDefinition"].clone();
    let arn = world.deploy("example.com/web:2", json!({})).await?;
    world.pass(50);
    let service = world.service().await?;
    assert_eq!(service["taskDefinition"], before, "all four crashed, and three are enough");
    let reason = service["deployments"][0]["rolloutStateReason"].as_str().ok_or("a reason")?;
    assert!(reason.starts_with("ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/"), "{reason}");
    assert_eq!(service["deployments"][1]["rolloutState"], "FAILED");
    assert_eq!(
        service["deployments"][1]["rolloutStateReason"],
        "ECS deployment circuit breaker: tasks failed to start."
    );
    let deployment = world.deployment(&arn).await?;
    assert_eq!(deployment["status"], "ROLLBACK_IN_PROGRESS");
    assert_eq!(
        deployment["deploymentCircuitBreaker"],
        json!({ "status": "TRIGGERED", "failureCount": 3, "threshold": 3 })
    );
    world.pass(60);
    let deployment = world.deployment(&arn).await?;
    assert_eq!(deployment["status"], "ROLLBACK_SUCCESSFUL");
    assert_eq!(
        deployment["rollback"]["reason"],
        "Service deployment rolled back because the circuit breaker threshold was exceeded."
    );
    let service = world.service().await?;
    assert_eq!((&service["taskDefinition"], &service["runningCount"]), (&before, &json!(4)));
    let said = world.said().await?.join("\n");
    assert!(said.contains("deployment failed: tasks failed to start.\n(service web) rolling back to deployment #1."));
    assert!(
        said.ends_with("(deployment #1) deployment completed.\n(service web) has reached a steady state."),
        "{said}"
    );

    let crashed = world.tasks().into_iter().find(|task| task["stop-code"] == "EssentialContainerExited");
    let crashed = crashed.ok_or("a task that crashed")?;
    assert_eq!(crashed["stopped-reason"], "Essential container in task exited");
    assert_eq!(crashed["containers"][0]["exit-code"], 3);
    assert_eq!(crashed["containers"][0]["reason"], "OutOfMemoryError: killed");
    assert_eq!(crashed["containers"][1]["exit-code"], 137, "the sidecar is killed");
    Ok(())
}

#[tokio::test]
async fn a_circuit_breaker_without_rollback_leaves_the_old_tasks_serving() -> Outcome {
    let world = web("desired-count = 2\ncircuit-breaker = 'stop'", CRASHES)?;
    let arn = world.deploy("example.com/web:2", json!({})).await?;
    world.pass(600);
    let deployment = world.deployment(&arn).await?;
    assert_eq!(deployment["status"], "STOPPED");
    assert!(deployment["rollback"].is_null() && deployment["stoppedAt"].is_number(), "{deployment}");
    let service = world.service().await?;
    assert_eq!(service["deployments"][0]["rolloutState"], "FAILED");
    assert_eq!(service["deployments"][1]["runningCount"], 2);
    assert_eq!(world.counts(), (2, 2));
    Ok(())
}

#[tokio::test]
async fn without_a_circuit_breaker_tasks_that_crash_start_ever_later() -> Outcome {
    let world = web("desired-count = 2", CRASHES)?;
    let arn = world.deploy("example.com/web:2", json!({})).await?;
    world.pass(3600);
    assert_eq!(world.deployment(&arn).await?["status"], "IN_PROGRESS");
    let service = world.service().await?;
    let failed = service["deployments"][0]["failedTasks"].as_u64().ok_or("a number")?;
    assert!((5..30).contains(&failed), "{failed} in an hour");
    assert!(world.said().await?.iter().any(|said| said.contains("is unable to consistently start tasks")));
    assert_eq!(world.counts().1, 2, "the old ones serve");
    Ok(())
}

#[tokio::test]
async fn images_that_cannot_be_pulled_and_health_checks_that_fail_count_as_failures() -> Outcome {
    let behaviours = "[[task-behaviours]]\nimage = 'web:2'\nnever-starts = true\n\
        [[task-behaviours]]\nimage = 'web:3'\nunhealthy = true";
    let world = web("desired-count = 3\ncircuit-breaker = 'rollback'", behaviours)?;
    for (image, code, reason) in [
        ("example.com/web:2", "TaskFailedToStart", "CannotPullContainerError: "),
        ("example.com/web:3", "ServiceSchedulerInitiated", "Task failed container health checks"),
    ] {
        let arn = world.deploy(image, json!({})).await?;
        world.pass(300);
        assert_eq!(world.deployment(&arn).await?["status"], "ROLLBACK_SUCCESSFUL", "{image}");
        let why = world.tasks().into_iter().filter(|task| task["stop-code"] == code);
        let why: Vec<String> = why.map(|task| task["stopped-reason"].as_str().unwrap_or_default().to_owned()).collect();
        assert!(why.iter().filter(|why| why.starts_with(reason)).count() >= 3, "{why:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_second_update_supersedes_the_first() -> Outcome {
    let world = web("desired-count = 2", "")?;
    let first = world.deploy("example.com/web:2", json!({})).await?;
    world.pass(30);
    let second = world.deploy("example.com/web:3", json!({})).await?;
    let stopped = world.deployment(&first).await?;
    assert_eq!(stopped["status"], "STOPPED");
    assert!(stopped["statusReason"].as_str().is_some_and(|reason| reason.contains("new service deployment")));
    assert_eq!(world.deployment(&second).await?["sourceServiceRevisions"].as_array().map(Vec::len), Some(2));
    world.pass(200);
    assert_eq!(world.deployment(&second).await?["status"], "SUCCESSFUL");
    assert_eq!(world.deployment(&first).await?["status"], "STOPPED");
    assert!(world.said().await?.contains(&"(service web) stopped 2 pending tasks.".to_owned()));
    let list = world.ecs("ListServiceDeployments", json!({ "cluster": "web", "service": "web" })).await?;
    let arns: Vec<_> =
        list["serviceDeployments"].as_array().into_iter().flatten().map(|d| &d["serviceDeploymentArn"]).collect();
    assert_eq!(arns.get(..2), Some(&[&json!(second), &json!(first)][..]), "newest first");
    Ok(())
}

#[tokio::test]
async fn a_deployment_that_is_stopped_goes_back_even_after_all_tasks_are_new() -> Outcome {
    for (bake, wait) in [(json!({}), 50), (json!({ "bakeTimeInMinutes": 10 }), 300)] {
        let world = web("desired-count = 2", "")?;
        let before = world.service().await?;
        let arn = world.deploy("example.com/web:2", bake).await?;
        world.pass(wait);
        let input = json!({ "serviceDeploymentArn": arn, "stopType": "ROLLBACK" });
        world.ecs("StopServiceDeployment", input.clone()).await?;
        assert_eq!(world.deployment(&arn).await?["status"], "ROLLBACK_REQUESTED");
        assert!(world.ecs("StopServiceDeployment", input).await.is_err_and(|e| e.to_string().contains("Conflict")));
        world.pass(200);
        let deployment = world.deployment(&arn).await?;
        assert_eq!(deployment["status"], "ROLLBACK_SUCCESSFUL");
        assert_eq!(deployment["rollback"]["serviceRevisionArn"], deployment["sourceServiceRevisions"][0]["arn"]);
        let after = world.service().await?;
        assert_eq!(after["taskDefinition"], before["taskDefinition"]);
        assert_eq!(after["deployments"][0]["id"], before["deployments"][0]["id"]);
        assert_eq!(after["deployments"][0]["rolloutState"], "COMPLETED");
        assert_eq!(world.counts(), (2, 2));
    }
    Ok(())
}

#[tokio::test]
async fn an_abort_stops_without_going_back() -> Outcome {
    let world = web("desired-count = 2", "")?;
    let arn = world.deploy("example.com/web:2", json!({})).await?;
    world.pass(10);
    world.ecs("StopServiceDeployment", json!({ "serviceDeploymentArn": arn, "stopType": "ABORT" })).await?;
    assert_eq!(world.deployment(&arn).await?["status"], "STOP_REQUESTED");
    world.pass(200);
    assert_eq!(world.deployment(&arn).await?["status"], "STOPPED");
    assert_eq!(world.service().await?["deployments"][0]["rolloutState"], "FAILED");
    Ok(())
}

#[tokio::test]
async fn a_bake_time_holds_the_end_of_a_deployment() -> Outcome {
    let world = web("desired-count = 1", "")?;
    let arn = world.deploy("example.com/web:2", json!({ "bakeTimeInMinutes": 5 })).await?;
    world.pass(120);
    let deployment = world.deployment(&arn).await?;
    assert_eq!((&deployment["status"], &deployment["lifecycleStage"]), (&json!("IN_PROGRESS"), &json!("BAKE_TIME")));
    world.pass(300);
    assert_eq!(world.deployment(&arn).await?["status"], "SUCCESSFUL");
    Ok(())
}

#[tokio::test]
async fn limits_that_allow_nothing_are_told_and_the_deployment_waits() -> Outcome {
    let world = web("desired-count = 1\nmaximum-percent = 150", "")?;
    let arn = world.deploy("example.com/web:2", json!({})).await?;
    world.pass(600);
    assert_eq!(world.deployment(&arn).await?["status"], "IN_PROGRESS");
    assert!(world.said().await?.last().is_some_and(|said| said.contains("was unable to stop or start tasks")));
    assert_eq!(world.counts(), (1, 1));
    Ok(())
}

#[tokio::test]
async fn a_configuration_alone_starts_no_deployment_and_scaling_neither() -> Outcome {
    let world = web("desired-count = 2", "")?;
    let input = json!({ "cluster": "web", "service": "web", "desiredCount": 3, "deploymentConfiguration": { "maximumPercent": 300 } });
    let service = world.ecs("UpdateService", input).await?["service"].take();
    assert!(service["currentServiceDeployment"].is_null());
    assert_eq!(service["deploymentConfiguration"]["maximumPercent"], 300);
    assert_eq!(service["deploymentConfiguration"]["minimumHealthyPercent"], 100, "what is not given stays");
    world.pass(100);
    assert_eq!(world.counts(), (3, 3));
    assert_eq!(world.said().await?.last().map(String::as_str), Some("(service web) has reached a steady state."));
    world.ecs("UpdateService", json!({ "cluster": "web", "service": "web", "forceNewDeployment": true })).await?;
    assert!(world.service().await?["currentServiceDeployment"].is_string());
    Ok(())
}

#[tokio::test]
async fn a_service_is_made_scaled_to_zero_and_deleted() -> Outcome {
    let world = web("desired-count = 1", "")?;
    let definition = world.register("example.com/api:1").await?;
    let input = json!({ "cluster": "web", "serviceName": "api", "taskDefinition": definition, "desiredCount": 2, "clientToken": "t",
        "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } } });
    let made = world.ecs("CreateService", input.clone()).await?;
    let again = world.ecs("CreateService", input).await?;
    assert_eq!(made["service"]["deployments"][0]["id"], again["service"]["deployments"][0]["id"]);
    world.pass(100);
    assert_eq!(world.counts(), (3, 3));
    let gone = json!({ "cluster": "web", "service": "api" });
    let refused = world.ecs("DeleteService", gone.clone()).await;
    assert!(refused.is_err_and(|error| error.to_string().contains("scaled above 0")));
    let forced = world.ecs("DeleteService", json!({ "cluster": "web", "service": "api", "force": true })).await?;
    assert_eq!(forced["service"]["status"], "DRAINING");
    world.pass(60);
    let found = world.ecs("DescribeServices", json!({ "cluster": "web", "services": ["api", "none"] })).await?;
    assert_eq!(found["services"][0]["status"], "INACTIVE");
    assert_eq!(found["failures"][0]["reason"], "MISSING");
    assert!(world.ecs("UpdateService", gone).await.is_err_and(|error| error.to_string().contains("ServiceNotActive")));
    Ok(())
}
