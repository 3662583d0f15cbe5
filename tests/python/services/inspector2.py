"""Inspector."""


def drive(aws):
    inspector = aws.client("inspector2")
    accounts = inspector.batch_get_account_status()["accounts"]
    assert [account["accountId"] for account in accounts] == [aws.account], accounts
    states = {name: state["status"] for name, state in accounts[0]["resourceState"].items()}
    assert states == {"ec2": "ENABLED", "ecr": "DISABLED", "ami": "ENABLED"}, states
    others = inspector.batch_get_account_status(accountIds=["999999999999"])
    assert others["accounts"] == [] and others["failedAccounts"][0]["errorCode"] == "ACCESS_DENIED", others

    builder = aws.client("imagebuilder")
    pipeline = f"arn:aws:imagebuilder:{aws.region}:{aws.account}:image-pipeline/planted-web"
    made = builder.list_image_pipeline_images(imagePipelineArn=pipeline)["imageSummaryList"]
    made = [image for image in made if image["state"]["status"] == "AVAILABLE"][0]["outputResources"]["amis"]
    image, there = made[0]["image"], made[1]["image"]
    of_image = {"machineImageId": [{"comparison": "EQUALS", "value": image}]}
    assert inspector.list_findings(filterCriteria=of_image)["findings"] == [], "nobody has looked"
    covered = {"resourceId": [{"comparison": "EQUALS", "value": image}]}
    assert inspector.list_coverage(filterCriteria=covered)["coveredResources"] == []

    scan = {"resourceId": image, "resourceType": "AMI"}
    started = inspector.start_on_demand_scan(**scan, clientToken="one")["scanId"]
    assert inspector.start_on_demand_scan(**scan, clientToken="one")["scanId"] == started, "the token is honoured"
    aws.refused("ConflictException", inspector.start_on_demand_scan, **scan, clientToken="two")
    aws.refused("ValidationException", inspector.start_on_demand_scan, **{**scan, "resourceId": "ami-0123456789"})
    running = inspector.list_coverage(filterCriteria=covered)["coveredResources"]
    assert running[0]["resourceType"] == "MACHINE_IMAGE", running
    assert running[0]["scanStatus"] == {"statusCode": "ACTIVE", "reason": "PENDING_INITIAL_SCAN"}, running

    def over():
        status = inspector.get_on_demand_scan_status(**scan, scanId=started)
        return status if status["scanStatus"] != "IN_PROGRESS" else None

    status = aws.until(over)
    assert status["scanStatus"] == "SUCCESSFUL" and status["completedAt"] >= status["startedAt"], status
    aws.refused("ResourceNotFoundException", inspector.get_on_demand_scan_status, **scan, scanId="absent")
    again = inspector.start_on_demand_scan(**scan, clientToken="three")["scanId"]
    pages = list(inspector.get_paginator("list_on_demand_scans").paginate(**scan, PaginationConfig={"PageSize": 1}))
    assert [one["scanId"] for page in pages for one in page["items"]] == [again, started], pages

    pages = inspector.get_paginator("list_findings").paginate(filterCriteria=of_image, PaginationConfig={"PageSize": 1})
    found = [finding for page in pages for finding in page["findings"]]
    told = [(one["severity"], one["status"], one["packageVulnerabilityDetails"]["vulnerabilityId"]) for one in found]
    assert told == [
        ("CRITICAL", "SUPPRESSED", "CVE-2026-0005"), ("HIGH", "ACTIVE", "CVE-2026-0003"),
        ("LOW", "ACTIVE", "CVE-2026-0004"),
    ], told
    assert found[1]["resources"][0]["id"] == image and found[1]["fixAvailable"] == "YES", found[1]
    active = {**of_image, "findingStatus": [{"comparison": "EQUALS", "value": "ACTIVE"}]}
    assert len(inspector.list_findings(filterCriteria=active)["findings"]) == 2
    pages = inspector.get_paginator("list_coverage").paginate(PaginationConfig={"PageSize": 1})
    assert image in [one["resourceId"] for page in pages for one in page["coveredResources"]]
    of_instances = {"ec2InstanceImageId": [{"comparison": "EQUALS", "value": image}]}
    assert inspector.list_findings(filterCriteria=of_instances)["findings"] == [], "no instance runs it"

    europe = aws.client("inspector2", region="eu-west-1")
    started = europe.start_on_demand_scan(resourceId=there, resourceType="AMI")["scanId"]

    def failed():
        status = europe.get_on_demand_scan_status(resourceId=there, resourceType="AMI", scanId=started)
        return status if status["scanStatus"] == "FAILED" else None

    assert aws.until(failed)["scanStatusReason"] == "UNSUPPORTED_OS"
    off = aws.client("inspector2", region="eu-north-1")
    aws.refused("AccessDeniedException", off.start_on_demand_scan, resourceId=there, resourceType="AMI")
