"""Lambda."""


def drive(aws):
    functions = aws.client("lambda")
    registry = f"{aws.account}.dkr.ecr.{aws.region}.amazonaws.com"
    role = f"arn:aws:iam::{aws.account}:role/function"
    made = functions.create_function(
        FunctionName="resize", Role=role, PackageType="Image", Code={"ImageUri": f"{registry}/planted:release-2"}, Publish=True
    )
    arn = f"arn:aws:lambda:{aws.region}:{aws.account}:function:resize"
    assert made["PackageType"] == "Image" and made["FunctionArn"] == arn and made["Version"] == "1", made
    aws.refused(
        "ResourceConflictException", functions.create_function,
        FunctionName="resize", Role=role, PackageType="Image", Code={"ImageUri": f"{registry}/planted:release-2"},
    )
    aws.refused(
        "InvalidParameterValueException", functions.create_function,
        FunctionName="other", Role=role, PackageType="Image", Code={"ImageUri": f"{registry}/planted:absent"},
    )
    code = functions.get_function(FunctionName="resize")["Code"]
    assert code["ImageUri"] == f"{registry}/planted:release-2", code
    assert code["ResolvedImageUri"].startswith(f"{registry}/planted@sha256:"), code
    for name, version in ((arn, None), (f"{arn}:1", None), ("resize", "1")):
        given = {"FunctionName": name, **({"Qualifier": version} if version else {})}
        assert functions.get_function(**given)["Code"] == code, given
    aws.refused("ResourceNotFoundException", functions.get_function, FunctionName="absent")
    aws.refused("ResourceNotFoundException", functions.get_function, FunctionName="resize", Qualifier="9")
    pages = list(functions.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 1}))
    listed = [(found["FunctionName"], found["PackageType"]) for page in pages for found in page["Functions"]]
    assert listed == [("archive", "Zip"), ("planted", "Image"), ("resize", "Image")], listed
    every = functions.list_functions(FunctionVersion="ALL")["Functions"]
    versions = [(found["FunctionName"], found["Version"]) for found in every]
    assert versions == [
        ("archive", "$LATEST"), ("planted", "$LATEST"), ("planted", "1"), ("resize", "$LATEST"), ("resize", "1"),
    ], versions
