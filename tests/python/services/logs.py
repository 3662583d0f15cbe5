"""CloudWatch Logs."""

import time


def drive(aws):
    logs = aws.client("logs")
    logs.create_log_group(logGroupName="/app/web", logGroupClass="STANDARD")
    aws.refused("ResourceAlreadyExistsException", logs.create_log_group, logGroupName="/app/web")
    aws.refused("InvalidParameterException", logs.create_log_group, logGroupName="no spaces")
    aws.refused("InvalidParameterException", logs.create_log_group)
    logs.create_log_group(logGroupName="/app/worker")
    logs.put_retention_policy(logGroupName="/app/web", retentionInDays=7)
    aws.refused("InvalidParameterException", logs.put_retention_policy, logGroupName="/app/web", retentionInDays=8)
    groups = logs.describe_log_groups(logGroupNamePrefix="/app/")["logGroups"]
    assert [group["logGroupName"] for group in groups] == ["/app/web", "/app/worker"], groups
    assert groups[0]["retentionInDays"] == 7 and groups[0]["arn"] == groups[0]["logGroupArn"] + ":*", groups
    pages = logs.get_paginator("describe_log_groups").paginate(logGroupNamePattern="pp/w", PaginationConfig={"PageSize": 1})
    assert [len(page["logGroups"]) for page in pages] == [1, 1]
    logs.delete_retention_policy(logGroupName="/app/web")
    assert "retentionInDays" not in logs.describe_log_groups(logGroupNamePrefix="/app/web")["logGroups"][0]

    for name in ("one", "two"):
        logs.create_log_stream(logGroupName="/app/web", logStreamName=name)
    aws.refused("ResourceAlreadyExistsException", logs.create_log_stream, logGroupName="/app/web", logStreamName="one")
    words = aws.refused("ResourceNotFoundException", logs.create_log_stream, logGroupName="/absent", logStreamName="x")
    assert words == "The specified log group does not exist.", words

    # The world's clock runs faster than this one, and began with it.
    now = int(time.time() * 1000)
    lines = [{"timestamp": now + number, "message": f"line {number}"} for number in range(10)]
    put = logs.put_log_events(logGroupName="/app/web", logStreamName="one", logEvents=lines)
    assert len(put["nextSequenceToken"]) == 56 and "rejectedLogEventsInfo" not in put, put
    aws.refused(
        "InvalidParameterException", logs.put_log_events,
        logGroupName="/app/web", logStreamName="one", logEvents=list(reversed(lines)),
    )
    words = aws.refused(
        "ResourceNotFoundException", logs.put_log_events, logGroupName="/app/web", logStreamName="x", logEvents=lines
    )
    assert words == "The specified log stream does not exist.", words
    month = 30 * 86_400_000
    mixed = [
        {"timestamp": now - month, "message": "too old"},
        {"timestamp": now, "message": "ERROR kept"},
        {"timestamp": now + month, "message": "too new"},
    ]
    put = logs.put_log_events(logGroupName="/app/web", logStreamName="two", logEvents=mixed)
    assert put["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 1, "tooNewLogEventStartIndex": 2}, put

    where = {"logGroupName": "/app/web", "logStreamName": "one"}
    read = lambda **more: logs.get_log_events(**where, **more)
    texts = lambda page: [event["message"] for event in page["events"]]
    newest = read(limit=3)
    assert texts(newest) == ["line 7", "line 8", "line 9"], newest
    older = read(limit=3, nextToken=newest["nextBackwardToken"])
    assert texts(older) == ["line 4", "line 5", "line 6"], older
    end = read(nextToken=newest["nextForwardToken"])
    assert texts(end) == [] and end["nextForwardToken"] == newest["nextForwardToken"], end
    back = read(nextToken=end["nextBackwardToken"])
    assert texts(back) == [f"line {number}" for number in range(10)], back

    found, token = [], None
    while True:
        page = read(startFromHead=True, limit=4, **({"nextToken": token} if token else {}))
        found += texts(page)
        if page["nextForwardToken"] == token:
            break
        token = page["nextForwardToken"]
    assert found == [f"line {number}" for number in range(10)], found
    some = read(startTime=now + 2, endTime=now + 5, startFromHead=True)
    assert texts(some) == ["line 2", "line 3", "line 4"], some
    by_arn = logs.get_log_events(logGroupIdentifier=groups[0]["logGroupArn"], logStreamName="one")
    assert len(by_arn["events"]) == 10
    aws.refused("InvalidParameterException", logs.get_log_events, **where, nextToken="nonsense")

    streams = logs.describe_log_streams(logGroupName="/app/web", orderBy="LastEventTime", descending=True)["logStreams"]
    assert [stream["logStreamName"] for stream in streams] == ["one", "two"], streams
    assert streams[0]["firstEventTimestamp"] == now and streams[0]["lastEventTimestamp"] == now + 9, streams
    pages = logs.get_paginator("describe_log_streams").paginate(logGroupName="/app/web", PaginationConfig={"PageSize": 1})
    assert [stream["logStreamName"] for page in pages for stream in page["logStreams"]] == ["one", "two"]

    errors = logs.filter_log_events(logGroupName="/app/web", filterPattern="ERROR")["events"]
    assert [(event["logStreamName"], event["message"]) for event in errors] == [("two", "ERROR kept")], errors
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName="/app/web", logStreamNames=["one"], filterPattern="line -5", PaginationConfig={"PageSize": 4}
    )
    assert [len(page["events"]) for page in pages] == [4, 4, 1]

    logs.delete_log_stream(logGroupName="/app/web", logStreamName="two")
    aws.refused("ResourceNotFoundException", logs.get_log_events, logGroupName="/app/web", logStreamName="two")
    logs.delete_log_group(logGroupName="/app/web")
    logs.delete_log_group(logGroupName="/app/worker")
    aws.refused("ResourceNotFoundException", logs.delete_log_group, logGroupName="/app/web")
