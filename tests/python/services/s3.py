"""S3: objects are put, and read again by version."""


def drive(aws):
    s3 = aws.client("s3")
    of = {"Bucket": "planted", "Key": "templates/a b.yaml"}
    assert s3.get_object(Bucket="planted", Key="child.yaml")["Body"].read().startswith(b"Parameters:")
    first = s3.put_object(**of, Body=b"one", ServerSideEncryption="aws:kms", SSEKMSKeyId="alias/web", ContentType="text/plain")
    second = s3.put_object(**of, Body=b"two", ExpectedBucketOwner=aws.account)
    assert first["VersionId"] != second["VersionId"] and second["ServerSideEncryption"] == "AES256", (first, second)
    assert s3.get_object(**of)["Body"].read() == b"two"
    found = s3.get_object(**of, VersionId=first["VersionId"])
    assert (found["Body"].read(), found["ContentType"], found["SSEKMSKeyId"]) == (b"one", "text/plain", "alias/web"), found
    head = s3.head_object(**of)
    assert head["ContentLength"] == 3 and head["ETag"] == second["ETag"], head
    aws.refused("404", s3.head_object, Bucket="planted", Key="absent")
    aws.refused("NoSuchKey", s3.get_object, Bucket="planted", Key="absent")
    aws.refused("NoSuchVersion", s3.get_object, **of, VersionId="absent")
    aws.refused("NoSuchBucket", s3.put_object, Bucket="absent", Key="a", Body=b"")
    aws.refused("AccessDenied", s3.put_object, **of, Body=b"", ExpectedBucketOwner="222222222222")
