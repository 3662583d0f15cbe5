"""STS."""

import json


def drive(aws):
    sts = aws.client("sts")
    me = sts.get_caller_identity()
    assert me["Account"] == aws.account and me["Arn"].endswith(":user/kiln"), me

    role = f"arn:aws:iam::{aws.account}:role/deployer"
    statement = {"Effect": "Allow", "Action": ["sts:AssumeRole", "ecr:Describe*"], "Resource": [role, f"arn:aws:ecr:*:{aws.account}:*/pl*"]}
    policy = json.dumps({"Version": "2012-10-17", "Statement": statement})
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

    # AWS holds the session to its policy, the client to its secret, and the key to its token.
    ecr = aws.client("ecr", *keys)
    ecr.describe_images(repositoryName="planted")
    words = aws.refused("AccessDeniedException", ecr.list_images, repositoryName="planted")
    arn = f"arn:aws:ecr:{aws.region}:{aws.account}:repository/planted"
    assert words.endswith(f"ecr:ListImages on resource: {arn} because no session policy allows the ecr:ListImages action"), words
    words = aws.refused("SignatureDoesNotMatch", aws.client("sts", keys[0], "wrong", keys[2]).get_caller_identity)
    assert words.startswith("The request signature we calculated does not match"), words
    aws.refused("InvalidSignatureException", aws.client("ecr", keys[0], "wrong", keys[2]).describe_repositories)
    aws.refused("InvalidClientTokenId", aws.client("sts", keys[0], keys[1], "wrong").get_caller_identity)
    aws.refused("UnrecognizedClientException", aws.client("ecr", keys[0], keys[1]).describe_repositories)
    cloudwatch = aws.client("cloudwatch", *keys)
    words = aws.refused("AccessDenied", cloudwatch.describe_alarms, AlarmNames=["web-5xx"])
    assert words.endswith("because no session policy allows the cloudwatch:DescribeAlarms action"), words

    other = sts.assume_role(RoleArn="arn:aws:iam::222222222222:role/any/path/ops", RoleSessionName="kiln-1")["Credentials"]
    keys = other["AccessKeyId"], other["SecretAccessKey"], other["SessionToken"]
    assert aws.client("sts", *keys).get_caller_identity()["Account"] == "222222222222"

    closed = f"arn:aws:iam::{aws.account}:role/closed"
    words = aws.refused("AccessDenied", sts.assume_role, RoleArn=closed, RoleSessionName="kiln-1")
    assert words.endswith(f"is not authorized to perform: sts:AssumeRole on resource: {closed}"), words
    absent = f"arn:aws:iam::{aws.account}:role/absent"
    aws.refused("AccessDenied", sts.assume_role, RoleArn=absent, RoleSessionName="kiln-1")
    aws.refused("ValidationError", sts.assume_role, RoleArn=role)
    aws.refused("MalformedInput", sts.assume_role, RoleArn=role, RoleSessionName="kiln-1", DurationSeconds="soon")
    aws.refused("ValidationError", sts.assume_role, RoleArn="nonsense", RoleSessionName="kiln-1")
    aws.refused("MalformedPolicyDocument", sts.assume_role, RoleArn=role, RoleSessionName="kiln-1", Policy="{")
    aws.refused("InvalidAction", sts.get_federation_token, Name="kiln")

    own = sts.get_session_token(DurationSeconds=900)["Credentials"]
    keys = own["AccessKeyId"], own["SecretAccessKey"], own["SessionToken"]
    session = aws.client("sts", *keys)
    assert session.get_caller_identity()["Arn"] == sts.get_caller_identity()["Arn"], session.get_caller_identity()
    aws.refused("AccessDenied", session.get_session_token)
