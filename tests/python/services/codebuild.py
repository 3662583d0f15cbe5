"""CodeBuild."""

COMMIT = "0123456789abcdef0123456789abcdef01234567"
PHASES = [
    "SUBMITTED", "QUEUED", "PROVISIONING", "DOWNLOAD_SOURCE", "INSTALL", "PRE_BUILD", "BUILD", "POST_BUILD",
    "UPLOAD_ARTIFACTS", "FINALIZING", "COMPLETED",
]


def drive(aws):
    codebuild = aws.client("codebuild")
    projects(aws, codebuild)
    succeeding(aws, codebuild)
    failing(aws, codebuild)
    stopping(aws, codebuild)


def projects(aws, codebuild):
    environment = {"type": "LINUX_CONTAINER", "image": "aws/codebuild/standard:7.0", "computeType": "BUILD_GENERAL1_SMALL"}
    made = codebuild.create_project(
        name="made",
        source={"type": "NO_SOURCE", "buildspec": "version: 0.2"},
        artifacts={"type": "NO_ARTIFACTS"},
        environment=environment,
        serviceRole=f"arn:aws:iam::{aws.account}:role/builder",
        tags=[{"key": "team", "value": "web"}],
    )["project"]
    assert made["timeoutInMinutes"] == 60 and made["cache"]["type"] == "NO_CACHE", made
    words = aws.refused(
        "ResourceAlreadyExistsException", codebuild.create_project, name="made", source={"type": "NO_SOURCE"},
        artifacts={"type": "NO_ARTIFACTS"}, environment=environment, serviceRole="r",
    )
    assert words == f"Project already exists: {made['arn']}", words
    aws.refused("InvalidInputException", codebuild.create_project, name="m")
    aws.refused("InvalidInputException", codebuild.update_project, name="made", timeoutInMinutes=4)
    updated = codebuild.update_project(name="made", timeoutInMinutes=5, description="changed")["project"]
    assert updated["timeoutInMinutes"] == 5 and updated["source"] == made["source"], updated
    found = codebuild.batch_get_projects(names=["made", "absent", made["arn"]])
    assert [project["description"] for project in found["projects"]] == ["changed"] * 2, found
    assert found["projectsNotFound"] == ["absent"], found
    assert codebuild.list_projects(sortOrder="DESCENDING")["projects"] == ["web-image", "slow", "made", "broken"]
    words = aws.refused("ResourceNotFoundException", codebuild.start_build, projectName="absent")
    assert words.startswith("Project cannot be found: arn:aws:codebuild:"), words


def ended(codebuild, id):
    build = codebuild.batch_get_builds(ids=[id])["builds"][0]
    return build if build["buildComplete"] else None


def messages(aws, build):
    where = {"logGroupName": build["logs"]["groupName"], "logStreamName": build["logs"]["streamName"]}
    events = aws.client("logs").get_log_events(**where, startFromHead=True)["events"]
    return [event["message"] for event in events]


def variables(tag, **more):
    plain = {"IMAGE_REPO_NAME": "built", "IMAGE_TAG": tag, **more}
    return [{"name": name, "value": value} for name, value in plain.items()]


def succeeding(aws, codebuild):
    ecr = aws.client("ecr")
    ecr.create_repository(repositoryName="built", imageTagMutability="IMMUTABLE")
    secret = {"name": "TOKEN", "value": "prod/registry:token", "type": "SECRETS_MANAGER"}
    asked = {
        "projectName": "web-image",
        "sourceVersion": COMMIT,
        "environmentVariablesOverride": [*variables("v1"), secret],
    }
    build = codebuild.start_build(**asked)["build"]
    assert build["buildStatus"] == "IN_PROGRESS" and build["currentPhase"] == "QUEUED", build
    done = aws.until(lambda: ended(codebuild, build["id"]))
    assert done["buildStatus"] == "SUCCEEDED" and done["resolvedSourceVersion"] == COMMIT, done
    assert [phase["phaseType"] for phase in done["phases"]] == PHASES, done["phases"]
    took = {phase["phaseType"]: phase.get("durationInSeconds") for phase in done["phases"]}
    assert took["BUILD"] == 180 and took["COMPLETED"] is None, took
    pushed = ecr.describe_images(repositoryName="built", imageIds=[{"imageTag": "v1"}])["imageDetails"][0]
    exported = done["exportedEnvironmentVariables"]
    assert exported == [{"name": "IMAGE_DIGEST", "value": pushed["imageDigest"]}], exported
    assert done["startTime"] < pushed["imagePushedAt"] < done["endTime"], (done, pushed)
    log = messages(aws, done)
    assert any("Phase complete: BUILD State: SUCCEEDED" in line for line in log), log
    assert any(f"v1: digest: {pushed['imageDigest']}" in line for line in log), log
    assert "planted-registry-token" not in str(log) + str(done), "secrets stay where they are"
    assert done["logs"]["groupName"] == "/aws/codebuild/web-image" and done["logs"]["deepLink"], done["logs"]

    again = codebuild.start_build(
        projectName="web-image", sourceVersion=COMMIT, environmentVariablesOverride=variables("v2"), buildspecOverride="x"
    )["build"]
    assert again["buildNumber"] == 2 and again["source"]["buildspec"] == "x", again
    aws.until(lambda: ended(codebuild, again["id"]))
    same = ecr.describe_images(repositoryName="built", imageIds=[{"imageTag": "v2"}])["imageDetails"][0]
    assert same["imageDigest"] == pushed["imageDigest"], "one commit, one image"
    taken = codebuild.start_build(projectName="web-image", environmentVariablesOverride=variables("v1"))["build"]
    refused = aws.until(lambda: ended(codebuild, taken["id"]))
    assert refused["buildStatus"] == "FAILED", refused
    assert any("cannot be overwritten because the tag is immutable" in line for line in messages(aws, refused))

    ids = [taken["id"], again["id"], build["id"]]
    assert codebuild.list_builds_for_project(projectName="web-image")["ids"] == ids
    assert codebuild.list_builds_for_project(projectName="web-image", sortOrder="ASCENDING")["ids"] == ids[::-1]
    assert codebuild.list_builds()["ids"] == ids
    aws.refused("ResourceNotFoundException", codebuild.list_builds_for_project, projectName="absent")
    assert codebuild.batch_get_builds(ids=["web-image:absent"])["buildsNotFound"] == ["web-image:absent"]


def failing(aws, codebuild):
    build = codebuild.start_build(projectName="broken")["build"]
    done = aws.until(lambda: ended(codebuild, build["id"]))
    status = {phase["phaseType"]: phase.get("phaseStatus") for phase in done["phases"]}
    assert done["buildStatus"] == "FAILED" and status["BUILD"] == "FAILED" and status["POST_BUILD"] == "SUCCEEDED", done
    context = next(phase["contexts"] for phase in done["phases"] if phase["phaseType"] == "BUILD")
    assert context[0]["statusCode"] == "COMMAND_EXECUTION_ERROR" and "exit status 2" in context[0]["message"], context
    assert "make: *** [web] Error 2\n" in messages(aws, done)

    for value, words in (("absent", "can't find the specified secret"), ("prod/registry:nokey", "nokey")):
        variable = {"name": "TOKEN", "value": value, "type": "SECRETS_MANAGER"}
        build = codebuild.start_build(projectName="broken", environmentVariablesOverride=[variable])["build"]
        done = aws.until(lambda: ended(codebuild, build["id"]))
        phase = next(phase for phase in done["phases"] if phase["phaseType"] == "DOWNLOAD_SOURCE")
        assert phase["phaseStatus"] == "FAILED" and words in phase["contexts"][0]["message"], phase
        assert [phase["phaseType"] for phase in done["phases"]][-2:] == ["FINALIZING", "COMPLETED"], done

    retried = codebuild.retry_build(id=build["id"])["build"]
    assert retried["id"] != build["id"] and retried["environment"] == done["environment"], retried
    aws.until(lambda: ended(codebuild, retried["id"]))


def stopping(aws, codebuild):
    build = codebuild.start_build(projectName="slow", timeoutInMinutesOverride=2000)["build"]
    assert build["timeoutInMinutes"] == 2000 and build["logs"]["deepLink"], build
    stopped = codebuild.stop_build(id=build["id"])["build"]
    assert stopped["buildStatus"] == "STOPPED" and stopped["buildComplete"] and stopped["endTime"], stopped
    codebuild.stop_build(id=build["arn"])
    assert len(aws.effects("codebuild:StopBuild")) == 1, "it is stopped once"
    aws.refused("ResourceNotFoundException", codebuild.stop_build, id="slow:absent")
    codebuild.delete_project(name="made")
    assert "made" not in codebuild.list_projects()["projects"]
