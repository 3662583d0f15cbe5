"""Secrets Manager."""

import uuid


def drive(aws):
    secrets = aws.client("secretsmanager")

    planted = secrets.get_secret_value(SecretId="prod/registry")
    assert planted["SecretString"] == '{"token":"planted-registry-token"}', planted
    assert planted["VersionStages"] == ["AWSCURRENT"], planted
    assert "planted-registry-token" not in str(aws.page("state")), "the dump holds no values"

    token = str(uuid.uuid4())
    made = secrets.create_secret(
        Name="app/db", ClientRequestToken=token, SecretString="one", Description="d", Tags=[{"Key": "team", "Value": "web"}]
    )
    assert made["VersionId"] == token and f":secret:app/db-" in made["ARN"], made
    again = secrets.create_secret(Name="app/db", ClientRequestToken=token, SecretString="one")
    assert again["ARN"] == made["ARN"]
    assert len(aws.effects("secretsmanager:CreateSecret")) == 1, "the same token makes one secret"
    aws.refused("ResourceExistsException", secrets.create_secret, Name="app/db", SecretString="two")
    aws.refused("ValidationException", secrets.create_secret, SecretString="no name")
    aws.refused("InvalidParameterException", secrets.create_secret, Name="x", SecretString="a", SecretBinary=b"b")

    second = str(uuid.uuid4())
    put = secrets.put_secret_value(SecretId="app/db", ClientRequestToken=second, SecretBinary=b"\x00two")
    assert put["VersionStages"] == ["AWSCURRENT"], put
    secrets.put_secret_value(SecretId="app/db", ClientRequestToken=second, SecretBinary=b"\x00two")
    assert len(aws.effects("secretsmanager:PutSecretValue")) == 1
    aws.refused(
        "ResourceExistsException", secrets.put_secret_value, SecretId="app/db", ClientRequestToken=second, SecretString="x"
    )
    assert secrets.get_secret_value(SecretId=made["ARN"])["SecretBinary"] == b"\x00two"
    assert secrets.get_secret_value(SecretId="app/db", VersionStage="AWSPREVIOUS")["SecretString"] == "one"
    assert secrets.get_secret_value(SecretId="app/db", VersionId=token)["SecretString"] == "one"
    aws.refused(
        "InvalidRequestException", secrets.get_secret_value, SecretId="app/db", VersionId=token, VersionStage="AWSCURRENT"
    )
    words = aws.refused("ResourceNotFoundException", secrets.get_secret_value, SecretId="absent")
    assert words == "Secrets Manager can't find the specified secret.", words
    aws.refused("ResourceNotFoundException", secrets.get_secret_value, SecretId="app/db", VersionStage="CANARY")

    third = secrets.update_secret(SecretId="app/db", SecretString='{"user":"u","password":"p"}', Description="changed")
    secrets.update_secret(SecretId="app/db", KmsKeyId="alias/web")
    secrets.tag_resource(SecretId="app/db", Tags=[{"Key": "stage", "Value": "test"}])
    secrets.untag_resource(SecretId="app/db", TagKeys=["team"])
    described = secrets.describe_secret(SecretId="app/db")
    assert described["Description"] == "changed" and described["KmsKeyId"] == "alias/web", described
    assert described["Tags"] == [{"Key": "stage", "Value": "test"}], described
    assert described["VersionIdsToStages"] == {third["VersionId"]: ["AWSCURRENT"], second: ["AWSPREVIOUS"]}, described

    aws.refused("InvalidRequestException", secrets.rotate_secret, SecretId="app/db")
    function = f"arn:aws:lambda:{aws.region}:{aws.account}:function:rotate"
    rotating = secrets.rotate_secret(
        SecretId="app/db", RotationLambdaARN=function, RotationRules={"AutomaticallyAfterDays": 30}
    )
    rotated = aws.until(
        lambda: (d := secrets.describe_secret(SecretId="app/db")).get("LastRotatedDate") and d,
    )
    assert rotated["VersionIdsToStages"][rotating["VersionId"]] == ["AWSCURRENT"], rotated
    assert rotated["RotationEnabled"] and (rotated["NextRotationDate"] - rotated["LastRotatedDate"]).days == 30, rotated
    fresh = secrets.get_secret_value(SecretId="app/db")["SecretString"]
    assert '"user":"u"' in fresh and '"password":"p"' not in fresh, fresh

    for number in range(5):
        secrets.create_secret(Name=f"many/{number}", SecretString="x")
    pages = list(secrets.get_paginator("list_secrets").paginate(
        Filters=[{"Key": "name", "Values": ["many/"]}], PaginationConfig={"PageSize": 2}
    ))
    names = [secret["Name"] for page in pages for secret in page["SecretList"]]
    assert len(pages) == 3 and sorted(names) == [f"many/{n}" for n in range(5)], names
    aws.refused("InvalidNextTokenException", secrets.list_secrets, NextToken="nonsense")

    versions = secrets.list_secret_version_ids(SecretId="app/db")
    found = {version["VersionId"]: version["VersionStages"] for version in versions["Versions"]}
    assert found == secrets.describe_secret(SecretId="app/db")["VersionIdsToStages"] and len(found) > 1, found
    first = secrets.list_secret_version_ids(SecretId="app/db", MaxResults=1)
    assert len(first["Versions"]) == 1 and first["NextToken"], first
    aws.refused("ResourceNotFoundException", secrets.list_secret_version_ids, SecretId="absent")
    aws.refused("InvalidNextTokenException", secrets.list_secret_version_ids, SecretId="app/db", NextToken="nonsense")

    gone = secrets.delete_secret(SecretId="app/db", RecoveryWindowInDays=7)
    aws.refused("InvalidRequestException", secrets.get_secret_value, SecretId="app/db")
    aws.refused("InvalidRequestException", secrets.create_secret, Name="app/db", SecretString="x")
    deleted = secrets.describe_secret(SecretId="app/db")["DeletedDate"]
    assert (gone["DeletionDate"] - deleted).days == 7, (gone, deleted)
    assert "app/db" not in [secret["Name"] for secret in secrets.list_secrets()["SecretList"]]
    secrets.restore_secret(SecretId="app/db")
    assert secrets.get_secret_value(SecretId="app/db")["SecretString"] == fresh
    aws.refused(
        "InvalidParameterException", secrets.delete_secret,
        SecretId="app/db", RecoveryWindowInDays=7, ForceDeleteWithoutRecovery=True,
    )
    secrets.delete_secret(SecretId="app/db", ForceDeleteWithoutRecovery=True)
    aws.refused("ResourceNotFoundException", secrets.describe_secret, SecretId="app/db")
    aws.refused("UnknownOperationException", secrets.get_random_password)
