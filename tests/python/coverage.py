"""Drive every operation that the simulator offers through boto3, and let botocore parse the answers.

Usage: coverage.py URL [SERVICE…]

Each module in `services/` drives one service: a function `drive(aws)` with real assertions. An operation counts as
driven when botocore has parsed a successful answer to it. At the end the driven operations are compared with those that
the simulator lists under `/_kiln/operations`; one that was not driven fails the run.
"""

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
from botocore.config import Config  # noqa: E402
from botocore.exceptions import ClientError  # noqa: E402

ACCOUNT = "111111111111"
REGION = "us-west-2"


class Aws:
    """Clients on the simulator that write down what they drive."""

    account = ACCOUNT
    region = REGION

    def __init__(self, url):
        self.url = url
        self.driven = set()

    def client(self, service, key="test", secret="test", token=None, region=REGION):
        config = Config(retries={"total_max_attempts": 1}, parameter_validation=False)
        client = boto3.client(
            service,
            region_name=region,
            endpoint_url=self.url,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=config,
        )
        client.meta.events.register("after-call", self._parsed)
        return client

    def _parsed(self, http_response, model, **_):
        if http_response.status_code < 300:
            self.driven.add(f"{model.service_model.service_name}:{model.name}")

    def refused(self, code, call, **arguments):
        """Assert that the call is refused with this code, and return AWS's message."""
        try:
            answer = call(**arguments)
        except ClientError as error:
            found = error.response["Error"]["Code"]
            assert found == code, f"{found} in the place of {code}: {error}"
            return error.response["Error"].get("Message", "")
        raise AssertionError(f"{code} was expected, and it was answered {answer}")

    def until(self, condition, timeout=20.0):
        """Ask again until the condition holds, and return what it said."""
        end = time.monotonic() + timeout
        while True:
            if found := condition():
                return found
            assert time.monotonic() < end, "it did not come to pass in time"
            time.sleep(0.02)

    def page(self, name):
        """A page of the simulator about itself."""
        with urllib.request.urlopen(f"{self.url}/_kiln/{name}") as answer:
            return json.load(answer)

    def effects(self, action):
        """The effects of an IAM action so far."""
        return [effect for effect in self.page("effects")["effects"] if effect["action"] == action]


def main(url, only):
    aws = Aws(url)
    here = pathlib.Path(__file__).parent
    names = only or sorted(path.stem for path in (here / "services").glob("*.py"))
    for name in names:
        importlib.import_module(f"services.{name}").drive(aws)
    offered = {operation["action"] for operation in aws.page("operations")["operations"]}
    if only:
        offered = {action for action in offered if action.split(":")[0] in only}
    missing = sorted(offered - aws.driven)
    if missing:
        sys.exit("offered and not driven: " + ", ".join(missing))
    print(f"{len(offered)} operations driven")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
