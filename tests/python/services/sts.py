"""STS."""

import json


def drive(aws):
    sts = aws.client("sts")
    me = sts.get_caller_identity()
    assert me["Account"] == aws.account and me["Arn"].endswith(":user/kiln"), me

    role = f"arn:aws:iam::{aws.account}:role/deployer"
    policy = json.dumps({"Version": "2012-10-17", "Statement": []})
    answer = sts.assume_role(RoleArn=role, RoleSessionName="kiln-1", DurationSeconds=900, Policy=policy)
    credentials = answer["Credentials"]
    assert answer["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{aws.account}:assumed-role/deployer/kiln-1", answer
    assert credentials["AccessKeyId"].startswith("ASIA") and answer["PackedPolicySize"] > 0, answer
    keys = credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"]
    session = aws.page("state")["sts"]["sessions"][keys[0]]
    assert session["policy"] == policy and session["role"] == role, session
    assert abs(session["expires"] - session["began"] - 900) < 0.01, session

    inside = aws.client("sts", *keys)
    assert inside.get_caller_identity()["Arn"] == answer["AssumedRoleUser"]["Arn"]
    chained = aws.refused("ValidationError", inside.assume_role, RoleArn=role, RoleSessionName="kiln-1", DurationSeconds=7200)
    assert "role chaining" in chained, chained

    other = sts.assume_role(RoleArn="arn:aws:iam::222222222222:role/any/path/ops", RoleSessionName="kiln-1")["Credentials"]
    keys = other["AccessKeyId"], other["SecretAccessKey"], other["SessionToken"]
    assert aws.client("sts", *keys).get_caller_identity()["Account"] == "222222222222"

    closed = f"arn:aws:iam::{aws.account}:role/closed"
    words = aws.refused("AccessDenied", sts.assume_role, RoleArn=closed, RoleSessionName="kiln-1")
    assert words.endswith(f"is not authorized to perform: sts:AssumeRole on resource: {closed}"), words
    absent = f"arn:aws:iam::{aws.account}:role/absent"
    aws.refused("AccessDenied", sts.assume_role, RoleArn=absent, RoleSessionName="kiln-1")
    aws.refused("ValidationError", sts.assume_role, RoleArn=role)
    aws.refused("ValidationError", sts.assume_role, RoleArn="nonsense", RoleSessionName="kiln-1")
    aws.refused("MalformedPolicyDocument", sts.assume_role, RoleArn=role, RoleSessionName="kiln-1", Policy="{")
    aws.refused("InvalidAction", sts.get_session_token)
