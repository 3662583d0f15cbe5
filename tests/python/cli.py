"""Drive services of the simulator through the AWS CLI, by the same drives that boto3 goes through (`coverage.py`).

Usage: cli.py URL SERVICE…

A drive gets clients whose methods are commands of the AWS CLI: `describe_images(Owners=…)` is `aws ec2 describe-images --cli-input-json …`,
a waiter is `aws ec2 wait …`, a page what `--page-size` and `--max-items` cut. What is printed is parsed again and handed to
the drive's assertions. Every answer is held against AWS's model, too.
"""

import base64
import contextlib
import datetime
import importlib
import io
import json
import os
import re
import sys
import tempfile

from coverage import ACCOUNT, NAMES, REGION, Aws, verdict

from awscli.clidriver import create_clidriver  # noqa: E402
from botocore import xform_name  # noqa: E402
from botocore.exceptions import ClientError  # noqa: E402
from botocore.utils import parse_timestamp  # noqa: E402

# The CLI checks inputs before it sends them. Drives send wrong ones to see how they are refused.
CONFIG = "[default]\nparameter_validation = false\noutput = json\nmax_attempts = 1\ncli_timestamp_format = iso8601\n"

REFUSED = re.compile(r"An error occurred \((\w[\w.]*)\) when calling the (\w+) operation(?: \(reached max retries: \d+\))?: (.*)", re.DOTALL)


class CliAws(Aws):
    """What boto3's drives see of AWS, with the AWS CLI behind it."""

    account = ACCOUNT
    region = REGION

    def client(self, service, key="test", secret="test", token=None, region=REGION, protocol=None):
        assert protocol is None, "the CLI speaks what it prefers"
        return CliClient(self, NAMES.get(service, service), key, secret, token, region)

    def until(self, condition, timeout=20.0):
        """A command takes as long as many calls: there is more time for it, and it is run less often."""
        return super().until(condition, 10 * timeout, pause=0.5)


class CliClient:
    """A client whose methods are commands."""

    def __init__(self, aws, service, key, secret, token, region):
        self.aws, self.service, self.region = aws, service, region
        self.credentials = {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": token}
        self.driver = create_clidriver()
        self.driver.session.register("before-parse", aws._answered)
        self.driver.session.register("after-call", aws._parsed)
        self.model = self.driver.session.get_service_model(service)
        self.operations = {xform_name(name): name for name in self.model.operation_names}

    def __getattr__(self, method):
        if method not in self.operations:
            raise AttributeError(method)
        return lambda **input: self.run(method, input, "--no-paginate")

    def get_paginator(self, method):
        return Paginator(self, method)

    def get_waiter(self, name):
        return Waiter(self, name)

    def input(self, method):
        return self.model.operation_model(self.operations[method]).input_shape

    def run(self, method, input, *more):
        operation = self.model.operation_model(self.operations[method])
        said = self.command([xform_name(operation.name, "-"), *given(operation, input), *more])
        return typed(operation.output_shape, json.loads(said)) if said.strip() else {}

    def command(self, words):
        """What the CLI prints, or the error that it tells."""
        words = [self.service, *words, "--endpoint-url", self.aws.url, "--region", self.region]
        out, err = io.StringIO(), io.StringIO()
        present = {name: value for name, value in self.credentials.items() if value}
        os.environ.update(present)
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = self.driver.main(words)
        finally:
            for name in present:
                del os.environ[name]
        if code == 0:
            return out.getvalue()
        if found := REFUSED.search(err.getvalue()):
            name, operation, message = found.groups()
            raise ClientError({"Error": {"Code": name, "Message": message.strip()}}, operation)
        raise AssertionError(f"aws {' '.join(words)}: {code}: {err.getvalue()}")


class Paginator:
    def __init__(self, client, method):
        self.client, self.method = client, method

    def paginate(self, PaginationConfig=None, **input):
        """Pages as the CLI cuts them: it is told to stop after one, and where to go on."""
        size = (PaginationConfig or {}).get("PageSize")
        if not size:
            yield self.client.run(self.method, input)
            return
        more = ["--max-items", str(size), "--page-size", str(size)]
        if "PageSize" in self.client.input(self.method).members:
            # Then the word is taken for that member, and whoever gives it pages by hand.
            more = more[:2]
        cut = len(more)
        while True:
            page = self.client.run(self.method, input, *more)
            token = page.pop("NextToken", None)
            yield page
            if token is None:
                return
            more[cut:] = ["--starting-token", token]


class Waiter:
    def __init__(self, client, name):
        self.client, self.name = client, name

    def wait(self, WaiterConfig=None, **input):
        waiters = self.client.driver.session.get_waiter_model(self.client.service)
        name = next(name for name in waiters.waiter_names if xform_name(name) == self.name)
        operation = self.client.model.operation_model(waiters.get_waiter(name).operation)
        self.client.command(["wait", xform_name(name, "-"), *given(operation, input)])


def given(operation, input):
    """The words of a command that give this input."""
    if not input:
        return []
    plain = lambda value: value.isoformat() if isinstance(value, datetime.datetime) else base64.b64encode(value).decode()
    return ["--cli-input-json", json.dumps(input, default=plain)]


def typed(shape, value):
    """What was printed as it was before: times are times again, and bytes bytes."""
    if shape is None or value is None:
        return value
    if shape.type_name == "timestamp":
        return parse_timestamp(value)
    if shape.type_name == "blob":
        return base64.b64decode(value)
    if shape.type_name == "structure" and isinstance(value, dict):
        return {name: typed(shape.members.get(name), item) for name, item in value.items()}
    if shape.type_name == "list":
        return [typed(shape.member, item) for item in value]
    if shape.type_name == "map":
        return {name: typed(shape.value, item) for name, item in value.items()}
    return value


def main(url, names):
    aws = CliAws(url)
    with tempfile.NamedTemporaryFile("w", suffix=".ini") as config:
        config.write(CONFIG)
        config.flush()
        os.environ.update(AWS_CONFIG_FILE=config.name, AWS_PAGER="")
        for name in names:
            try:
                module = importlib.import_module(f"services.{name}")
                getattr(module, "by_cli", module.drive)(aws)
            except Exception:
                print(verdict(aws) or "every answer was as AWS's model has it", file=sys.stderr)
                raise
    offered = {operation["action"] for operation in aws.page("operations")["operations"]}
    whole = [name for name in names if not hasattr(sys.modules[f"services.{name}"], "by_cli")]
    offered = {action for action in offered if action.split(":")[0] in whole}
    if failed := verdict(aws, offered):
        sys.exit(failed)
    print(f"{len(aws.driven)} operations driven by the AWS CLI, {aws.answers} answers held against AWS's model")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
