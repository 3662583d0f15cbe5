"""ECR."""

import base64
import hashlib
import json
import urllib.error
import urllib.request

DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def manifest(name, size=1000):
    layer = {"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "size": size, "digest": f"sha256:{name}"}
    config = {"mediaType": "application/vnd.docker.container.image.v1+json", "size": 1, "digest": "sha256:c"}
    return json.dumps({"schemaVersion": 2, "mediaType": DOCKER, "config": config, "layers": [layer]})


def digest(text):
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def drive(aws):
    ecr = aws.client("ecr")
    repositories(aws, ecr)
    images(aws, ecr)
    scans(aws, ecr)
    planted(aws, ecr)
    lifecycle(aws, ecr)
    layers(aws, ecr)
    replication(aws, ecr)


def repositories(aws, ecr):
    made = ecr.create_repository(repositoryName="team/web", tags=[{"Key": "team", "Value": "web"}])["repository"]
    uri = f"{aws.account}.dkr.ecr.{aws.region}.amazonaws.com/team/web"
    assert made["repositoryUri"] == uri and made["imageTagMutability"] == "MUTABLE", made
    assert made["encryptionConfiguration"] == {"encryptionType": "AES256"}, made
    aws.refused("RepositoryAlreadyExistsException", ecr.create_repository, repositoryName="team/web")
    aws.refused("InvalidParameterException", ecr.create_repository, repositoryName="Team")
    aws.refused("InvalidParameterException", ecr.create_repository)
    words = aws.refused("RepositoryNotFoundException", ecr.describe_repositories, repositoryNames=["absent"])
    assert words == f"The repository with name 'absent' does not exist in the registry with id '{aws.account}'", words
    assert ecr.describe_repositories(repositoryNames=["team/web"])["repositories"] == [made]
    pages = list(ecr.get_paginator("describe_repositories").paginate(PaginationConfig={"PageSize": 1}))
    names = [repository["repositoryName"] for page in pages for repository in page["repositories"]]
    assert "team/web" in names and "planted" in names and len(pages) == len(names), names

    arn = made["repositoryArn"]
    ecr.tag_resource(resourceArn=arn, tags=[{"Key": "stage", "Value": "test"}])
    ecr.untag_resource(resourceArn=arn, tagKeys=["team"])
    assert ecr.list_tags_for_resource(resourceArn=arn)["tags"] == [{"Key": "stage", "Value": "test"}]
    token = ecr.get_authorization_token()["authorizationData"][0]
    assert base64.b64decode(token["authorizationToken"]).startswith(b"AWS:"), token
    assert token["proxyEndpoint"] == f"https://{aws.account}.dkr.ecr.{aws.region}.amazonaws.com", token


def images(aws, ecr):
    web = {"repositoryName": "team/web"}
    one, two = manifest("one"), manifest("two", 2000)
    put = ecr.put_image(**web, imageManifest=one, imageTag="v1")["image"]
    assert put["imageId"] == {"imageDigest": digest(one), "imageTag": "v1"}, put
    assert put["imageManifestMediaType"] == DOCKER, put
    aws.refused("ImageAlreadyExistsException", ecr.put_image, **web, imageManifest=one, imageTag="v1")
    aws.refused("ImageAlreadyExistsException", ecr.put_image, **web, imageManifest=one)
    aws.refused("ImageDigestDoesNotMatchException", ecr.put_image, **web, imageManifest=two, imageDigest=digest(one))
    aws.refused("InvalidParameterException", ecr.put_image, **web, imageManifest="{")
    ecr.put_image(**web, imageManifest=one, imageTag="latest", imageDigest=digest(one))
    ecr.put_image(**web, imageManifest=two, imageTag="latest")
    found = ecr.describe_images(**web)["imageDetails"]
    tags = {image["imageDigest"]: image.get("imageTags") for image in found}
    assert tags == {digest(one): ["v1"], digest(two): ["latest"]}, "the tag moved"
    assert {image["imageSizeInBytes"] for image in found} == {1001, 2001}, found

    ecr.put_image_tag_mutability(**web, imageTagMutability="IMMUTABLE")
    words = aws.refused("ImageTagAlreadyExistsException", ecr.put_image, **web, imageManifest=two, imageTag="v1")
    assert "'v1'" in words and "immutable" in words, words
    ecr.put_image_tag_mutability(
        **web, imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": "latest*"}],
    )
    ecr.put_image(**web, imageManifest=one, imageTag="latest")
    aws.refused("ImageTagAlreadyExistsException", ecr.put_image, **web, imageManifest=two, imageTag="v1")
    ecr.put_image_tag_mutability(**web, imageTagMutability="MUTABLE")

    gone = digest("absent")
    got = ecr.batch_get_image(**web, imageIds=[{"imageTag": "v1"}, {"imageDigest": gone}, {}])
    assert [image["imageManifest"] for image in got["images"]] == [one], got
    codes = [failure["failureCode"] for failure in got["failures"]]
    assert codes == ["ImageNotFound", "MissingDigestAndTag"], got
    untagged = ecr.describe_images(**web, filter={"tagStatus": "UNTAGGED"})["imageDetails"]
    assert [image["imageDigest"] for image in untagged] == [digest(two)], untagged
    tagged = ecr.describe_images(**web, filter={"tagStatus": "TAGGED"})["imageDetails"]
    assert sorted(tagged[0]["imageTags"]) == ["latest", "v1"] and "lastRecordedPullTime" in tagged[0], tagged
    words = aws.refused("ImageNotFoundException", ecr.describe_images, **web, imageIds=[{"imageTag": "v9"}])
    assert "imageTag:'v9'" in words, words

    lists = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [{"digest": digest(two), "size": 1}]})
    missing = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [{"digest": gone, "size": 1}]})
    aws.refused("ReferencedImagesNotFoundException", ecr.put_image, **web, imageManifest=missing)
    ecr.put_image(**web, imageManifest=lists, imageTag="multi")
    pages = ecr.get_paginator("list_images").paginate(**web, PaginationConfig={"PageSize": 3})
    ids = [(image["imageDigest"], image.get("imageTag")) for page in pages for image in page["imageIds"]]
    expected = {(digest(one), "v1"), (digest(one), "latest"), (digest(two), None), (digest(lists), "multi")}
    assert len(ids) == 4 and set(ids) == expected, ids

    referrer = json.dumps({**json.loads(one), "subject": {"mediaType": DOCKER, "digest": digest(two), "size": 1}})
    ecr.put_image(**web, imageManifest=referrer)
    found = ecr.describe_images(**web, filter={"imageStatus": "ANY"})["imageDetails"]
    subjects = {image["imageDigest"]: image.get("subjectManifestDigest") for image in found}
    assert {image for image, subject in subjects.items() if subject} == {digest(referrer)}, subjects
    assert subjects[digest(referrer)] == digest(two), subjects

    status = lambda: {
        image["imageDigest"]: (image["imageStatus"], "lastArchivedAt" in image)
        for image in ecr.describe_images(**web, filter={"imageStatus": "ANY"})["imageDetails"]
    }
    moved = ecr.update_image_storage_class(**web, imageId={"imageDigest": digest(one)}, targetStorageClass="ARCHIVE")
    assert moved["imageStatus"] == "ARCHIVED" and status()[digest(one)] == ("ARCHIVED", True), moved
    active = [image["imageDigest"] for image in ecr.describe_images(**web)["imageDetails"]]
    assert digest(one) not in active, "archived images are listed on request only"
    got = ecr.batch_get_image(**web, imageIds=[{"imageDigest": digest(one)}])
    assert [failure["failureCode"] for failure in got["failures"]] == ["ImageInaccessible"], got
    moved = ecr.update_image_storage_class(**web, imageId={"imageTag": "v1"}, targetStorageClass="STANDARD")
    assert moved["imageStatus"] == "ACTIVATING", moved
    aws.until(lambda: status()[digest(one)][0] == "ACTIVE")
    aws.refused(
        "ImageNotFoundException", ecr.update_image_storage_class,
        **web, imageId={"imageDigest": gone}, targetStorageClass="ARCHIVE",
    )
    aws.refused(
        "ValidationException", ecr.update_image_storage_class,
        **web, imageId={"imageDigest": digest(one)}, targetStorageClass="COLD",
    )

    delete = lambda *ids: ecr.batch_delete_image(**web, imageIds=list(ids))
    delete({"imageDigest": digest(referrer)})
    held = delete({"imageDigest": digest(two)})
    assert held["failures"][0]["failureCode"] == "ImageReferencedByManifestList" and not held["imageIds"], held
    effects = len(aws.effects("ecr:BatchDeleteImage"))
    only = delete({"imageTag": "latest"}, {"imageTag": "absent"}, {"imageDigest": digest(one), "imageTag": "no"})
    assert only["imageIds"] == [{"imageDigest": digest(one), "imageTag": "latest"}], only
    assert [failure["failureCode"] for failure in only["failures"]] == ["ImageNotFound", "ImageTagDoesNotMatchDigest"], only
    delete({"imageTag": "absent"})
    assert len(aws.effects("ecr:BatchDeleteImage")) == effects + 1, "nothing deleted is no effect"
    all_of_it = delete({"imageDigest": digest(lists)})
    assert all_of_it["imageIds"] == [{"imageDigest": digest(lists), "imageTag": "multi"}], all_of_it
    delete({"imageTag": "v1"})
    left = [image["imageDigest"] for image in ecr.describe_images(**web)["imageDetails"]]
    assert left == [digest(two)], "an image goes with its last tag"

    words = aws.refused("RepositoryNotEmptyException", ecr.delete_repository, **web)
    assert "still contains images" in words, words
    ecr.delete_repository(**web, force=True)
    aws.refused("RepositoryNotFoundException", ecr.list_images, **web)


def scans(aws, ecr):
    ecr.create_repository(repositoryName="scanned")
    scanned = {"repositoryName": "scanned"}
    ecr.put_image(**scanned, imageManifest=manifest("one"), imageTag="v1")
    image = {"imageTag": "v1"}
    aws.refused("ScanNotFoundException", ecr.describe_image_scan_findings, **scanned, imageId=image)
    started = ecr.start_image_scan(**scanned, imageId=image)
    assert started["imageScanStatus"]["status"] == "IN_PROGRESS", started
    words = aws.refused("LimitExceededException", ecr.start_image_scan, **scanned, imageId=image)
    assert "quota" in words, words
    done = aws.until(lambda: finished(ecr, "scanned", image))
    assert done["imageScanStatus"]["status"] == "COMPLETE", done
    assert done["imageScanFindings"]["findingSeverityCounts"] == {"LOW": 1}, done
    assert [finding["name"] for finding in done["imageScanFindings"]["findings"]] == ["CVE-2026-0002"], done

    def how():
        answer = ecr.batch_get_repository_scanning_configuration(repositoryNames=["scanned", "absent"])
        assert answer["failures"][0]["failureCode"] == "REPOSITORY_NOT_FOUND", answer
        return answer["scanningConfigurations"][0]

    assert how()["scanFrequency"] == "MANUAL" and not how()["scanOnPush"], how()
    ecr.put_image_scanning_configuration(**scanned, imageScanningConfiguration={"scanOnPush": True})
    assert how()["scanFrequency"] == "SCAN_ON_PUSH" and how()["scanOnPush"], how()
    ecr.put_image(**scanned, imageManifest=manifest("two"), imageTag="v2")
    aws.until(lambda: finished(ecr, "scanned", {"imageTag": "v2"}))

    assert ecr.get_registry_scanning_configuration()["scanningConfiguration"] == {"scanType": "BASIC", "rules": []}
    filters = [{"filter": "scan*", "filterType": "WILDCARD"}]
    rule = {"scanFrequency": "CONTINUOUS_SCAN", "repositoryFilters": filters}
    aws.refused("InvalidParameterException", ecr.put_registry_scanning_configuration, scanType="BASIC", rules=[rule])
    ecr.put_registry_scanning_configuration(scanType="ENHANCED", rules=[rule])
    assert how()["scanFrequency"] == "CONTINUOUS_SCAN" and how()["appliedScanFilters"] == filters, how()
    active = aws.until(lambda: finished(ecr, "scanned", image))
    assert active["imageScanStatus"]["status"] == "ACTIVE" and "findings" not in active["imageScanFindings"], active
    finding = active["imageScanFindings"]["enhancedFindings"][0]
    assert finding["packageVulnerabilityDetails"]["vulnerabilityId"] == "CVE-2026-0002", finding
    aws.refused("ValidationException", ecr.start_image_scan, **scanned, imageId=image)
    ecr.put_registry_scanning_configuration(scanType="BASIC", rules=[])


def finished(ecr, repository, image):
    answer = ecr.describe_image_scan_findings(repositoryName=repository, imageId=image)
    return answer if answer["imageScanStatus"]["status"] not in ("IN_PROGRESS", "PENDING") else None


def rule(priority, action="expire", **selection):
    kind = {"type": action, **({"targetStorageClass": "archive"} if action == "transition" else {})}
    return {"rulePriority": priority, "selection": selection, "action": kind}


def lifecycle(aws, ecr):
    """A repository's lifecycle policy: kept, previewed, and refused where it is none."""
    name = dict(repositoryName="planted")
    newest = rule(1, tagStatus="tagged", tagPatternList=["release-*"], countType="imageCountMoreThan", countNumber=2)
    unused = rule(2, "transition", tagStatus="any", countType="sinceImagePulled", countUnit="days", countNumber=1)
    text = json.dumps({"rules": [newest, unused]})
    aws.refused("LifecyclePolicyNotFoundException", ecr.get_lifecycle_policy, **name)
    aws.refused("LifecyclePolicyNotFoundException", ecr.delete_lifecycle_policy, **name)
    aws.refused("LifecyclePolicyNotFoundException", ecr.start_lifecycle_policy_preview, **name)
    aws.refused("LifecyclePolicyPreviewNotFoundException", ecr.get_lifecycle_policy_preview, **name)
    wrong = json.dumps({"rules": [rule(1, tagStatus="any", countType="sinceImagePulled", countUnit="days", countNumber=1)]})
    words = aws.refused("InvalidParameterException", ecr.put_lifecycle_policy, **name, lifecyclePolicyText=wrong)
    assert "sinceImagePulled goes with the action transition" in words, words
    assert ecr.start_lifecycle_policy_preview(**name, lifecyclePolicyText=text)["status"] == "IN_PROGRESS"

    def previewed():
        answer = ecr.get_lifecycle_policy_preview(**name)
        return answer if answer["status"] == "COMPLETE" else None

    preview = aws.until(previewed)
    gone = [result["imageTags"] for result in preview["previewResults"] if result["action"]["type"] == "EXPIRE"]
    assert sorted(gone) == [["release-1"], ["release-2"], ["release-3"]], preview
    assert preview["summary"]["expiringImageTotalCount"] == 3, preview["summary"]
    archived = [result for result in preview["previewResults"] if result["action"]["type"] == "TRANSITION"]
    assert all(result["action"]["targetStorageClass"] == "ARCHIVE" for result in archived) and len(archived) == 1, archived
    untagged = ecr.get_lifecycle_policy_preview(**name, filter={"tagStatus": "UNTAGGED"})["previewResults"]
    assert [result["appliedRulePriority"] for result in untagged] == [2], untagged

    ecr.put_lifecycle_policy(**name, lifecyclePolicyText=text)
    assert ecr.get_lifecycle_policy(**name)["lifecyclePolicyText"] == text
    # The world's clock runs fast, and a policy is applied within a day: nothing waits for that here.
    assert ecr.delete_lifecycle_policy(**name)["lifecyclePolicyText"] == text


def layers(aws, ecr):
    """A layer goes up in parts and comes down again, and an image is put where its layers are."""
    ecr.create_repository(repositoryName="layered")
    ecr.create_repository(repositoryName="other")
    layered = {"repositoryName": "layered"}
    first, rest = b"a" * (5 << 20), b"b" * 1000
    whole = "sha256:" + hashlib.sha256(first + rest).hexdigest()

    def check(*digests):
        answer = ecr.batch_check_layer_availability(**layered, layerDigests=list(digests))
        return [layer["layerAvailability"] for layer in answer["layers"]], [f["failureCode"] for f in answer["failures"]]

    assert check(whole, "latest") == (["UNAVAILABLE"], ["InvalidLayerDigest"]), check(whole)
    aws.refused("LayersNotFoundException", ecr.get_download_url_for_layer, **layered, layerDigest=whole)
    started = ecr.initiate_layer_upload(**layered)
    assert started["partSize"] == 20 << 20, started
    upload = {**layered, "uploadId": started["uploadId"]}
    aws.refused("EmptyUploadException", ecr.complete_layer_upload, **upload, layerDigests=[whole])
    part = lambda data, at: dict(partFirstByte=at, partLastByte=at + len(data) - 1, layerPartBlob=data)
    got = ecr.upload_layer_part(**upload, **part(first, 0))
    assert got["lastByteReceived"] == len(first) - 1, got
    aws.refused("InvalidLayerPartException", ecr.upload_layer_part, **upload, **part(first, 0))
    ecr.upload_layer_part(**upload, **part(rest, len(first)))
    aws.refused("InvalidLayerException", ecr.complete_layer_upload, **upload, layerDigests=[digest("other")])
    done = ecr.complete_layer_upload(**upload, layerDigests=[whole])
    assert done["layerDigest"] == whole and check(whole)[0] == ["AVAILABLE"], done
    aws.refused("UploadNotFoundException", ecr.complete_layer_upload, **upload, layerDigests=[whole])
    aws.refused("UploadNotFoundException", ecr.upload_layer_part, **upload, **part(rest, 0))

    url = ecr.get_download_url_for_layer(**layered, layerDigest=whole)["downloadUrl"]
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == first + rest
    some = urllib.request.Request(url, headers={"Range": f"bytes={len(first) - 1}-{len(first)}"})
    with urllib.request.urlopen(some) as answer:
        assert (answer.status, answer.read()) == (206, b"ab")
    try:
        urllib.request.urlopen(url[:-1] + ("0" if url[-1] != "0" else "1"))
        raise AssertionError("nobody gave this address out")
    except urllib.error.HTTPError as refused:
        assert refused.code == 403, refused

    again = {**layered, "uploadId": ecr.initiate_layer_upload(**layered)["uploadId"]}
    ecr.upload_layer_part(**again, **part(first, 0))
    ecr.upload_layer_part(**again, **part(rest, len(first)))
    aws.refused("LayerAlreadyExistsException", ecr.complete_layer_upload, **again, layerDigests=[whole])
    small = {**layered, "uploadId": ecr.initiate_layer_upload(**layered)["uploadId"]}
    ecr.upload_layer_part(**small, **part(rest, 0))
    ecr.upload_layer_part(**small, **part(rest, len(rest)))
    aws.refused("LayerPartTooSmallException", ecr.complete_layer_upload, **small, layerDigests=[whole])

    layer = {"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "size": len(first + rest), "digest": whole}
    text = json.dumps({"schemaVersion": 2, "mediaType": DOCKER, "config": layer, "layers": [layer]})
    aws.refused("LayersNotFoundException", ecr.put_image, repositoryName="other", imageManifest=text)
    ecr.put_image(**layered, imageManifest=text, imageTag="v1")
    held = ecr.batch_get_image(repositoryName="planted", imageIds=[{"imageTag": "release-5"}])["images"][0]
    made_up = json.loads(held["imageManifest"])["layers"][0]["digest"]
    aws.refused("LayerInaccessibleException", ecr.get_download_url_for_layer, repositoryName="planted", layerDigest=made_up)


def replication(aws, ecr):
    name, image = {"repositoryName": "replicated"}, {"imageTag": "v1"}

    def statuses():
        answer = ecr.describe_image_replication_status(**name, imageId=image)["replicationStatuses"]
        return {status["region"]: status for status in answer}

    done = aws.until(lambda: statuses() if all(one["status"] != "IN_PROGRESS" for one in statuses().values()) else None)
    assert {region: one["status"] for region, one in done.items()} == {"eu-west-1": "COMPLETE", "eu-north-1": "FAILED"}, done
    assert done["eu-north-1"]["failureCode"] == "KmsError" and "failureCode" not in done["eu-west-1"], done
    aws.refused("ImageNotFoundException", ecr.describe_image_replication_status, **name, imageId={"imageTag": "v9"})


def planted(aws, ecr):
    pages = ecr.get_paginator("describe_images").paginate(repositoryName="planted", PaginationConfig={"PageSize": 4})
    images = sorted((image for page in pages for image in page["imageDetails"]), key=lambda image: image["imagePushedAt"])
    tags = [image.get("imageTags") for image in images]
    assert tags == [["release-1"], ["release-2"], None, ["release-3"], ["release-4"], ["release-5"]], tags
    assert (images[-1]["imagePushedAt"] - images[-2]["imagePushedAt"]).days == 7, images
    assert images[2]["imageSizeInBytes"] == 12_345_678, images
    for image in ecr.batch_get_image(repositoryName="planted", imageIds=[{"imageTag": "release-5"}])["images"]:
        assert digest(image["imageManifest"]) == image["imageId"]["imageDigest"], "a digest is that of the manifest"
    newest = finished(ecr, "planted", {"imageTag": "release-5"})["imageScanFindings"]
    assert newest["findingSeverityCounts"] == {"HIGH": 1, "LOW": 1}, newest
    attributes = {entry["key"]: entry["value"] for entry in newest["findings"][0]["attributes"]}
    assert attributes["package_name"] == "openssl" and attributes["package_version"] == "3.0.1", attributes
    first = ecr.describe_image_scan_findings(repositoryName="planted", imageId={"imageTag": "release-5"}, maxResults=1)
    rest = ecr.describe_image_scan_findings(
        repositoryName="planted", imageId={"imageTag": "release-5"}, maxResults=1, nextToken=first["nextToken"]
    )
    names = [page["imageScanFindings"]["findings"][0]["name"] for page in (first, rest)]
    assert names == ["CVE-2026-0001", "CVE-2026-0002"] and "nextToken" not in rest, names
