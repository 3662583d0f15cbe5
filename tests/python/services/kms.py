"""KMS."""


def drive(aws):
    kms = aws.client("kms")
    key = kms.create_key(Description="for coverage")["KeyMetadata"]
    assert key["KeyState"] == "Enabled" and key["Arn"].endswith(f":key/{key['KeyId']}"), key
    kms.create_alias(AliasName="alias/coverage", TargetKeyId=key["KeyId"])
    aws.refused("AlreadyExistsException", kms.create_alias, AliasName="alias/coverage", TargetKeyId=key["KeyId"])
    aws.refused("ValidationException", kms.create_alias, AliasName="coverage", TargetKeyId=key["KeyId"])
    aws.refused("NotAuthorizedException", kms.create_alias, AliasName="alias/aws/coverage", TargetKeyId=key["KeyId"])
    aliases = kms.list_aliases(KeyId=key["KeyId"])["Aliases"]
    assert [alias["AliasName"] for alias in aliases] == ["alias/coverage"], aliases
    ids = (key["KeyId"], key["Arn"], "alias/coverage", aliases[0]["AliasArn"])
    for which in ids:
        assert kms.describe_key(KeyId=which)["KeyMetadata"]["Arn"] == key["Arn"], which
    aws.refused("NotFoundException", kms.describe_key, KeyId="alias/absent")

    listed = kms.list_keys()["Keys"]
    assert key["KeyId"] in [entry["KeyId"] for entry in listed] and len(listed) == 2, listed
    words = aws.refused("KMSInternalException", kms.list_keys)
    assert "planted fault" in words, words
    aws.refused("InvalidMarkerException", kms.list_keys, Marker="nonsense")
    first = kms.list_keys(Limit=1)
    rest = kms.list_keys(Limit=1, Marker=first["NextMarker"])
    assert first["Truncated"] and not rest["Truncated"] and first["Keys"] + rest["Keys"] == listed

    context = {"app": "web", "stage": "prod"}
    sealed = kms.encrypt(KeyId="alias/coverage", Plaintext=b"secret \xff", EncryptionContext=context)
    assert b"secret" not in sealed["CiphertextBlob"] and sealed["KeyId"] == key["Arn"], sealed
    opened = kms.decrypt(CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext=context)
    assert opened["Plaintext"] == b"secret \xff" and opened["KeyId"] == key["Arn"], opened
    aws.refused("InvalidCiphertextException", kms.decrypt, CiphertextBlob=sealed["CiphertextBlob"])
    altered = sealed["CiphertextBlob"][:-1] + bytes([sealed["CiphertextBlob"][-1] ^ 1])
    aws.refused("InvalidCiphertextException", kms.decrypt, CiphertextBlob=altered, EncryptionContext=context)
    aws.refused("InvalidCiphertextException", kms.decrypt, CiphertextBlob=b"short")
    aws.refused(
        "IncorrectKeyException", kms.decrypt,
        KeyId="alias/web", CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext=context,
    )
    aws.refused("ValidationException", kms.encrypt, KeyId=key["KeyId"], Plaintext=b"x" * 4097)

    data = kms.generate_data_key(KeyId=key["KeyId"], KeySpec="AES_256")
    assert len(data["Plaintext"]) == 32
    assert kms.decrypt(CiphertextBlob=data["CiphertextBlob"])["Plaintext"] == data["Plaintext"]

    kms.disable_key(KeyId=key["KeyId"])
    words = aws.refused("DisabledException", kms.encrypt, KeyId=key["KeyId"], Plaintext=b"x")
    assert words == f"{key['Arn']} is disabled.", words
    kms.enable_key(KeyId=key["KeyId"])
    kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x")
    granted(aws, kms, key)
    kms.delete_alias(AliasName="alias/coverage")
    aws.refused("NotFoundException", kms.describe_key, KeyId="alias/coverage")


def by_cli(aws):
    """What the AWS CLI can say: it has no way to give bytes that are no text."""
    kms = aws.client("kms")
    granted(aws, kms, kms.create_key()["KeyMetadata"])


def granted(aws, kms, key):
    """Who may use a key."""
    told = kms.get_key_policy(KeyId=key["KeyId"], PolicyName="default")
    assert f"arn:aws:iam::{aws.account}:root" in told["Policy"], told
    policy = '{"Version": "2012-10-17", "Statement": []}'
    kms.put_key_policy(KeyId=key["KeyId"], PolicyName="default", Policy=policy)
    assert kms.get_key_policy(KeyId=key["Arn"])["Policy"] == policy
    aws.refused("MalformedPolicyDocumentException", kms.put_key_policy, KeyId=key["KeyId"], Policy="{")
    aws.refused("NotFoundException", kms.get_key_policy, KeyId=key["KeyId"], PolicyName="other")
    aws.refused("InvalidArnException", kms.get_key_policy, KeyId="alias/coverage")
    role = f"arn:aws:iam::{aws.account}:role/scaling"
    grant = kms.create_grant(KeyId=key["KeyId"], GranteePrincipal=role, Operations=["Decrypt"], Name="scaling")
    again = kms.create_grant(KeyId=key["KeyId"], GranteePrincipal=role, Operations=["CreateGrant"])
    assert grant["GrantId"] != again["GrantId"], grant
    aws.refused("InvalidArnException", kms.create_grant, KeyId=key["KeyId"], GranteePrincipal="me", Operations=["Decrypt"])
    pages = list(kms.get_paginator("list_grants").paginate(KeyId=key["KeyId"], PaginationConfig={"PageSize": 1}))
    grants = [one for page in pages for one in page["Grants"]]
    assert [one["GrantId"] for one in grants] == [grant["GrantId"], again["GrantId"]] and len(pages) == 2, grants
    assert grants[0]["GranteePrincipal"] == role and grants[0]["Operations"] == ["Decrypt"], grants
    assert kms.list_grants(KeyId=key["KeyId"], GranteePrincipal="arn:aws:iam::1:role/x")["Grants"] == []
