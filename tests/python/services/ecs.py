"""ECS. The world's clock runs fast: whole deployments pass while the script waits."""


def drive(aws):
    ecs = aws.client("ecs")
    clusters(aws, ecs)
    definitions(aws, ecs)
    registrations(aws, ecs)
    tasks(aws, ecs)
    on_fargate(aws, ecs)
    services(aws, ecs)
    deployments(aws, ecs)


def container(image="example.com/api:1", **more):
    return {"name": "app", "image": image, "memory": 64, **more}


def register(ecs, image, family="coverage", **more):
    answer = ecs.register_task_definition(family=family, containerDefinitions=[container(image)], **more)
    return answer["taskDefinition"]["taskDefinitionArn"]


def clusters(aws, ecs):
    made = ecs.create_cluster(clusterName="coverage", tags=[{"key": "team", "value": "a"}])["cluster"]
    assert made["status"] == "ACTIVE" and made["clusterArn"].endswith(":cluster/coverage"), made
    ecs.create_cluster(clusterName="coverage")
    assert len(aws.effects("ecs:CreateCluster")) == 1, "the same cluster again is no effect"
    found = ecs.describe_clusters(clusters=["coverage", "absent"], include=["TAGS"])
    assert found["clusters"][0]["tags"] == [{"key": "team", "value": "a"}], found
    assert found["failures"][0]["reason"] == "MISSING", found
    first = ecs.list_clusters(maxResults=1)
    rest = ecs.list_clusters(nextToken=first["nextToken"])
    assert first["clusterArns"] + rest["clusterArns"] == ecs.list_clusters()["clusterArns"]

    arn = made["clusterArn"]
    ecs.tag_resource(resourceArn=arn, tags=[{"key": "stage", "value": "test"}])
    ecs.untag_resource(resourceArn=arn, tagKeys=["team"])
    assert ecs.list_tags_for_resource(resourceArn=arn)["tags"] == [{"key": "stage", "value": "test"}]
    absent = arn.replace("coverage", "absent")
    aws.refused("ClusterNotFoundException", ecs.list_tags_for_resource, resourceArn=absent)
    absent = absent.replace("cluster/", "service/web/")
    aws.refused("InvalidParameterException", ecs.list_tags_for_resource, resourceArn=absent)
    aws.refused("ResourceNotFoundException", ecs.tag_resource, resourceArn=absent, tags=[{"key": "a", "value": "b"}])
    aws.refused("ResourceNotFoundException", ecs.untag_resource, resourceArn=absent, tagKeys=["a"])
    many = [{"key": str(number), "value": ""} for number in range(50)]
    aws.refused("LimitExceededException", ecs.tag_resource, resourceArn=arn, tags=many)
    aws.refused("ClusterContainsServicesException", ecs.delete_cluster, cluster="web")
    aws.refused("ClusterNotFoundException", ecs.delete_cluster, cluster="absent")


def definitions(aws, ecs):
    answer = ecs.register_task_definition(
        family="coverage", containerDefinitions=[container(ulimits=[{"name": "nofile", "softLimit": 9, "hardLimit": 9}])],
        tags=[{"key": "kiln:token", "value": "t"}],
    )
    definition = answer["taskDefinition"]
    assert definition["containerDefinitions"][0]["ulimits"][0]["softLimit"] == 9, definition
    assert definition["revision"] == 1 and definition["status"] == "ACTIVE", definition
    assert answer["tags"] == [{"key": "kiln:token", "value": "t"}], answer
    described = ecs.describe_task_definition(taskDefinition="coverage", include=["TAGS"])
    assert described["taskDefinition"] == definition and described["tags"] == answer["tags"], described
    second = register(ecs, "example.com/api:2")
    assert second.endswith(":task-definition/coverage:2"), second
    assert ecs.list_task_definitions(familyPrefix="coverage", sort="DESC")["taskDefinitionArns"][0] == second
    assert "coverage" in ecs.list_task_definition_families(status="ACTIVE")["families"]
    gone = ecs.deregister_task_definition(taskDefinition=second)["taskDefinition"]
    assert gone["status"] == "INACTIVE" and gone["deregisteredAt"], gone
    assert ecs.list_task_definitions(familyPrefix="coverage", status="INACTIVE")["taskDefinitionArns"] == [second]
    aws.refused("ClientException", ecs.describe_task_definition, taskDefinition="absent")
    aws.refused("ClientException", ecs.register_task_definition, family="x", containerDefinitions=[])
    aws.refused("ClientException", ecs.register_task_definition, family="x y", containerDefinitions=[container()])
    words = aws.refused(
        "ClientException", ecs.register_task_definition, family="x",
        containerDefinitions=[{"name": "app", "image": "x"}],
    )
    assert "At least one of 'memory' or 'memoryReservation'" in words, words


FARGATE = dict(family="sized", requiresCompatibilities=["FARGATE"], networkMode="awsvpc", cpu="256", memory="512")
NETWORK = {"awsvpcConfiguration": {"subnets": ["subnet-1"], "securityGroups": ["sg-1"]}}


def registrations(aws, ecs):
    """What ECS refuses to register, and what it fills in."""
    def refused(words, **changes):
        message = aws.refused("ClientException", ecs.register_task_definition, **{
            **FARGATE, "containerDefinitions": [container()], **changes,
        })
        assert words in message, message

    refused("No Fargate configuration exists for given values: 256 CPU, 4096 memory", memory="4096")
    refused("Fargate only supports network mode 'awsvpc'", networkMode="bridge")
    ours = f"{aws.account}.dkr.ecr.{aws.region}.amazonaws.com/planted:v1"
    refused("execution role ARN to support ECR images", containerDefinitions=[container(ours)])
    logs = {"logDriver": "awslogs", "options": {"awslogs-group": "a", "awslogs-region": "b"}}
    refused("to support log driver awslogs", containerDefinitions=[container(logConfiguration=logs)])
    refused("container secrets", containerDefinitions=[container(secrets=[{"name": "A", "valueFrom": "a"}])])
    refused("do not support privileged", containerDefinitions=[container(privileged=True)])
    refused("sourcePath", volumes=[{"name": "data", "host": {"sourcePath": "/data"}}])
    refused("Unknown volume 'data'", containerDefinitions=[
        container(mountPoints=[{"sourceVolume": "data", "containerPath": "/data"}]),
    ])
    refused("Unknown container 'other'", containerDefinitions=[
        container(dependsOn=[{"containerName": "other", "condition": "START"}]),
    ])
    refused("at least 6 MiB", containerDefinitions=[{**container(), "memory": 4}])
    answer = ecs.register_task_definition(
        **{**FARGATE, "cpu": ".25 vCPU", "memory": "1GB"},
        containerDefinitions=[container(portMappings=[{"containerPort": 80}])],
    )["taskDefinition"]
    assert answer["compatibilities"] == ["EC2", "FARGATE"] and answer["cpu"] == "256" and answer["memory"] == "1024", answer
    ports = answer["containerDefinitions"][0]["portMappings"]
    assert ports == [{"containerPort": 80, "hostPort": 80, "protocol": "tcp"}], ports


def on_fargate(aws, ecs):
    """What a task on Fargate shows of its machine and network, and how capacity providers are chosen."""
    asked = dict(cluster="coverage", taskDefinition="sized", networkConfiguration=NETWORK)
    aws.refused("InvalidParameterException", ecs.run_task, **asked, launchType="FARGATE", capacityProviderStrategy=[
        {"capacityProvider": "FARGATE_SPOT", "weight": 1},
    ])
    aws.refused("InvalidParameterException", ecs.run_task, **asked, capacityProviderStrategy=[
        {"capacityProvider": "nobodys", "weight": 1},
    ])
    aws.refused("InvalidParameterException", ecs.run_task, **asked, launchType="FARGATE", referenceId="nobody-does-this")
    aws.refused("InvalidParameterException", ecs.run_task, **{**asked, "taskDefinition": "coverage"}, launchType="FARGATE")
    task = ecs.run_task(
        **asked, launchType="FARGATE", enableExecuteCommand=True, enableECSManagedTags=True,
    )["tasks"][0]
    assert task["platformVersion"] == "1.4.0" and task["platformFamily"] == "Linux", task
    assert task["attachments"][0]["status"] == "PRECREATED" and task["enableExecuteCommand"] is True, task
    assert {"key": "aws:ecs:clusterName", "value": "coverage"} in task["tags"], task

    def found():
        return ecs.describe_tasks(cluster="coverage", tasks=[task["taskArn"]])["tasks"][0]

    aws.until(lambda: found()["lastStatus"] == "RUNNING")
    attachment = found()["attachments"][0]
    details = {detail["name"]: detail["value"] for detail in attachment["details"]}
    assert attachment["type"] == "ElasticNetworkInterface" and attachment["status"] == "ATTACHED", attachment
    assert details["subnetId"] == "subnet-1" and details["networkInterfaceId"].startswith("eni-"), details
    interface = found()["containers"][0]["networkInterfaces"][0]
    assert interface == {"attachmentId": attachment["id"], "privateIpv4Address": details["privateIPv4Address"]}, interface

    spot = dict(cluster="coverage", serviceName="spot", taskDefinition="sized", networkConfiguration=NETWORK)
    made = ecs.create_service(**spot, launchType="FARGATE", desiredCount=1)["service"]
    assert made["platformVersion"] == "LATEST" and made["platformFamily"] == "Linux", made
    assert made["deployments"][0]["platformVersion"] == "1.4.0", made
    strategy = [{"capacityProvider": "FARGATE_SPOT", "weight": 1, "base": 0}]
    changed = ecs.update_service(cluster="coverage", service="spot", capacityProviderStrategy=strategy)["service"]
    assert changed["deployments"][0]["id"] == made["deployments"][0]["id"], "a strategy's change starts no deployment"
    assert "launchType" not in changed and changed["capacityProviderStrategy"] == strategy, changed
    ecs.update_service(cluster="coverage", service="spot", desiredCount=2)

    def providers():
        arns = ecs.list_tasks(cluster="coverage", serviceName="spot")["taskArns"]
        tasks = ecs.describe_tasks(cluster="coverage", tasks=arns)["tasks"] if arns else []
        return sorted(task.get("capacityProviderName", "") for task in tasks)

    aws.until(lambda: providers() == ["", "FARGATE_SPOT"])
    aws.refused("InvalidParameterException", ecs.create_service, **{**spot, "serviceName": "other"}, role="nobody-reads-this")
    ecs.delete_service(cluster="coverage", service="spot", force=True)
    ecs.stop_task(cluster="coverage", task=task["taskArn"])


def tasks(aws, ecs):
    definition = register(ecs, "example.com/api:3")
    asked = dict(cluster="coverage", taskDefinition=definition, count=2, startedBy="coverage", clientToken="coverage-1")
    ran = ecs.run_task(**asked)["tasks"]
    again = ecs.run_task(**asked)["tasks"]
    arns = [task["taskArn"] for task in ran]
    assert [task["taskArn"] for task in again] == arns and len(aws.effects("ecs:RunTask")) == 1
    aws.refused("ConflictException", ecs.run_task, **{**asked, "count": 1})

    def described():
        return ecs.describe_tasks(cluster="coverage", tasks=arns)["tasks"]

    aws.until(lambda: all(task["lastStatus"] == "RUNNING" for task in described()))
    assert described()[0]["containers"][0]["imageDigest"].startswith("sha256:"), described()
    listed = ecs.list_tasks(cluster="coverage", family="coverage", startedBy="coverage")["taskArns"]
    assert sorted(listed) == sorted(arns), listed
    for arn in arns:
        ecs.stop_task(cluster="coverage", task=arn, reason="enough")
    aws.until(lambda: all(task["lastStatus"] == "STOPPED" for task in described()))
    task = described()[0]
    assert (task["stopCode"], task["stoppedReason"]) == ("UserInitiated", "enough"), task
    assert ecs.list_tasks(cluster="coverage")["taskArns"] == []
    assert sorted(ecs.list_tasks(cluster="coverage", desiredStatus="STOPPED")["taskArns"]) == sorted(arns)
    assert ecs.describe_tasks(cluster="coverage", tasks=["absent"])["failures"][0]["reason"] == "MISSING"
    aws.refused("InvalidParameterException", ecs.stop_task, cluster="coverage", task="absent")

    crashing = ecs.run_task(cluster="coverage", taskDefinition=register(ecs, "example.com/crashing:1"))["tasks"][0]["taskArn"]
    unstartable = ecs.run_task(cluster="coverage", taskDefinition=register(ecs, "example.com/unstartable:1"))["tasks"][0]["taskArn"]
    absent = f"{aws.account}.dkr.ecr.{aws.region}.amazonaws.com/planted:absent"
    unpullable = ecs.run_task(cluster="coverage", taskDefinition=register(ecs, absent))["tasks"][0]["taskArn"]

    def ended(arn):
        task = ecs.describe_tasks(cluster="coverage", tasks=[arn])["tasks"][0]
        return task if task["lastStatus"] == "STOPPED" else None

    task = aws.until(lambda: ended(crashing))
    assert task["stopCode"] == "EssentialContainerExited" and task["containers"][0]["exitCode"] == 3, task
    assert task["containers"][0]["reason"].startswith("OutOfMemoryError"), task
    for arn in (unstartable, unpullable):
        task = aws.until(lambda: ended(arn))
        assert task["stopCode"] == "TaskFailedToStart", task
        assert task["stoppedReason"].startswith("CannotPullContainerError: "), task


def services(aws, ecs):
    definition = register(ecs, "example.com/api:4")
    asked = dict(
        cluster="coverage", serviceName="api", taskDefinition=definition, desiredCount=1, clientToken="coverage-1",
        loadBalancers=[{"targetGroupArn": "arn:tg", "containerName": "app", "containerPort": 80}],
    )
    made = ecs.create_service(**asked)["service"]
    assert made["deployments"][0]["status"] == "PRIMARY" and made["loadBalancers"][0]["targetGroupArn"] == "arn:tg", made
    assert ecs.create_service(**asked)["service"]["deployments"][0]["id"] == made["deployments"][0]["id"]
    aws.refused("InvalidParameterException", ecs.create_service, **{**asked, "clientToken": "coverage-2"})
    aws.refused("ClientException", ecs.create_service, cluster="coverage", serviceName="b", taskDefinition="absent")

    def described():
        return ecs.describe_services(cluster="coverage", services=["api"], include=["TAGS"])["services"][0]

    aws.until(lambda: described()["deployments"][0].get("rolloutState") == "COMPLETED")
    assert described()["events"][0]["message"] == "(service api) has reached a steady state.", described()
    assert described()["runningCount"] == 1 and "currentServiceDeployment" not in described(), described()
    assert ecs.list_services(cluster="coverage")["serviceArns"] == [made["serviceArn"]]
    assert ecs.describe_services(cluster="coverage", services=["absent"])["failures"][0]["reason"] == "MISSING"
    aws.refused("InvalidParameterException", ecs.delete_service, cluster="coverage", service="api")
    aws.refused("ServiceNotFoundException", ecs.update_service, cluster="coverage", service="absent")
    aws.refused(
        "InvalidParameterException", ecs.update_service, cluster="coverage", service="api",
        deploymentConfiguration={"minimumHealthyPercent": 100, "maximumPercent": 100},
    )
    assert ecs.update_service(cluster="coverage", service="api", desiredCount=0)["service"]["desiredCount"] == 0
    aws.until(lambda: described()["runningCount"] == 0)
    ecs.delete_service(cluster="coverage", service="api")
    aws.until(lambda: described()["status"] == "INACTIVE")
    aws.until(lambda: ecs.delete_cluster(cluster="coverage")["cluster"]["status"] == "INACTIVE")


def deployments(aws, ecs):
    def service():
        return ecs.describe_services(cluster="web", services=["web"])["services"][0]

    def deployment(arn):
        return ecs.describe_service_deployments(serviceDeploymentArns=[arn])["serviceDeployments"][0]

    def deploy(image, **configuration):
        containers = [container(image, healthCheck={"command": ["CMD", "true"]})]
        definition = ecs.register_task_definition(
            family="web", containerDefinitions=containers, requiresCompatibilities=["FARGATE"], networkMode="awsvpc",
            cpu="256", memory="0.5 GB",
        )["taskDefinition"]
        answer = ecs.update_service(
            cluster="web", service="web", taskDefinition=definition["taskDefinitionArn"],
            deploymentConfiguration={"deploymentCircuitBreaker": {"enable": True, "rollback": True}, **configuration},
        )
        return answer["service"]["currentServiceDeployment"]

    before = service()
    assert before["runningCount"] == 2 and before["status"] == "ACTIVE", before
    definition = ecs.describe_task_definition(taskDefinition=before["taskDefinition"])["taskDefinition"]
    image = definition["containerDefinitions"][0]["image"]
    assert image.startswith(f"{aws.account}.dkr.ecr.{aws.region}.amazonaws.com/planted@sha256:"), image

    arn = deploy("example.com/web:2")
    aws.until(lambda: deployment(arn)["status"] == "SUCCESSFUL")
    done = deployment(arn)
    assert done["targetServiceRevision"]["runningTaskCount"] == 2, done
    assert done["deploymentCircuitBreaker"] == {"status": "MONITORING_COMPLETE", "failureCount": 0, "threshold": 3}, done
    revision = done["targetServiceRevision"]["arn"]
    found = ecs.describe_service_revisions(serviceRevisionArns=[revision, revision + "0"])
    assert found["serviceRevisions"][0]["taskDefinition"] == service()["taskDefinition"], found
    assert found["serviceRevisions"][0]["containerImages"][0]["imageDigest"].startswith("sha256:"), found
    assert found["failures"][0]["reason"] == "MISSING", found
    serving = service()["taskDefinition"]

    # The planted script sets the alarm off after the second deployment began.
    guard = {"alarms": {"alarmNames": ["web-5xx"], "enable": True, "rollback": True}}
    arn = deploy("example.com/web:3", **guard)
    aws.until(lambda: deployment(arn)["status"] == "ROLLBACK_SUCCESSFUL")
    assert deployment(arn)["alarms"]["triggeredAlarmNames"] == ["web-5xx"], deployment(arn)
    assert service()["taskDefinition"] == serving

    off = {"alarms": {"alarmNames": [], "enable": False, "rollback": False}}
    for image in ("example.com/crashing:2", "example.com/unstartable:2", "example.com/ill:2"):
        arn = deploy(image, **off)
        aws.until(lambda: deployment(arn)["status"] == "ROLLBACK_SUCCESSFUL")
        failed = deployment(arn)
        assert failed["deploymentCircuitBreaker"]["status"] == "TRIGGERED", failed
        assert failed["rollback"]["reason"].endswith("the circuit breaker threshold was exceeded."), failed
        assert service()["taskDefinition"] == serving

    arn = deploy("example.com/web:4", bakeTimeInMinutes=60)
    aws.until(lambda: deployment(arn).get("lifecycleStage") == "BAKE_TIME")
    assert service()["currentServiceDeployment"] == arn
    ecs.stop_service_deployment(serviceDeploymentArn=arn, stopType="ROLLBACK")
    aws.until(lambda: deployment(arn)["status"] == "ROLLBACK_SUCCESSFUL")
    aws.refused("ConflictException", ecs.stop_service_deployment, serviceDeploymentArn=arn)
    aws.refused("ServiceDeploymentNotFoundException", ecs.stop_service_deployment, serviceDeploymentArn=arn + "0")

    listed = ecs.list_service_deployments(cluster="web", service="web", status=["ROLLBACK_SUCCESSFUL"])["serviceDeployments"]
    assert listed[0]["serviceDeploymentArn"] == arn and len(listed) == 5, listed
