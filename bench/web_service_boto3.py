"""The pipeline of web-service.toml as a Python script on boto3: the same calls in the same order, the same poll intervals.

usage: web_service_boto3.py ENDPOINT COMMIT

Each call is printed as `call SERVICE:OPERATION`, those of STS aside.
"""

import json
import sys
import time
from datetime import datetime, timedelta, timezone

import boto3
from botocore.config import Config

ENDPOINT, COMMIT = sys.argv[1:]
REGION = "us-west-2"
ROLE = "arn:aws:iam::111111111111:role/deployer"
BAKE = 0.001


def clients(session):
    def make(service):
        client = session.client(service, region_name=REGION, endpoint_url=ENDPOINT, config=Config(retries={"mode": "standard"}))
        if service != "sts":
            client.meta.events.register("before-call", count)
        return client

    return make


def count(model, **_):
    print(f"call {model.service_model.service_name}:{model.name}")


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
    manifest = ecr.batch_get_image(repositoryName="web", imageIds=[{"imageDigest": digest}])["images"][0]["imageManifest"]
    if "manifests" in json.loads(manifest):
        sys.exit("the image is an index")
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
    newest = ecs.describe_task_definition(taskDefinition=before["family"], include=["TAGS"])["taskDefinition"]
    if newest["revision"] > before["revision"]:
        print(f"{newest['taskDefinitionArn']} is newer than the revision that serves", file=sys.stderr)
    known = ecs.meta.service_model.operation_model("RegisterTaskDefinition").input_shape.members
    document = {field: value for field, value in before.items() if field in known}
    for container in document["containerDefinitions"]:
        if container["name"] == "app":
            container["image"] = image
    target = ecs.register_task_definition(**document)["taskDefinition"]["taskDefinitionArn"]
    listed = ecs.list_service_deployments(cluster="web", service="web")["serviceDeployments"]
    earlier = {deployment["serviceDeploymentArn"] for deployment in listed}
    ecs.update_service(cluster="web", service="web", taskDefinition=target)
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


def in_use(client):
    """Digests of images that something runs or may start: tasks, services, other task definitions, rules, schedules, functions."""
    ecs, events = client("ecs"), client("events")
    running = ecs.list_tasks(cluster="web", desiredStatus="RUNNING")["taskArns"]
    tasks = ecs.describe_tasks(cluster="web", tasks=running)["tasks"]
    used = {c.get("imageDigest") for task in tasks for c in task["containers"]}
    services = ecs.list_services(cluster="web")["serviceArns"]
    served = set()
    for service in ecs.describe_services(cluster="web", services=services)["services"]:
        served |= {service["taskDefinition"], *(deployment["taskDefinition"] for deployment in service["deployments"])}
    families = {name.rpartition(":")[0] for name in served}
    used |= images_of(ecs, served)
    active = ecs.list_task_definitions(status="ACTIVE", maxResults=100)["taskDefinitionArns"]
    newest = {name.rpartition(":")[0]: name for name in active}
    started = {name for family, name in newest.items() if family not in families}
    for bus in events.list_event_buses()["EventBuses"]:
        for rule in events.list_rules(EventBusName=bus["Name"])["Rules"]:
            targets = events.list_targets_by_rule(Rule=rule["Name"], EventBusName=bus["Name"])["Targets"]
            started |= {t["EcsParameters"]["TaskDefinitionArn"] for t in targets if "EcsParameters" in t}
    scheduler = client("scheduler")
    for schedule in scheduler.list_schedules()["Schedules"]:
        target = scheduler.get_schedule(Name=schedule["Name"], GroupName=schedule["GroupName"])["Target"]
        if "EcsParameters" in target:
            started.add(target["EcsParameters"]["TaskDefinitionArn"])
    used |= images_of(ecs, started - served)
    functions = client("lambda")
    for function in functions.list_functions(FunctionVersion="ALL")["Functions"]:
        if function.get("PackageType") == "Image":
            code = functions.get_function(FunctionName=function["FunctionName"], Qualifier=function["Version"])["Code"]
            used.add(code["ResolvedImageUri"].partition("@")[2])
    return used


def images_of(ecs, names):
    used = set()
    for name in sorted(names):
        definition = ecs.describe_task_definition(taskDefinition=name)["taskDefinition"]
        used |= {c["image"].partition("@")[2] for c in definition["containerDefinitions"]}
    return used


def cleanup(client, digest):
    ecr = client("ecr")
    ecr.describe_repositories(repositoryNames=["web"])
    pages = ecr.get_paginator("describe_images").paginate(repositoryName="web", PaginationConfig={"PageSize": 1000})
    images = [image for page in pages for image in page["imageDetails"]]
    limit = datetime.now(timezone.utc) - timedelta(days=30)
    newest = sorted(images, key=lambda image: image["imagePushedAt"], reverse=True)
    used = in_use(client) | {digest}
    doomed = [i for i in newest[10:] if i["imagePushedAt"] < limit and i["imageDigest"] not in used]
    # Those that go once more right before they do, as the plugin does: who gave one a tag meanwhile wants to keep it.
    ids = [{"imageDigest": image["imageDigest"]} for image in doomed]
    again = ecr.describe_images(repositoryName="web", imageIds=ids)["imageDetails"]
    tags = {image["imageDigest"]: image.get("imageTags") for image in doomed}
    ids = [{"imageDigest": i["imageDigest"]} for i in again if i.get("imageTags") == tags[i["imageDigest"]]]
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


main()
