"""DynamoDB."""

from botocore.exceptions import ClientError


def drive(aws):
    dynamodb = aws.client("dynamodb")
    table = "coverage"
    keys = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
    attributes = [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")]
    make = dict(TableName=table, KeySchema=keys, AttributeDefinitions=attributes, BillingMode="PAY_PER_REQUEST")
    made = dynamodb.create_table(**make)["TableDescription"]
    assert made["TableStatus"] == "ACTIVE" and made["TableArn"].endswith(":table/coverage"), made
    aws.refused("ResourceInUseException", dynamodb.create_table, **make)
    assert dynamodb.describe_table(TableName=table)["Table"]["KeySchema"] == keys
    aws.refused("ResourceNotFoundException", dynamodb.describe_table, TableName="absent")
    dynamodb.create_table(**{**make, "TableName": "coverage-2"})
    first = dynamodb.list_tables(Limit=1)
    rest = dynamodb.list_tables(ExclusiveStartTableName=first["LastEvaluatedTableName"])
    assert first["TableNames"] + rest["TableNames"] == dynamodb.list_tables()["TableNames"], (first, rest)
    assert "LastEvaluatedTableName" not in rest and "coverage-2" in rest["TableNames"], rest
    walk(dynamodb, table)
    aws.refused("ResourceNotFoundException", dynamodb.get_item, TableName="absent", Key=key("a", "1"))
    other = [{"Put": {"TableName": table, "Item": key("a", "2")}}]
    aws.refused(
        "IdempotentParameterMismatchException", dynamodb.transact_write_items, TransactItems=other, ClientRequestToken="one"
    )
    aws.refused("ValidationException", dynamodb.get_item, TableName=table, Key={"pk": {"S": "a"}})
    large = {**key("a", "large"), "data": {"B": b"x" * (401 << 10)}}
    aws.refused("ValidationException", dynamodb.put_item, TableName=table, Item=large)


def key(pk, sk):
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def refused(call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        reasons = [reason.get("Code") for reason in error.response.get("CancellationReasons", [])]
        return error.response["Error"]["Code"], reasons
    raise AssertionError(f"{arguments} was not refused")


def walk(dynamodb, table):
    """What leases and journals need, with the same answers of every DynamoDB. Answers what was seen on the way."""
    seen = []
    absent = dict(ConditionExpression="attribute_not_exists(#k)", ExpressionAttributeNames={"#k": "pk"})
    first = {**key("run#1", "00000"), "frames": {"B": b"\x00\xff"}, "last": {"N": "4"}}
    dynamodb.put_item(TableName=table, Item=first, **absent)
    seen.append(refused(dynamodb.put_item, TableName=table, Item=first, **absent))
    got = dynamodb.get_item(TableName=table, Key=key("run#1", "00000"), ConsistentRead=True)["Item"]
    assert got == first, got
    assert "Item" not in dynamodb.get_item(TableName=table, Key=key("run#1", "absent"))

    lease = {**key("lease#1", "production"), "nonce": {"S": "n1"}, "fence": {"N": "9"}}
    dynamodb.put_item(TableName=table, Item=lease)
    mine = dict(
        ConditionExpression="#n = :n AND #f = :f",
        ExpressionAttributeNames={"#n": "nonce", "#f": "fence"},
        ExpressionAttributeValues={":n": {"S": "n1"}, ":f": {"N": "9"}},
    )
    taken = {**lease, "nonce": {"S": "n2"}, "fence": {"N": "10"}}

    def append(number):
        item = {**key("run#1", number), "last": {"N": "5"}}
        return [
            {"ConditionCheck": {"TableName": table, "Key": key("lease#1", "production"), **mine}},
            {"Put": {"TableName": table, "Item": item, **absent}},
        ]

    dynamodb.transact_write_items(TransactItems=append("00005"), ClientRequestToken="one")
    seen.append(refused(dynamodb.transact_write_items, TransactItems=append("00005"), ClientRequestToken="two"))
    dynamodb.put_item(TableName=table, Item=taken, **mine)
    seen.append(refused(dynamodb.put_item, TableName=table, Item=taken, **mine))
    seen.append(refused(dynamodb.transact_write_items, TransactItems=append("00006"), ClientRequestToken="three"))

    for number in range(10, 15):
        dynamodb.put_item(TableName=table, Item=key("run#1", f"{number:05}"))
    of_run = dict(
        TableName=table,
        KeyConditionExpression="#p = :p AND begins_with(#s, :s)",
        ExpressionAttributeNames={"#p": "pk", "#s": "sk"},
        ExpressionAttributeValues={":p": {"S": "run#1"}, ":s": {"S": "000"}},
    )
    found = dynamodb.query(**of_run)
    seen.append([item["sk"]["S"] for item in found["Items"]])
    page = dynamodb.query(Limit=3, ScanIndexForward=False, **of_run)
    rest = dynamodb.query(ScanIndexForward=False, ExclusiveStartKey=page["LastEvaluatedKey"], **of_run)
    backwards = [item["sk"]["S"] for item in page["Items"] + rest["Items"]]
    assert backwards == list(reversed(seen[-1])), backwards
    gone = dynamodb.delete_item(TableName=table, Key=key("run#1", "00014"), ReturnValues="ALL_OLD")
    assert gone["Attributes"] == key("run#1", "00014"), gone
    return seen
