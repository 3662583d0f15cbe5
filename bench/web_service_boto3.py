"""The pipeline of web-service.toml as a Python script on boto3: the same calls in the same order, the same poll intervals.

usage: web_service_boto3.py ENDPOINT COMMIT

The last line printed is `calls N`: how many calls were made, those of STS aside.
"""

import sys
import time
from datetime import datetime, timedelta, timezone

import boto3
from botocore.config import Config

ENDPOINT, COMMIT = sys.argv[1:]
REGION = "us-west-2"
ROLE = "arn:aws:iam::111111111111:role/deployer"
BAKE = 0.001
calls = 0


def clients(session):
    def make(service):
        client = session.client(service, region_name=REGION, endpoint_url=ENDPOINT, config=Config(retries={"mode": "standard"}))
        if service != "sts":
            client.meta.events.register("before-call", count)
        return client

    return make


def count(**_):
    global calls
    calls += 1


def build(client):
    ecr, codebuild = client("ecr"), client("codebuild")
    repository = ecr.describe_repositories(repositoryNames=["web"])["repositories"][0]
    try:
        ecr.describe_images(repositoryName="web", imageIds=[{"imageTag": COMMIT}])
        sys.exit(f"the tag web:{COMMIT} exists already")
    except ecr.exceptions.ImageNotFoundException:
        pass
    uri = repository["repositoryUri"]
    started = codebuild.start_build(
        projectName="web-image",
        sourceVersion=COMMIT,
        environmentVariablesOverride=[
            {"name": "REGISTRY_TOKEN", "value": "prod/registry:token", "type": "SECRETS_MANAGER"},
            {"name": "IMAGE_URI", "value": f"{uri}:{COMMIT}", "type": "PLAINTEXT"},
            {"name": "IMAGE_REPO_NAME", "value": "web", "type": "PLAINTEXT"},
            {"name": "IMAGE_TAG", "value": COMMIT, "type": "PLAINTEXT"},
        ],
    )["build"]
    while True:
        found = codebuild.batch_get_builds(ids=[started["id"]])["builds"][0]
        if found["buildStatus"] != "IN_PROGRESS":
            break
        time.sleep(10)
    if found["buildStatus"] != "SUCCEEDED":
        sys.exit(f"the build ended as {found['buildStatus']}")
    digest = ecr.describe_images(repositoryName="web", imageIds=[{"imageTag": COMMIT}])["imageDetails"][0]["imageDigest"]
    tags = ecr.describe_images(repositoryName="web", imageIds=[{"imageDigest": digest}])["imageDetails"][0]["imageTags"]
    if COMMIT not in tags:
        sys.exit("the tag was moved")
    return f"{uri}@{digest}", digest


def scan(client, digest):
    ecr = client("ecr")
    ecr.batch_get_repository_scanning_configuration(repositoryNames=["web"])
    while True:
        found = ecr.describe_image_scan_findings(repositoryName="web", imageId={"imageDigest": digest})
        if found["imageScanStatus"]["status"] != "IN_PROGRESS":
            break
        time.sleep(10)
    counts = found["imageScanFindings"].get("findingSeverityCounts", {})
    if found["imageScanStatus"]["status"] != "COMPLETE" or counts.get("CRITICAL") or counts.get("HIGH"):
        sys.exit(f"the scan closes the gate: {found['imageScanStatus']} {counts}")


def deploy(client, image, digest):
    ecs, ecr = client("ecs"), client("ecr")
    service = ecs.describe_services(cluster="web", services=["web"])["services"][0]
    before = ecs.describe_task_definition(taskDefinition=service["taskDefinition"], include=["TAGS"])["taskDefinition"]
    known = ecs.meta.service_model.operation_model("RegisterTaskDefinition").input_shape.members
    document = {field: value for field, value in before.items() if field in known}
    for container in document["containerDefinitions"]:
        if container["name"] == "app":
            container["image"] = image
    target = ecs.register_task_definition(**document)["taskDefinition"]["taskDefinitionArn"]
    listed = ecs.list_service_deployments(cluster="web", service="web")["serviceDeployments"]
    earlier = {deployment["serviceDeploymentArn"] for deployment in listed}
    ecs.update_service(
        cluster="web",
        service="web",
        taskDefinition=target,
        deploymentConfiguration={"deploymentCircuitBreaker": {"enable": True, "rollback": True}},
    )
    ecr.batch_get_image(repositoryName="web", imageIds=[{"imageDigest": digest}])
    followed = None
    while True:
        service = ecs.describe_services(cluster="web", services=["web"])["services"][0]
        if followed is None:
            listed = ecs.list_service_deployments(cluster="web", service="web")["serviceDeployments"]
            new = [deployment for deployment in listed if deployment["serviceDeploymentArn"] not in earlier]
            revisions = ecs.describe_service_revisions(serviceRevisionArns=[new[0]["targetServiceRevisionArn"]])
            if revisions["serviceRevisions"][0]["taskDefinition"] == target:
                followed = new[0]["serviceDeploymentArn"]
        deployment = ecs.describe_service_deployments(serviceDeploymentArns=[followed])["serviceDeployments"][0]
        if deployment["status"] == "SUCCESSFUL" and service["deployments"][0]["rolloutState"] == "COMPLETED":
            break
        if deployment["status"] not in ("PENDING", "IN_PROGRESS", "SUCCESSFUL"):
            sys.exit(f"the deployment ended as {deployment['status']}")
        time.sleep(10)
    arns = ecs.list_tasks(cluster="web", serviceName="web", desiredStatus="RUNNING")["taskArns"]
    tasks = ecs.describe_tasks(cluster="web", tasks=arns)["tasks"]
    running = {c["imageDigest"] for task in tasks for c in task["containers"] if c["name"] == "app"}
    if running != {digest}:
        sys.exit(f"tasks run {running}")


def verify(client):
    cloudwatch = client("cloudwatch")
    began = time.monotonic()
    while True:
        alarms = cloudwatch.describe_alarms(AlarmNames=["web-5xx"], AlarmTypes=["MetricAlarm", "CompositeAlarm"])
        alarm = alarms["MetricAlarms"][0]
        if alarm["StateValue"] != "OK":
            sys.exit(f"the alarm is in {alarm['StateValue']}")
        if time.monotonic() - began >= BAKE:
            return
        time.sleep(15)


def contents(ecr):
    ecr.describe_repositories(repositoryNames=["web"])
    pages = ecr.get_paginator("describe_images").paginate(repositoryName="web", PaginationConfig={"PageSize": 1000})
    return [image for page in pages for image in page["imageDetails"]]


def in_use(ecs):
    tasks = ecs.describe_tasks(cluster="web", tasks=ecs.list_tasks(cluster="web")["taskArns"])["tasks"]
    used = {c.get("imageDigest") for task in tasks for c in task["containers"]}
    services = ecs.list_services(cluster="web")["serviceArns"]
    for service in ecs.describe_services(cluster="web", services=services)["services"]:
        for name in {service["taskDefinition"], *(deployment["taskDefinition"] for deployment in service["deployments"])}:
            definition = ecs.describe_task_definition(taskDefinition=name, include=["TAGS"])["taskDefinition"]
            used |= {c["image"].partition("@")[2] for c in definition["containerDefinitions"]}
    return used


def cleanup(client, digest):
    ecr, ecs = client("ecr"), client("ecs")
    images = contents(ecr)
    limit = datetime.now(timezone.utc) - timedelta(days=30)
    newest = sorted(images, key=lambda image: image["imagePushedAt"], reverse=True)
    used = in_use(ecs) | {digest}
    doomed = [i for i in newest[10:] if i["imagePushedAt"] < limit and i["imageDigest"] not in used]
    # Once more right before they go, as the plugin does.
    contents(ecr)
    used = in_use(ecs) | {digest}
    ids = [{"imageDigest": image["imageDigest"]} for image in doomed if image["imageDigest"] not in used]
    deleted = ecr.batch_delete_image(repositoryName="web", imageIds=ids)
    if deleted["failures"]:
        sys.exit(f"not deleted: {deleted['failures']}")


def main():
    session = boto3.Session()
    own = clients(session)
    own("sts").get_caller_identity()
    own("secretsmanager").get_secret_value(SecretId="prod/registry")
    image, digest = build(own)
    scan(own, digest)
    assumed = own("sts").assume_role(RoleArn=ROLE, RoleSessionName="script")["Credentials"]
    production = clients(
        boto3.Session(assumed["AccessKeyId"], assumed["SecretAccessKey"], assumed["SessionToken"], region_name=REGION)
    )
    deploy(production, image, digest)
    verify(production)
    cleanup(production, digest)
    print(f"calls {calls}")


main()
