"""What is planted in an answer is found, in each protocol, by the way that the coverage script takes."""

import json
import struct
import unittest

from botocore.awsrequest import AWSResponse

from coverage import Aws, verdict

SPACE = "http://monitoring.amazonaws.com/doc/2010-08-01/"
AT = 1_767_603_600
PROTOCOLS = ("json", "smithy-rpc-v2-cbor", "query")


class At(float):
    """An instant, which each protocol writes in its own way."""


ALARM = {
    "AlarmName": "web", "ActionsEnabled": True, "StateValue": "OK", "Threshold": 1.5, "Period": 60,
    "StateUpdatedTimestamp": At(AT), "Dimensions": [{"Name": "Service", "Value": "web"}],
}
ANSWER = {"MetricAlarms": [ALARM], "NextToken": "t"}

# What is planted in the alarm, and what is found.
PLANTED = {
    "an unknown member": ({"Colour": "red"}, "MetricAlarms[].Colour is no member of the model"),
    "a text for a number": ({"Period": "soon"}, "MetricAlarms[].Period is 'soon', and the model has a integer"),
    "a fraction for a whole number": ({"Period": 1.5}, "MetricAlarms[].Period is {}, and the model has a integer"),
    "a number of 33 bits": ({"Period": 1 << 32}, "MetricAlarms[].Period is 4294967296, and the model has a integer"),
    "a text for a float": ({"Threshold": "x"}, "MetricAlarms[].Threshold is 'x', and the model has a double"),
    "a number for a flag": ({"ActionsEnabled": 1}, "MetricAlarms[].ActionsEnabled is {}, and the model has a boolean"),
    "milliseconds": ({"StateUpdatedTimestamp": At(AT * 1000)}, "MetricAlarms[].StateUpdatedTimestamp is "),
    "a text for a list": ({"Dimensions": "web"}, "MetricAlarms[].Dimensions is 'web', and the model has a list"),
    "a missing member": ({"Dimensions": [{"Name": "Service"}]}, "Dimensions[].Value is not there, and the model requires"),
    "no such state": ({"StateValue": "FINE"}, "MetricAlarms[].StateValue is 'FINE', which is none of the model's OK, ALARM"),
}


class Planted(unittest.TestCase):
    def test_an_answer_as_aws_gives_it_has_no_differences(self):
        for protocol in PROTOCOLS:
            with self.subTest(protocol):
                self.assertEqual(found(protocol, ANSWER), [])

    def test_each_deviation_of_an_answer_is_found(self):
        for protocol in PROTOCOLS:
            for name, (change, expected) in PLANTED.items():
                with self.subTest(f"{name} in {protocol}"):
                    (value,) = change.values()
                    # Query writes everything as text.
                    expected = expected.replace("{}", repr(str(value) if protocol == "query" else value))
                    answer = {**ANSWER, "MetricAlarms": [{**ALARM, **change}]}
                    differences = found(protocol, answer)
                    self.assertEqual(len(differences), 1, differences)
                    self.assertIn(expected, differences[0])

    def test_a_difference_fails_the_run_although_botocore_drops_it(self):
        aws = asked("json", 200, {**ANSWER, "Colour": "red"})
        self.assertEqual(aws.driven, {"cloudwatch:DescribeAlarms"})
        said = verdict(aws, aws.driven)
        self.assertIn("cloudwatch:DescribeAlarms (json): Colour is no member of the model (1 times)", said)
        self.assertIsNone(verdict(asked("json", 200, ANSWER), aws.driven))

    def test_an_error_that_the_operation_does_not_declare_is_found(self):
        for protocol in PROTOCOLS:
            with self.subTest(protocol):
                self.assertEqual(failed(protocol, "InvalidNextToken"), [])
                self.assertEqual(failed(protocol, "ThrottlingException"), [], "it is common")
                undeclared = ["the answer has the error ResourceNotFound, which the operation does not declare"]
                self.assertEqual(failed(protocol, "ResourceNotFound"), undeclared, "DeleteAlarms declares it")

    def test_what_is_otherwise_in_a_declared_error_is_found(self):
        for protocol in PROTOCOLS:
            with self.subTest(protocol):
                (difference,) = failed(protocol, "InvalidNextToken", status=404)
                self.assertIn("has the status 404, and the model's InvalidNextToken has 400", difference)
                (difference,) = failed(protocol, "InvalidNextToken", more={"Colour": "red"})
                self.assertIn("Colour is no member of the model", difference)
        (difference,) = failed("json", "InvalidNextToken", headers={})
        self.assertIn("x-amzn-query-error", difference)
        (difference,) = failed("json", "InvalidNextToken", type_name="InvalidNextTokenFault")
        self.assertIn("__type is InvalidNextTokenFault", difference)
        (difference,) = failed("json", "InvalidNextToken", text="Message")
        self.assertIn("Message is no member of the model", difference)

    def test_what_a_protocol_does_not_allow_is_found(self):
        cases = {
            "json": [(b'{"NextToken": "a", "NextToken": "b"}', "twice"), (b'{"MetricAlarms": NaN}', "NaN is no JSON")],
            "smithy-rpc-v2-cbor": [
                (cbor({"NextToken": "a"}) + b"\xa0", "something follows"),
                (cbor({"MetricAlarms": [{"StateUpdatedTimestamp": AT}]}), "and the model has a timestamp"),
                (cbor({"NextToken": b"bytes"}), "and the model has a string"),
                (cbor({"NextToken": None}), "and the model has a string"),
            ],
            "query": [
                (xml("DescribeAlarms", ANSWER).replace(b"<member>", b"<item>").replace(b"</member>", b"</item>"), "<item>"),
                (xml("DescribeAlarms", ANSWER).replace(b"DescribeAlarmsResult", b"Result"), "['Result', 'ResponseMetadata']"),
                (xml("DescribeAlarms", ANSWER).replace(b"2010", b"2011"), "is not in the namespace"),
            ],
        }
        for protocol, bodies in cases.items():
            for body, expected in bodies:
                with self.subTest(f"{expected} in {protocol}"):
                    self.assertIn(expected, " ".join(differences(asked(protocol, 200, body))))

    def test_an_operation_without_an_output_answers_nothing(self):
        for protocol, body in (
            ("json", b'{"Colour": 1}'), ("smithy-rpc-v2-cbor", b"\xa0"), ("query", xml("DeleteAlarms", {})),
        ):
            with self.subTest(protocol):
                aws = asked(protocol, 200, body, operation="delete_alarms")
                self.assertEqual(len(differences(aws)), 1, aws.differences)


class Rest(unittest.TestCase):
    """REST JSON, of which CloudWatch knows nothing."""

    SCHEDULE = {"Name": "nightly", "State": "ENABLED", "CreationDate": AT, "Target": {"Arn": "a", "RoleArn": "r"}}

    def found(self, status, answer, headers={}):
        aws = Aws("http://127.0.0.1:9")
        client = aws.client("scheduler")
        body = json.dumps(answer).encode()
        raw = type("Raw", (), {"stream": lambda self, **_: [body], "read": lambda self, *_: body})()
        said = {"content-type": "application/json", **headers}
        client.meta.events.register("before-send", lambda request, **_: AWSResponse(request.url, status, said, raw))
        try:
            client.get_schedule(Name="nightly")
        except Exception:
            pass
        return differences(aws)

    def test_an_answer_as_aws_gives_it_has_no_differences(self):
        self.assertEqual(self.found(200, self.SCHEDULE), [])
        error = {"x-amzn-errortype": "ResourceNotFoundException"}
        self.assertEqual(self.found(404, {"Message": "no"}, error), [])

    def test_each_deviation_is_found(self):
        for answer, expected in (
            ({"Colour": "red"}, "Colour is no member of the model"),
            ({"CreationDate": "2026-01-05"}, "CreationDate is '2026-01-05', and the model has a timestamp"),
            ({"State": "FINE"}, "which is none of the model's ENABLED, DISABLED"),
            ({"Target": {"Arn": "a"}}, "Target.RoleArn is not there, and the model requires it"),
        ):
            with self.subTest(expected):
                self.assertIn(expected, " ".join(self.found(200, {**self.SCHEDULE, **answer})))
        for status, headers, expected in (
            (201, {}, "has the status 201, and the operation 200"),
            (404, {}, "x-amzn-errortype is not there"),
            (400, {"x-amzn-errortype": "ResourceNotFoundException"}, "has the status 400"),
            (400, {"x-amzn-errortype": "NoSuchError"}, "which the operation does not declare"),
        ):
            with self.subTest(expected):
                answer = self.SCHEDULE if status == 201 else {"Message": "no"}
                self.assertIn(expected, " ".join(self.found(status, answer, headers)))


def differences(aws):
    """What was found, without the operation in front."""
    return [said.partition("): ")[2] for said in aws.differences]


def found(protocol, answer):
    return differences(asked(protocol, 200, answer))


def failed(protocol, code, status=400, headers=None, type_name=None, text="message", more={}):
    """What is found in an error of DescribeAlarms."""
    side = {"x-amzn-query-error": f"{code};Sender"} if headers is None else headers
    members = {"__type": type_name or code, text: "no", **more}
    if protocol == "query":
        own = "".join(f"<{name}>{value}</{name}>" for name, value in more.items())
        error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>no</Message>{own}</Error><RequestId>1</RequestId>"
        members = f'<ErrorResponse xmlns="{SPACE}">{error}</ErrorResponse>'.encode()
    return differences(asked(protocol, status, members, side))


def asked(protocol, status, answer, headers={}, operation="describe_alarms"):
    """The script's own clients, when they were answered so to a call."""
    body = answer
    if isinstance(answer, dict):
        body = {"json": in_json, "smithy-rpc-v2-cbor": cbor, "query": lambda tree: xml("DescribeAlarms", tree)}[protocol](answer)
    content = {"json": "application/x-amz-json-1.0", "smithy-rpc-v2-cbor": "application/cbor", "query": "text/xml"}[protocol]
    aws = Aws("http://127.0.0.1:9")
    client = aws.client("cloudwatch", protocol=protocol)
    raw = type("Raw", (), {"stream": lambda self, **_: [body], "read": lambda self, *_: body})()
    answered = lambda request, **_: AWSResponse(request.url, status, {"content-type": content, **headers}, raw)
    client.meta.events.register("before-send", answered)
    try:
        getattr(client, operation)(AlarmNames=["web"])
    except Exception:
        # botocore may refuse what is planted, or stumble over it: what counts is what was found before.
        pass
    assert aws.answers == 1, "the answer was held against the model"
    return aws


def in_json(tree):
    return json.dumps(tree).encode()


def xml(operation, tree):
    body = f"<{operation}Result>{element(tree)}</{operation}Result><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata>"
    return f'<{operation}Response xmlns="{SPACE}">{body}</{operation}Response>'.encode()


def element(value):
    if isinstance(value, dict):
        return "".join(f"<{name}>{element(item)}</{name}>" for name, item in value.items())
    if isinstance(value, list):
        return "".join(f"<member>{element(item)}</member>" for item in value)
    if isinstance(value, At):
        return "2026-01-05T09:00:00.000Z" if value == AT else str(int(value))
    return {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def cbor(value):
    if isinstance(value, dict):
        return head(5, len(value)) + b"".join(cbor(name) + cbor(item) for name, item in value.items())
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(cbor, value))
    if value is None or isinstance(value, bool):
        return {None: b"\xf6", True: b"\xf5", False: b"\xf4"}[value]
    if isinstance(value, At):
        return b"\xc1" + cbor(float(value))
    if isinstance(value, float):
        return b"\xfb" + struct.pack(">d", value)
    if isinstance(value, int):
        return head(0, value)
    return head(2, len(value)) + value if isinstance(value, bytes) else head(3, len(value.encode())) + value.encode()


def head(major, number):
    return bytes([major << 5 | 27]) + struct.pack(">Q", number)


if __name__ == "__main__":
    unittest.main()
