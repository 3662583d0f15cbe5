"""EC2."""

import base64
import datetime

OWN = "ami-0000000000000001a"


def drive(aws):
    ec2 = aws.client("ec2")
    images(aws, ec2)
    launch_templates(aws, ec2)
    instances(aws, ec2)
    networks(aws, ec2)
    reports(aws, ec2)
    retire(aws, ec2)
    refusals(aws, ec2)


def images(aws, ec2):
    names = ["planted-old", "planted-2", "planted-3", "protected"]
    planted = {"Owners": ["self"], "Filters": [{"Name": "name", "Values": names}]}
    own = {image["Name"]: image for image in ec2.describe_images(**planted)["Images"]}
    assert set(own) == set(names), own
    first = own["planted-old"]
    assert first["ImageId"] == OWN and first["State"] == "available" and first["OwnerId"] == aws.account, first
    assert first["Tags"] == [{"Key": "family", "Value": "planted"}] and first["RootDeviceName"] == "/dev/xvda", first
    assert [device["Ebs"]["VolumeSize"] for device in first["BlockDeviceMappings"]] == [8, 20], first
    assert "LastLaunchedTime" in first and own["planted-3"]["Public"], own
    assert own["protected"]["DeregistrationProtection"] != "disabled", own
    everything = [image["Name"] for image in ec2.describe_images()["Images"]]
    assert "hidden" not in everything and "of-another" not in everything, everything
    deprecated = [image["Name"] for image in ec2.describe_images(IncludeDeprecated=True)["Images"]]
    assert "of-another" in deprecated and "hidden" not in deprecated, deprecated
    shared = ec2.describe_images(ExecutableUsers=["self"], IncludeDeprecated=True)["Images"]
    assert [(image["Name"], "Tags" in image) for image in shared] == [("of-another", False)], shared

    def filtered(*filters, **more):
        found = ec2.describe_images(Filters=[{"Name": name, "Values": values} for name, values in filters], **more)
        return sorted(image["Name"] for image in found["Images"])

    assert filtered(("name", ["planted-?"])) == ["planted-1", "planted-2", "planted-3"]
    assert filtered(("tag:family", ["plan?ed"])) == ["planted-2", "planted-old"]
    assert filtered(("tag-key", ["family"]), ("name", ["*-2", "*-3"])) == ["planted-2"]
    aws.refused("InvalidParameterValue", ec2.describe_images, Filters=[{"Name": "colour", "Values": ["red"]}])
    pages = list(ec2.get_paginator("describe_images").paginate(**planted, PaginationConfig={"PageSize": 3}))
    assert [len(page["Images"]) for page in pages] == [3, 1], pages
    aws.refused("InvalidParameterValue", ec2.describe_images, NextToken="nonsense")
    aws.refused("InvalidAMIID.NotFound", ec2.describe_images, ImageIds=["ami-0000000000000002b"])
    # A waiter of botocore's.
    ec2.get_waiter("image_available").wait(ImageIds=[OWN])
    second = own["planted-2"]["ImageId"]
    granted = ec2.describe_image_attribute(ImageId=second, Attribute="launchPermission")["LaunchPermissions"]
    assert granted == [{"UserId": "222222222222"}], granted
    public = ec2.describe_image_attribute(ImageId=own["planted-3"]["ImageId"], Attribute="launchPermission")
    assert public["LaunchPermissions"] == [{"Group": "all"}], public
    snapshots = ec2.describe_snapshots(OwnerIds=["self"], Filters=[{"Name": "description", "Values": [f"*{OWN}*"]}])
    assert {each["SnapshotId"] for each in snapshots["Snapshots"]} == {
        "snap-00000000000000011", "snap-00000000000000012",
    }, snapshots
    (data,) = ec2.describe_snapshots(SnapshotIds=["snap-00000000000000012"])["Snapshots"]
    assert (data["VolumeSize"], data["FullSnapshotSizeInBytes"], data["State"]) == (20, 1_000_000, "completed"), data
    pages = list(ec2.get_paginator("describe_snapshots").paginate(OwnerIds=["self"], PaginationConfig={"PageSize": 2}))
    assert len(pages) > 1 and all(page["Snapshots"] for page in pages), pages
    aws.refused("InvalidSnapshot.NotFound", ec2.describe_snapshots, SnapshotIds=["snap-00000000000000099"])


def launch_templates(aws, ec2):
    (planted,) = ec2.describe_launch_templates(LaunchTemplateNames=["planted"])["LaunchTemplates"]
    template = planted["LaunchTemplateId"]
    assert (planted["DefaultVersionNumber"], planted["LatestVersionNumber"]) == (2, 2), planted
    assert planted["Tags"] == [{"Key": "team", "Value": "web"}], planted
    by_id = ec2.describe_launch_templates(LaunchTemplateIds=[template])["LaunchTemplates"]
    assert by_id == [planted], by_id
    versions = ec2.describe_launch_template_versions(LaunchTemplateId=template)["LaunchTemplateVersions"]
    assert [(each["VersionNumber"], each["DefaultVersion"]) for each in versions] == [(2, True), (1, False)], versions
    data = versions[0]["LaunchTemplateData"]
    assert data["BlockDeviceMappings"] == [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 20, "Encrypted": True}}]
    assert data["NetworkInterfaces"] == [{"DeviceIndex": 0, "Groups": ["sg-00000000000000001"]}], data
    assert data["EbsOptimized"] is True and data["SecurityGroupIds"] == ["sg-00000000000000001"], data
    given = {"LaunchTemplateId": template, "SourceVersion": "2", "ClientToken": "t-1", "VersionDescription": "the third"}
    made = ec2.create_launch_template_version(**given, LaunchTemplateData={"ImageId": OWN})["LaunchTemplateVersion"]
    assert made["VersionNumber"] == 3 and made["LaunchTemplateData"] == {**data, "ImageId": OWN}, made
    again = ec2.create_launch_template_version(**given, LaunchTemplateData={"ImageId": OWN})["LaunchTemplateVersion"]
    assert again["VersionNumber"] == 3, again
    aws.refused(
        "IdempotentParameterMismatch", ec2.create_launch_template_version, **given, LaunchTemplateData={"ImageId": "ami-0"}
    )
    # What was read can be written again, whole.
    whole = ec2.create_launch_template_version(LaunchTemplateName="planted", LaunchTemplateData=data)
    assert whole["LaunchTemplateVersion"]["LaunchTemplateData"] == data, whole
    changed = ec2.modify_launch_template(LaunchTemplateId=template, DefaultVersion="3", ClientToken="t-2")["LaunchTemplate"]
    assert (changed["DefaultVersionNumber"], changed["LatestVersionNumber"]) == (3, 4), changed
    newest = ec2.describe_launch_template_versions(Versions=["$Latest", "$Default"])["LaunchTemplateVersions"]
    newest = [each["VersionNumber"] for each in newest if each["LaunchTemplateName"] == "planted"]
    assert newest == [4, 3], newest
    some = ec2.describe_launch_template_versions(LaunchTemplateName="planted", MinVersion="2", MaxVersion="3")
    assert [each["VersionNumber"] for each in some["LaunchTemplateVersions"]] == [3, 2], some
    pages = list(
        ec2.get_paginator("describe_launch_template_versions").paginate(
            LaunchTemplateId=template, PaginationConfig={"PageSize": 3}
        )
    )
    assert [len(page["LaunchTemplateVersions"]) for page in pages] == [3, 1], pages
    aws.refused("InvalidLaunchTemplateId.NotFound", ec2.describe_launch_template_versions, LaunchTemplateId="lt-0")
    aws.refused(
        "InvalidLaunchTemplateName.NotFoundException", ec2.describe_launch_templates, LaunchTemplateNames=["absent"]
    )
    aws.refused(
        "InvalidLaunchTemplateId.VersionNotFound", ec2.describe_launch_template_versions,
        LaunchTemplateId=template, Versions=["9"],
    )
    ec2.modify_launch_template(LaunchTemplateId=template, DefaultVersion="2")


def instances(aws, ec2):
    pages = ec2.get_paginator("describe_instances").paginate(PaginationConfig={"PageSize": 2})
    found = [each for page in pages for reservation in page["Reservations"] for each in reservation["Instances"]]
    running = [each for each in found if each["State"] == {"Code": 16, "Name": "running"}]
    assert len(found) >= 3 and len(running) >= 3, found
    spot = [each for each in found if each.get("InstanceLifecycle") == "spot"]
    assert "us-west-2b" in [each["Placement"]["AvailabilityZone"] for each in spot], spot
    web = ec2.describe_instances(Filters=[{"Name": "tag:role", "Values": ["web"]}])["Reservations"]
    ids = [each["InstanceId"] for reservation in web for each in reservation["Instances"]]
    assert len(ids) == 2, web
    statuses = ec2.describe_instance_status(InstanceIds=ids)["InstanceStatuses"]
    assert [each["InstanceStatus"]["Status"] for each in statuses] == ["ok", "ok"], statuses
    assert statuses[0]["SystemStatus"]["Details"] == [{"Name": "reachability", "Status": "passed"}], statuses
    output = ec2.get_console_output(InstanceId=ids[0])["Output"]
    # botocore decodes it.
    assert "the machine is up" in (output if "machine" in output else base64.b64decode(output).decode()), output
    everything = ec2.describe_instance_status(IncludeAllInstances=True)["InstanceStatuses"]
    assert len(everything) >= 3, everything
    aws.refused("InvalidInstanceID.NotFound", ec2.describe_instances, InstanceIds=["i-0"])


def networks(aws, ec2):
    subnets = ec2.describe_subnets(Filters=[{"Name": "tag:tier", "Values": ["private"]}])["Subnets"]
    assert [(each["SubnetId"], each["AvailabilityZone"]) for each in subnets] == [
        ("subnet-00000000000000001", "us-west-2a")
    ], subnets
    assert len(ec2.describe_subnets()["Subnets"]) >= 2
    aws.refused("InvalidSubnetID.NotFound", ec2.describe_subnets, SubnetIds=["subnet-0"])
    (group,) = ec2.describe_security_groups(GroupIds=["sg-00000000000000001"])["SecurityGroups"]
    assert [(rule["IpProtocol"], rule.get("FromPort")) for rule in group["IpPermissions"]] == [("tcp", 443), ("-1", None)]
    assert group["IpPermissionsEgress"][0]["IpRanges"] == [{"CidrIp": "0.0.0.0/0"}], group
    aws.refused("InvalidGroup.NotFound", ec2.describe_security_groups, GroupIds=["sg-0"])


def reports(aws, ec2):
    every = ec2.describe_image_references(ImageIds=[OWN], IncludeAllResourceTypes=True)["ImageReferences"]
    assert [each["ResourceType"] for each in every] == ["ec2:LaunchTemplate"], every
    deep = [{"ResourceType": "ec2:LaunchTemplate", "ResourceTypeOptions": [{"OptionName": "version-depth", "OptionValues": ["1"]}]}]
    assert ec2.describe_image_references(ImageIds=[OWN], ResourceTypes=deep)["ImageReferences"] == []
    aws.refused("MissingParameter", ec2.describe_image_references, ImageIds=[OWN])
    (second,) = ec2.describe_images(Filters=[{"Name": "name", "Values": ["planted-2"]}])["Images"]
    named = ec2.describe_image_references(ImageIds=[second["ImageId"]], ResourceTypes=[{"ResourceType": "ec2:Instance"}])
    assert len(named["ImageReferences"]) == 2, named
    (report,) = ec2.describe_image_usage_reports(ImageIds=[OWN])["ImageUsageReports"]
    assert report["State"] == "available", report
    entries = ec2.describe_image_usage_report_entries(ImageIds=[OWN])["ImageUsageReportEntries"]
    assert [(each["AccountId"], each["UsageCount"]) for each in entries] == [("444444444444", 3)], entries
    asked = {"ImageId": second["ImageId"], "ResourceTypes": [{"ResourceType": "ec2:Instance"}], "ClientToken": "r-1"}
    made = ec2.create_image_usage_report(**asked)["ReportId"]
    assert ec2.create_image_usage_report(**asked)["ReportId"] == made

    def available():
        (found,) = ec2.describe_image_usage_reports(ReportIds=[made])["ImageUsageReports"]
        return found["State"] == "available"

    aws.until(available)
    entries = ec2.describe_image_usage_report_entries(ReportIds=[made])["ImageUsageReportEntries"]
    assert [(each["AccountId"], each["ResourceType"], each["UsageCount"]) for each in entries] == [
        ("222222222222", "ec2:Instance", 4)
    ], entries
    aws.refused("InvalidAMIID.NotFound", ec2.create_image_usage_report, **{**asked, "ImageId": "ami-0", "ClientToken": "r-2"})


def retire(aws, ec2):
    soon = datetime.datetime.fromisoformat("2099-01-01T10:20:30+00:00")
    assert ec2.enable_image_deprecation(ImageId=OWN, DeprecateAt=soon)["Return"] is True
    (image,) = ec2.describe_images(ImageIds=[OWN])["Images"]
    assert image["DeprecationTime"] == "2099-01-01T10:20:00.000Z", image
    ec2.create_tags(Resources=[OWN, "snap-00000000000000011"], Tags=[{"Key": "state", "Value": "going"}])
    (image,) = ec2.describe_images(ImageIds=[OWN])["Images"]
    assert {"Key": "state", "Value": "going"} in image["Tags"], image
    aws.refused("InvalidSnapshot.InUse", ec2.delete_snapshot, SnapshotId="snap-00000000000000011")
    assert ec2.disable_image(ImageId=OWN)["Return"] is True
    assert ec2.describe_images(ImageIds=[OWN])["Images"] == []
    (image,) = ec2.describe_images(ImageIds=[OWN], IncludeDisabled=True)["Images"]
    assert image["State"] == "disabled", image
    gone = ec2.deregister_image(ImageId=OWN, DeleteAssociatedSnapshots=True)
    assert gone["Return"] is True and {each["ReturnCode"] for each in gone["DeleteSnapshotResults"]} == {"success"}, gone
    aws.refused("InvalidAMIID.Unavailable", ec2.deregister_image, ImageId=OWN)
    aws.refused("InvalidAMIID.NotFound", ec2.describe_images, ImageIds=[OWN])
    aws.refused("InvalidSnapshot.NotFound", ec2.describe_snapshots, SnapshotIds=["snap-00000000000000011"])
    ec2.delete_snapshot(SnapshotId="snap-0000000000000009f")
    aws.refused("InvalidSnapshot.NotFound", ec2.delete_snapshot, SnapshotId="snap-0000000000000009f")
    (kept,) = ec2.describe_images(Filters=[{"Name": "name", "Values": ["protected"]}])["Images"]
    aws.refused("OperationNotPermitted", ec2.deregister_image, ImageId=kept["ImageId"])
    (third,) = ec2.describe_images(Filters=[{"Name": "name", "Values": ["planted-3"]}])["Images"]
    quiet = ec2.deregister_image(ImageId=third["ImageId"])
    assert quiet["Return"] is True and "DeleteSnapshotResults" not in quiet, quiet


def refusals(aws, ec2):
    assert aws.effects("ec2:DeregisterImage"), "it is an effect"
    other = aws.client("ec2", region="ap-south-1")
    assert other.describe_images(Owners=["self"])["Images"] == []
    credentials = aws.client("sts").assume_role(RoleArn=f"arn:aws:iam::{aws.account}:role/bounded", RoleSessionName="ec2")
    keys = credentials["Credentials"]
    bounded = aws.client("ec2", keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
    said = aws.refused("UnauthorizedOperation", bounded.describe_images)
    assert said.startswith("You are not authorized to perform this operation."), said
