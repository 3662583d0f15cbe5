"""Drive every operation that the simulator offers through boto3, and let botocore parse the answers.

Usage: coverage.py URL [SERVICE…]

Each module in `services/` drives one service: a function `drive(aws)` with real assertions. An operation counts as
driven when botocore has parsed a successful answer to it. Every answer is held against AWS's own model as it came over
the wire (`model.py`). At the end the driven operations are compared with those that the simulator lists under
`/_kiln/operations`; one that was not driven fails the run, and so does any difference from the model.
"""

import functools
import importlib
import json
import os
import pathlib
import sys
import time
import urllib.request

for name in list(os.environ):
    if name.startswith("AWS_"):
        del os.environ[name]
os.environ.update(AWS_EC2_METADATA_DISABLED="true", AWS_CONFIG_FILE="/dev/null", AWS_SHARED_CREDENTIALS_FILE="/dev/null")

sys.dont_write_bytecode = True

import boto3  # noqa: E402
import botocore.session  # noqa: E402
import inputs  # noqa: E402
import model  # noqa: E402
from botocore.config import Config  # noqa: E402
from botocore.exceptions import ClientError  # noqa: E402
from botocore.loaders import Loader  # noqa: E402

ACCOUNT = "111111111111"
REGION = "us-west-2"

# Services that botocore calls otherwise than IAM does.
NAMES = {"elasticloadbalancing": "elbv2"}


class OneProtocol(Loader):
    """Models of services that speak this protocol only, so that clients do."""

    def __init__(self, protocol, **arguments):
        super().__init__(**arguments)
        self.protocol = protocol

    def load_service_model(self, service_name, type_name, api_version=None):
        found = super().load_service_model(service_name, type_name, api_version)
        if type_name != "service-2":
            return found
        assert self.protocol in found["metadata"]["protocols"], f"{service_name} does not speak {self.protocol}"
        return {**found, "metadata": {**found["metadata"], "protocols": [self.protocol]}}


@functools.cache
def session(protocol):
    """A session whose clients speak this protocol, or what botocore prefers."""
    core = botocore.session.Session()
    if protocol:
        paths = core.get_component("data_loader").search_paths
        core.register_component("data_loader", OneProtocol(protocol, extra_search_paths=paths))
    return boto3.session.Session(botocore_session=core)


class Aws:
    """Clients on the simulator that write down what they drive, and what is otherwise than AWS's model has it."""

    account = ACCOUNT
    region = REGION

    def __init__(self, url):
        self.url = url
        self.driven = set()
        self.answers = 0
        self.differences = {}

    def client(self, service, key="test", secret="test", token=None, region=REGION, protocol=None):
        config = Config(retries={"total_max_attempts": 1}, parameter_validation=False)
        client = session(protocol).client(
            NAMES.get(service, service),
            region_name=region,
            endpoint_url=self.url,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=config,
        )
        client.meta.events.register("before-parse", self._answered)
        client.meta.events.register("after-call", self._parsed)
        return client

    def _answered(self, operation_model, response_dict, **_):
        self.answers += 1
        status, headers, body = (response_dict[part] for part in ("status_code", "headers", "body"))
        for difference in model.differences(operation_model, status, headers, body):
            said = f"{action(operation_model)} ({operation_model.service_model.resolved_protocol}): {difference}"
            self.differences[said] = self.differences.get(said, 0) + 1

    def _parsed(self, http_response, model, **_):
        if http_response.status_code < 300:
            self.driven.add(action(model))

    def refused(self, code, call, **arguments):
        """Assert that the call is refused with this code, and return AWS's message."""
        try:
            answer = call(**arguments)
        except ClientError as error:
            found = error.response["Error"]["Code"]
            assert found == code, f"{found} in the place of {code}: {error}"
            return error.response["Error"].get("Message", "")
        raise AssertionError(f"{code} was expected, and it was answered {answer}")

    def until(self, condition, timeout=20.0, pause=0.02):
        """Ask again until the condition holds, and return what it said."""
        end = time.monotonic() + timeout
        while True:
            if found := condition():
                return found
            assert time.monotonic() < end, "it did not come to pass in time"
            time.sleep(pause)

    def page(self, name):
        """A page of the simulator about itself."""
        with urllib.request.urlopen(f"{self.url}/_kiln/{name}") as answer:
            return json.load(answer)

    def effects(self, action):
        """The effects of an IAM action so far."""
        return [effect for effect in self.page("effects")["effects"] if effect["action"] == action]


def action(operation):
    service = operation.service_model.service_name
    known = next((name for name, botocore_name in NAMES.items() if botocore_name == service), service)
    return f"{known}:{operation.name}"


def verdict(aws, offered=frozenset()):
    """Why the run has failed, if it has."""
    if missing := sorted(offered - aws.driven):
        return "offered and not driven: " + ", ".join(missing)
    if aws.differences:
        said = [f"{said} ({times} times)" for said, times in sorted(aws.differences.items())]
        return "\n  ".join(["otherwise than AWS's model has it:", *said])
    return None


def main(url, only):
    aws = Aws(url)
    here = pathlib.Path(__file__).parent
    names = only or sorted(path.stem for path in (here / "services").glob("*.py"))
    for name in names:
        try:
            importlib.import_module(f"services.{name}").drive(aws)
        except Exception:
            # What was otherwise may be why an assertion does not hold.
            print(verdict(aws) or "every answer was as AWS's model has it", file=sys.stderr)
            raise
    offered = {operation["action"] for operation in aws.page("operations")["operations"]}
    if only:
        offered = {action for action in offered if action.split(":")[0] in only}
    if failed := verdict(aws, offered):
        sys.exit(failed)
    if not only:
        said, held = inputs.differences(Aws(url))
        if said:
            sys.exit("\n  ".join(["inputs are otherwise than AWS's model has them:", *said]))
        print(f"{held} members of inputs are read or refused")
    print(f"{len(offered)} operations driven, {aws.answers} answers held against AWS's model")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
