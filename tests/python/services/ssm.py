"""Systems Manager: parameters."""


def drive(aws):
    ssm = aws.client("ssm")
    given = {"Name": "/coverage/ami", "Value": "ami-1", "Type": "String", "DataType": "aws:ec2:image"}
    assert ssm.put_parameter(**given)["Version"] == 1
    aws.refused("ParameterAlreadyExists", ssm.put_parameter, **given)
    assert ssm.put_parameter(**{**given, "Value": "ami-2", "Overwrite": True, "Description": "d"})["Version"] == 2
    assert ssm.put_parameter(Name="/coverage/ami", Value="ami-3", Overwrite=True)["Version"] == 3, "of the same type"
    aws.refused("ValidationException", ssm.put_parameter, Name="/coverage/new", Value="x")
    aws.refused("ValidationException", ssm.put_parameter, **{**given, "Name": "/coverage/x", "Value": "x"})
    aws.refused("ValidationException", ssm.put_parameter, **{**given, "Name": "/aws/x"})
    aws.refused("ValidationException", ssm.put_parameter, **{**given, "Name": "coverage/x"})

    found = ssm.get_parameter(Name="/coverage/ami")["Parameter"]
    arn = f"arn:aws:ssm:{aws.region}:{aws.account}:parameter/coverage/ami"
    assert found["Value"] == "ami-3" and found["Version"] == 3 and found["ARN"] == arn, found
    assert ssm.get_parameter(Name=arn)["Parameter"]["Value"] == "ami-3"
    older = ssm.get_parameter(Name="/coverage/ami:1")["Parameter"]
    assert older["Value"] == "ami-1" and older["Selector"] == ":1", older
    aws.refused("ParameterVersionNotFound", ssm.get_parameter, Name="/coverage/ami:9")
    aws.refused("ParameterNotFound", ssm.get_parameter, Name="/coverage/absent")

    labelled = ssm.label_parameter_version(Name="/coverage/ami", ParameterVersion=2, Labels=["stable", "9bad"])
    assert labelled == {**labelled, "ParameterVersion": 2, "InvalidLabels": ["9bad"]}, labelled
    assert ssm.get_parameter(Name="/coverage/ami:stable")["Parameter"]["Value"] == "ami-2"
    ssm.label_parameter_version(Name="/coverage/ami", Labels=["stable"])
    assert ssm.get_parameter(Name="/coverage/ami:stable")["Parameter"]["Version"] == 3, "a label moves"
    aws.refused(
        "ParameterVersionNotFound", ssm.label_parameter_version, Name="/coverage/ami", ParameterVersion=9, Labels=["x"],
    )

    pages = list(ssm.get_paginator("get_parameter_history").paginate(Name="/coverage/ami", PaginationConfig={"PageSize": 2}))
    history = [version for page in pages for version in page["Parameters"]]
    assert len(pages) == 2 and [version["Value"] for version in history] == ["ami-1", "ami-2", "ami-3"], history
    assert [version.get("Labels", []) for version in history] == [[], [], ["stable"]], history
    assert history[1]["Description"] == "d" or history[2]["Description"] == "d", history
    aws.refused("ParameterNotFound", ssm.get_parameter_history, Name="/coverage/absent")

    secret = ssm.get_parameter(Name="/planted/secret")["Parameter"]
    assert secret["Type"] == "SecureString" and "planted-parameter-secret" not in secret["Value"], secret
    opened = ssm.get_parameter(Name="/planted/secret", WithDecryption=True)["Parameter"]
    assert opened["Value"] == "planted-parameter-secret", opened
    assert "planted-parameter-secret" not in str(aws.page("state")), "nobody who looks into the world sees it"

    ssm.put_parameter(Name="/coverage/deep/er", Value="x", Type="String")
    below = ssm.get_parameters_by_path(Path="/coverage")["Parameters"]
    assert [found["Name"] for found in below] == ["/coverage/ami"], below
    pages = list(
        ssm.get_paginator("get_parameters_by_path").paginate(Path="/", Recursive=True, PaginationConfig={"PageSize": 1})
    )
    names = [found["Name"] for page in pages for found in page["Parameters"]]
    assert {"/coverage/ami", "/coverage/deep/er", "/planted/ami"} <= set(names) and len(pages) == len(names), names
    aws.refused("ValidationException", ssm.get_parameters_by_path, Path="coverage")

    pages = ssm.get_paginator("describe_parameters").paginate(
        ParameterFilters=[{"Key": "Name", "Option": "BeginsWith", "Values": ["/planted/"]}],
        PaginationConfig={"PageSize": 1},
    )
    described = {found["Name"]: found["Type"] for page in pages for found in page["Parameters"]}
    assert described["/planted/ami"] == "String" and described["/planted/secret"] == "SecureString", described
    only = ssm.describe_parameters(ParameterFilters=[{"Key": "Type", "Values": ["SecureString"]}])["Parameters"]
    assert [found["Name"] for found in only] == ["/planted/secret"], only
    aws.refused(
        "InvalidFilterKey", ssm.describe_parameters, ParameterFilters=[{"Key": "Path", "Values": ["/planted"]}],
    )
    ssm.delete_parameter(Name="/coverage/deep/er")
    aws.refused("ParameterNotFound", ssm.delete_parameter, Name="/coverage/deep/er")
