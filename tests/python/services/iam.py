"""IAM."""


def drive(aws):
    iam = aws.client("iam")
    role = f"arn:aws:iam::{aws.account}:role/bounded"
    web = f"arn:aws:iam::{aws.account}:role/web-task"
    repository = f"arn:aws:ecr:{aws.region}:{aws.account}:repository/planted"

    def simulate(actions, resources=None, source=role, **more):
        if resources:
            more["ResourceArns"] = resources
        return iam.simulate_principal_policy(PolicySourceArn=source, ActionNames=actions, **more)

    answer = simulate(["ecr:DescribeImages", "ecr:PutImage", "ecr:BatchDeleteImage"], [repository, f"{repository}2"])
    assert not answer["IsTruncated"] and "Marker" not in answer, answer
    decisions = {
        (result["EvalActionName"], one["EvalResourceName"]): one["EvalResourceDecision"]
        for result in answer["EvaluationResults"]
        for one in result["ResourceSpecificResults"]
    }
    assert decisions == {
        ("ecr:DescribeImages", repository): "allowed",
        ("ecr:DescribeImages", f"{repository}2"): "implicitDeny",
        ("ecr:PutImage", repository): "implicitDeny",
        ("ecr:PutImage", f"{repository}2"): "implicitDeny",
        ("ecr:BatchDeleteImage", repository): "explicitDeny",
        ("ecr:BatchDeleteImage", f"{repository}2"): "explicitDeny",
    }, decisions
    whole = [result["EvalDecision"] for result in answer["EvaluationResults"]]
    assert whole == ["implicitDeny", "implicitDeny", "explicitDeny"], whole
    matched = answer["EvaluationResults"][2]["MatchedStatements"]
    assert matched == [{"SourcePolicyId": "bounded", "SourcePolicyType": "role"}], matched

    def refused(code, actions, resources=None, source=role, **more):
        if resources:
            more["ResourceArns"] = resources
        return aws.refused(code, iam.simulate_principal_policy, PolicySourceArn=source, ActionNames=actions, **more)

    # A condition's key is named where it was not given.
    missing = simulate(["iam:PassRole"], [web])["EvaluationResults"][0]["ResourceSpecificResults"][0]
    assert missing["MissingContextValues"] == ["iam:PassedToService"], missing
    assert missing["EvalResourceDecision"] == "implicitDeny", missing
    for service, decision in [("ecs-tasks.amazonaws.com", "allowed"), ("ec2.amazonaws.com", "implicitDeny")]:
        entry = {"ContextKeyName": "iam:PassedToService", "ContextKeyValues": [service], "ContextKeyType": "string"}
        answer = simulate(["iam:PassRole"], [web], ContextEntries=[entry])
        assert answer["EvaluationResults"][0]["EvalDecision"] == decision, answer

    # Without resources it is asked about all of them, and pages join to the whole.
    first = simulate(["sts:GetCallerIdentity", "ecs:ListClusters"], MaxItems=1)
    assert first["IsTruncated"] and len(first["EvaluationResults"]) == 1, first
    assert first["EvaluationResults"][0]["EvalResourceName"] == "*", first
    second = simulate(["sts:GetCallerIdentity", "ecs:ListClusters"], MaxItems=1, Marker=first["Marker"])
    assert not second["IsTruncated"] and second["EvaluationResults"][0]["EvalActionName"] == "ecs:ListClusters", second
    refused("InvalidInput", ["ecs:ListClusters"], Marker="nonsense")

    # Whoever has no policy may do everything.
    for source in [f"arn:aws:iam::{aws.account}:user/kiln", f"arn:aws:iam::{aws.account}:role/deployer"]:
        answer = simulate(["ecr:PutImage"], [repository], source=source)
        assert answer["EvaluationResults"][0]["EvalDecision"] == "allowed", answer
    refused("NoSuchEntity", ["ecr:PutImage"], source=f"arn:aws:iam::{aws.account}:role/absent")
    refused("NoSuchEntity", ["ecr:PutImage"], source=f"arn:aws:iam::{aws.account}:user/absent")
    refused("InvalidInput", ["ecr:PutImage"], source=f"arn:aws:iam::{aws.account}:root-of-all-evil")
    refused("InvalidInput", ["nonsense"])
    refused("InvalidInput", ["ecr:PutImage"], ["nonsense"])
    words = refused("InvalidInput", ["ecr:PutImage"], PolicyInputList=["{}"])
    assert words == "The simulator does not evaluate PolicyInputList.", words
