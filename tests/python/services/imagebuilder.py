"""EC2 Image Builder."""


def drive(aws):
    builder = aws.client("imagebuilder")
    arn = f"arn:aws:imagebuilder:{aws.region}:{aws.account}".__add__
    pipeline = arn(":image-pipeline/planted-web")
    found = builder.get_image_pipeline(imagePipelineArn=pipeline)["imagePipeline"]
    assert found["imageRecipeArn"] == arn(":image-recipe/planted-web/1.2.0") and found["status"] == "ENABLED", found
    assert found["schedule"]["scheduleExpression"] == "cron(0 4 * * ? *)", found
    aws.refused("ResourceNotFoundException", builder.get_image_pipeline, imagePipelineArn=arn(":image-pipeline/absent"))
    recipe = builder.get_image_recipe(imageRecipeArn=found["imageRecipeArn"])["imageRecipe"]
    assert recipe["components"] == [{"componentArn": arn(":component/update-linux/1.0.0")}], recipe
    assert recipe["blockDeviceMappings"][0]["ebs"]["encrypted"] is True, recipe
    aws.refused("ResourceNotFoundException", builder.get_image_recipe, imageRecipeArn=arn(":image-recipe/planted-web/9.0.0"))
    machines = builder.get_infrastructure_configuration(
        infrastructureConfigurationArn=found["infrastructureConfigurationArn"]
    )["infrastructureConfiguration"]
    assert machines["instanceMetadataOptions"] == {"httpTokens": "required"} and machines["subnetId"] == "subnet-0a", machines
    regions = builder.get_distribution_configuration(
        distributionConfigurationArn=found["distributionConfigurationArn"]
    )["distributionConfiguration"]["distributions"]
    assert [region["region"] for region in regions] == ["us-west-2", "eu-west-1"], regions
    assert regions[1]["amiDistributionConfiguration"]["targetAccountIds"] == ["222222222222"], regions

    listed = pages(builder, "list_image_recipes", "imageRecipeSummaryList", owner="Self")
    assert {recipe["name"] for recipe in listed} >= {"planted-web", "planted-slow"}, listed
    named = builder.list_image_recipes(filters=[{"name": "name", "values": ["planted-web"]}])["imageRecipeSummaryList"]
    assert [recipe["name"] for recipe in named] == ["planted-web"], named
    aws.refused("InvalidRequestException", builder.list_image_recipes, filters=[{"name": "platform", "values": ["Linux"]}])

    images = pages(builder, "list_image_pipeline_images", "imageSummaryList", imagePipelineArn=pipeline)
    states = [(image["state"]["status"], image["buildType"], len(image["outputResources"]["amis"])) for image in images]
    assert states == [("FAILED", "USER_INITIATED", 0), ("AVAILABLE", "SCHEDULED", 3)], states
    places = [(ami["region"], ami["accountId"]) for ami in images[1]["outputResources"]["amis"]]
    assert places == [("us-west-2", aws.account), ("eu-west-1", aws.account), ("eu-west-1", "222222222222")], places
    findings = builder.list_image_scan_findings(
        filters=[{"name": "imageBuildVersionArn", "values": [images[1]["arn"]]}]
    )["findings"]
    told = [(one["severity"], one["packageVulnerabilityDetails"]["vulnerabilityId"], one["fixAvailable"]) for one in findings]
    assert told == [
        ("CRITICAL", "CVE-2026-0005", "NO"), ("HIGH", "CVE-2026-0003", "YES"), ("LOW", "CVE-2026-0004", "NO"),
    ], told
    pages(builder, "list_image_scan_findings", "findings")
    versions = pages(builder, "list_images", "imageVersionList", owner="Self", includeDeprecated=True)
    assert arn(":image/planted-web/1.2.0") in [version["arn"] for version in versions], versions
    builds = pages(
        builder, "list_image_build_versions", "imageSummaryList", imageVersionArn=arn(":image/planted-web/1.2.0")
    )
    assert [build["arn"].rsplit("/", 1)[1] for build in builds] == ["2", "1"], builds

    baked(aws, builder, arn, pipeline)
    cancelled(aws, builder, arn)
    failed(aws, builder, arn)
    nightly = builder.list_image_pipeline_images(imagePipelineArn=arn(":image-pipeline/planted-nightly"))
    assert [image["buildType"] for image in nightly["imageSummaryList"]] == ["SCHEDULED"], nightly

    policies = pages(builder, "list_lifecycle_policies", "lifecyclePolicySummaryList")
    assert [policy["name"] for policy in policies] == ["planted-old"], policies
    policy = builder.get_lifecycle_policy(lifecyclePolicyArn=policies[0]["arn"])["lifecyclePolicy"]
    assert policy["policyDetails"][0]["filter"] == {"type": "COUNT", "value": 5}, policy
    assert policy["resourceSelection"]["recipes"] == [{"name": "planted-web", "semanticVersion": "1.x.x"}], policy
    aws.refused(
        "ResourceNotFoundException", builder.get_lifecycle_policy, lifecyclePolicyArn=arn(":lifecycle-policy/absent"),
    )


def pages(builder, operation, member, **given):
    """All items of a list, by pages of one."""
    found = []
    for page in builder.get_paginator(operation).paginate(**given, PaginationConfig={"PageSize": 1}):
        assert len(page[member]) <= 1, page
        found += page[member]
    return found


def baked(aws, builder, arn, pipeline):
    """A bake that goes well."""
    given = {"imagePipelineArn": pipeline, "clientToken": "one", "tags": {"run": "r1"}}
    image = builder.start_image_pipeline_execution(**given)["imageBuildVersionArn"]
    assert image == arn(":image/planted-web/1.2.0/3"), image
    assert builder.start_image_pipeline_execution(**given)["imageBuildVersionArn"] == image, "the token is honoured"
    assert len(aws.effects("imagebuilder:StartImagePipelineExecution")) == 1, "once"
    aws.refused(
        "IdempotentParameterMismatchException", builder.start_image_pipeline_execution, **{**given, "tags": {"run": "r2"}},
    )
    absent = {**given, "imagePipelineArn": arn(":image-pipeline/absent"), "clientToken": "two"}
    aws.refused("ResourceNotFoundException", builder.start_image_pipeline_execution, **absent)
    seen = set()

    def state():
        made = builder.get_image(imageBuildVersionArn=image)["image"]
        seen.add(made["state"]["status"])
        return made if made["state"]["status"] == "AVAILABLE" and made["scanState"]["status"] == "COMPLETED" else None

    made = aws.until(state, timeout=60)
    assert made["tags"] == {"run": "r1"} and made["sourcePipelineArn"] == pipeline, made
    assert {"BUILDING", "TESTING", "DISTRIBUTING"} <= seen, seen
    workflows = pages(builder, "list_workflow_executions", "workflowExecutions", imageBuildVersionArn=image)
    assert [(one["type"], one["status"]) for one in workflows] == [
        ("DISTRIBUTION", "COMPLETED"), ("TEST", "COMPLETED"), ("BUILD", "COMPLETED"),
    ], workflows
    steps = pages(
        builder, "list_workflow_step_executions", "steps", workflowExecutionId=workflows[2]["workflowExecutionId"]
    )
    assert [step["name"] for step in steps][:2] == ["LaunchBuildInstance", "ApplyBuildComponents"], steps
    assert {step["status"] for step in steps} == {"COMPLETED"}, steps
    events = aws.client("logs").get_log_events(logGroupName="/ci/bakes", logStreamName="1.2.0/3")["events"]
    assert "Installing nginx" in [event["message"] for event in events], events
    amis = made["outputResources"]["amis"]
    here = aws.client("ec2").describe_images(ImageIds=[amis[0]["image"]])["Images"][0]
    tags = {tag["Key"]: tag["Value"] for tag in here["Tags"]}
    assert tags == {"team": "web", "CreatedBy": "EC2 Image Builder", "Ec2ImageBuilderArn": image}, tags
    ebs = here["BlockDeviceMappings"][0]["Ebs"]
    key = aws.client("kms").describe_key(KeyId="alias/web")["KeyMetadata"]["Arn"]
    assert ebs["Encrypted"], ebs
    snapshot = aws.client("ec2").describe_snapshots(SnapshotIds=[ebs["SnapshotId"]])["Snapshots"][0]
    assert snapshot["KmsKeyId"] == key, snapshot
    there = aws.client("ec2", region="eu-west-1").describe_images(ImageIds=[amis[1]["image"]])["Images"][0]
    assert there["ImageId"] != here["ImageId"] and there["BlockDeviceMappings"][0]["Ebs"]["Encrypted"], there
    assert aws.client("ssm").get_parameter(Name="/planted/baked")["Parameter"]["Value"] == amis[0]["image"]
    newest = builder.get_image(imageBuildVersionArn=arn(":image/planted-web/x.x.x"))["image"]
    assert newest["arn"] == image, newest
    deleted = builder.delete_image(imageBuildVersionArn=image)
    assert deleted["imageBuildVersionArn"] == image, deleted
    aws.refused("ResourceNotFoundException", builder.get_image, imageBuildVersionArn=image)
    assert aws.client("ec2").describe_images(ImageIds=[amis[0]["image"]])["Images"], "its AMIs stay"


def cancelled(aws, builder, arn):
    """A bake that is cancelled."""
    given = {
        "imageRecipeArn": arn(":image-recipe/planted-slow/1.0.0"), "clientToken": "slow",
        "infrastructureConfigurationArn": arn(":infrastructure-configuration/planted-machines"),
        "imageTestsConfiguration": {"imageTestsEnabled": False},
    }
    image = builder.create_image(**given)["imageBuildVersionArn"]
    assert builder.create_image(**given)["imageBuildVersionArn"] == image, "the token is honoured"
    absent = {**given, "clientToken": "x", "imageRecipeArn": arn(":image-recipe/absent/1.0.0")}
    aws.refused("InvalidRequestException", builder.create_image, **absent)

    def building():
        return builder.get_image(imageBuildVersionArn=image)["image"]["state"]["status"] == "BUILDING"

    aws.until(building)
    aws.refused("ResourceDependencyException", builder.delete_image, imageBuildVersionArn=image)
    builder.cancel_image_creation(imageBuildVersionArn=image, clientToken="stop")
    builder.cancel_image_creation(imageBuildVersionArn=image, clientToken="stop")

    def stopped():
        return builder.get_image(imageBuildVersionArn=image)["image"]["state"]["status"] == "CANCELLED"

    aws.until(stopped)
    workflow = builder.list_workflow_executions(imageBuildVersionArn=image)["workflowExecutions"][0]
    assert workflow["status"] == "CANCELLED", workflow
    aws.refused(
        "InvalidRequestException", builder.cancel_image_creation, imageBuildVersionArn=image, clientToken="again",
    )
    aws.refused(
        "ResourceNotFoundException", builder.cancel_image_creation,
        imageBuildVersionArn=arn(":image/absent/1.0.0/1"), clientToken="absent",
    )


def failed(aws, builder, arn):
    """A bake that fails in one of its regions."""
    image = builder.start_image_pipeline_execution(
        imagePipelineArn=arn(":image-pipeline/planted-broken"), clientToken="broken"
    )["imageBuildVersionArn"]

    def over():
        made = builder.get_image(imageBuildVersionArn=image)["image"]
        return made if made["state"]["status"] == "FAILED" else None

    made = aws.until(over, timeout=60)
    assert [ami["region"] for ami in made["outputResources"]["amis"]] == ["us-west-2"], made
    failure = made["state"]["failureContext"]
    assert failure["failedStep"] == "DistributeImage", failure
    assert failure["distributionFailure"]["regionFailures"] == [
        {"region": "eu-west-1", "status": "FAILED", "errorMessage": "The key is gone."},
    ], failure
