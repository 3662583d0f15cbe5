"""The pipeline of pipelines/web-service.toml, walked by hand with boto3 against `kiln sim`.

Usage: walk.py URL COMMIT. It waits in real time, for moments: the simulator's clock is to be a fast one.
"""

import json
import os
import sys
import time
import urllib.request

for name in list(os.environ):
    if name.startswith("AWS_"):
        del os.environ[name]
os.environ.update(AWS_EC2_METADATA_DISABLED="true", AWS_CONFIG_FILE="/dev/null", AWS_SHARED_CREDENTIALS_FILE="/dev/null")

import boto3  # noqa: E402
from botocore.config import Config  # noqa: E402

OWN = ("taskDefinitionArn", "revision", "status", "requiresAttributes", "compatibilities", "registeredAt", "registeredBy")


def main(url, commit):
    runner = session(url, "test", "test")
    image = build(runner, commit)
    scan(runner, image)
    role = runner("sts").assume_role(RoleArn="arn:aws:iam::111111111111:role/deployer", RoleSessionName="walk")
    keys = role["Credentials"]
    deployer = session(url, keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
    deploy(deployer, image)
    verify(deployer, url)
    clean_up(deployer, url)
    print("done")


def session(url, key, secret, token=None):
    """A function that makes clients."""
    own = boto3.Session(key, secret, token, region_name="us-west-2")
    config = Config(retries={"total_max_attempts": 1})
    return lambda service: own.client(service, endpoint_url=url, config=config)


def settled(ask, waiting, timeout=120):
    end = time.monotonic() + timeout
    while (answer := ask()) in waiting:
        assert time.monotonic() < end, f"it did not settle: {answer}"
        time.sleep(0.05)
    return answer


def now(url):
    with urllib.request.urlopen(f"{url}/_kiln/clock") as answer:
        return json.load(answer)["now-milliseconds"] / 1000


def build(aws, commit):
    ecr, codebuild = aws("ecr"), aws("codebuild")
    uri = ecr.describe_repositories(repositoryNames=["web"])["repositories"][0]["repositoryUri"]
    variables = [
        {"name": "IMAGE_REPO_NAME", "value": "web"},
        {"name": "IMAGE_TAG", "value": commit},
        {"name": "IMAGE_URI", "value": f"{uri}:{commit}"},
        {"name": "REGISTRY_TOKEN", "value": "prod/registry:token", "type": "SECRETS_MANAGER"},
    ]
    asked = dict(
        projectName="web-image",
        sourceVersion=commit,
        idempotencyToken=f"walk-{commit}",
        environmentVariablesOverride=variables,
    )
    one = codebuild.start_build(**asked)["build"]["id"]
    # Sent twice, built once.
    assert codebuild.start_build(**asked)["build"]["id"] == one
    status = settled(lambda: codebuild.batch_get_builds(ids=[one])["builds"][0]["buildStatus"], ["IN_PROGRESS"])
    assert status == "SUCCEEDED", status
    found = ecr.describe_images(repositoryName="web", imageIds=[{"imageTag": commit}])["imageDetails"][0]
    return f"{uri}@{found['imageDigest']}"


def scan(aws, image):
    ecr = aws("ecr")
    asked = dict(repositoryName="web", imageId={"imageDigest": image.split("@")[1]})
    look = lambda: ecr.describe_image_scan_findings(**asked)["imageScanStatus"]["status"]  # noqa: E731
    assert settled(look, ["PENDING", "IN_PROGRESS"]) == "COMPLETE"
    pages = ecr.get_paginator("describe_image_scan_findings").paginate(**asked)
    findings = [finding for page in pages for finding in page["imageScanFindings"]["findings"]]
    assert findings and not [finding for finding in findings if finding["severity"] in ("HIGH", "CRITICAL")], findings


def deploy(aws, image):
    ecs = aws("ecs")
    service = lambda: ecs.describe_services(cluster="web", services=["web"])["services"][0]  # noqa: E731
    serving = ecs.describe_task_definition(taskDefinition=service()["taskDefinition"])["taskDefinition"]
    definition = {name: value for name, value in serving.items() if name not in OWN}
    for container in definition["containerDefinitions"]:
        if container["name"] == "app":
            container["image"] = image
    revision = ecs.register_task_definition(**definition)["taskDefinition"]["taskDefinitionArn"]
    ecs.update_service(cluster="web", service="web", taskDefinition=revision)

    def status():
        found = ecs.list_service_deployments(cluster="web", service="web")["serviceDeployments"]
        return found[0]["status"] if found else None

    assert settled(status, [None, "PENDING", "IN_PROGRESS"]) == "SUCCESSFUL"
    assert service()["taskDefinition"] == revision


def verify(aws, url):
    """Ten minutes without an alarm."""
    cloudwatch, began = aws("cloudwatch"), now(url)
    while now(url) - began < 600:
        state = cloudwatch.describe_alarms(AlarmNames=["web-5xx"])["MetricAlarms"][0]["StateValue"]
        assert state == "OK", state
        time.sleep(0.05)


def clean_up(aws, url):
    """What is tagged, beyond the ten newest and older than thirty days, and not in use."""
    ecr, ecs = aws("ecr"), aws("ecs")
    tasks = ecs.describe_tasks(cluster="web", tasks=ecs.list_tasks(cluster="web")["taskArns"])["tasks"]
    used = {container.get("imageDigest") for task in tasks for container in task["containers"]}
    pages = ecr.get_paginator("describe_images").paginate(repositoryName="web")
    images = [image for page in pages for image in page["imageDetails"] if image.get("imageTags")]
    images.sort(key=lambda image: image["imagePushedAt"], reverse=True)
    oldest = now(url) - 30 * 86400
    old = [image["imageDigest"] for image in images[10:] if image["imagePushedAt"].timestamp() < oldest]
    ids = [{"imageDigest": digest} for digest in old if digest not in used]
    assert ecr.batch_delete_image(repositoryName="web", imageIds=ids)["failures"] == []


if __name__ == "__main__":
    main(*sys.argv[1:])
