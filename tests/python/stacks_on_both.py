"""Stacks of the project's templates, made, changed and deleted by boto3: what a simulation of AWS says of them, as JSON.

The same is asked of kiln's simulator and of moto, which do not know of each other, and a test compares the answers. What AWS draws (ids, the
ends of names) is told by the name of the resource that it belongs to.

    python tests/python/stacks_on_both.py URL NAME[:made] …
"""

import ast
import json
import os
import re
import sys
import time
import tomllib

import boto3
import botocore.config
import botocore.exceptions

FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "templates")
CAPABILITIES = ["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]


class Account:
    def __init__(self, url):
        self.url = url
        self.aws = self.client("cloudformation")
        self.id = self.client("sts").get_caller_identity()["Account"]

    def client(self, service):
        config = botocore.config.Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=60)
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name="us-west-2",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=config,
        )

    def settled(self, name):
        for _ in range(600):
            try:
                found = self.aws.describe_stacks(StackName=name)["Stacks"][0]
            except botocore.exceptions.ClientError as error:
                if "does not exist" in str(error):
                    return None
                raise
            if not found["StackStatus"].endswith("_IN_PROGRESS"):
                return found
            time.sleep(0.1)
        raise SystemExit(f"{name} comes to no end")

    def filled(self, text):
        def value(match):
            words = match.group(1).split(" ")
            if words[0] == "stack":
                outputs = self.settled(words[1])["Outputs"]
                return next(one["OutputValue"] for one in outputs if one["OutputKey"] == words[2])
            raise SystemExit(f"{match.group(0)} is not known here")

        return re.sub(r"\$\{([^}]*)\}", value, text)


def text(value):
    """The value of a parameter. Where it is a list, moto tells it in Python's own words."""
    return ",".join(ast.literal_eval(value)) if value.startswith("[") else value


class Stack:
    def __init__(self, account, name):
        self.account, self.name = account, name
        with open(os.path.join(FOLDER, f"{name}.toml"), "rb") as file:
            self.data = tomllib.load(file)
        with open(os.path.join(FOLDER, self.data["template"]), encoding="utf-8") as file:
            self.template = file.read()

    def call(self, change=None):
        told = self.data.get(change, {}) if change else {}
        given = {**self.data.get("parameters", {}), **told.get("parameters", {})}
        template = self.template
        for edit in told.get("edits", []):
            template = template.replace(edit["from"], edit["to"])
        parameters = [
            {"ParameterKey": key, "ParameterValue": self.account.filled(value)} for key, value in sorted(given.items())
        ]
        return {"StackName": self.name, "TemplateBody": template, "Parameters": parameters, "Capabilities": CAPABILITIES}

    def told(self):
        """What the simulation says of the stack, without what is drawn."""
        aws = self.account.aws
        found = self.account.settled(self.name)
        pages = aws.get_paginator("list_stack_resources").paginate(StackName=self.name)
        resources = [one for page in pages for one in page["StackResourceSummaries"]]
        physical = {one.get("PhysicalResourceId", ""): one["LogicalResourceId"] for one in resources}
        outputs = {}
        for output in found.get("Outputs", []):
            value = output["OutputValue"]
            for drawn, logical in sorted(physical.items(), key=lambda pair: -len(pair[0])):
                if drawn:
                    value = value.replace(drawn, f"({logical})")
            value = value.replace(self.account.id, "(account)")
            outputs[output["OutputKey"]] = value
        return {
            "status": found["StackStatus"],
            "resources": sorted([one["LogicalResourceId"], one["ResourceType"]] for one in resources),
            "outputs": outputs,
            "exports": sorted(one["ExportName"] for one in found.get("Outputs", []) if "ExportName" in one),
            "parameters": {one["ParameterKey"]: text(one["ParameterValue"]) for one in found.get("Parameters", [])},
        }


def course(account, told):
    """A stack made, changed, changed to what it is, and deleted; `NAME:made` is not changed."""
    name, _, only = told.partition(":")
    stack = Stack(account, name)
    aws = account.aws
    before = [Stack(account, other) for other in stack.data.get("before", [])]
    for other in before:
        aws.create_stack(**other.call())
        account.settled(other.name)
    steps = {}
    aws.create_stack(**stack.call())
    steps["created"] = stack.told()
    if only != "made":
        aws.update_stack(**stack.call("in-place"))
        steps["updated"] = stack.told()
        try:
            aws.update_stack(**stack.call("in-place"))
            steps["again"] = "an update"
        except botocore.exceptions.ClientError as error:
            steps["again"] = [error.response["Error"]["Code"], error.response["Error"]["Message"]]
    aws.delete_stack(StackName=name)
    account.settled(name)
    try:
        aws.describe_stacks(StackName=name)
        steps["deleted"] = "it is there"
    except botocore.exceptions.ClientError as error:
        steps["deleted"] = [error.response["Error"]["Code"], error.response["Error"]["Message"]]
    for other in reversed(before):
        aws.delete_stack(StackName=other.name)
        account.settled(other.name)
    return steps


def main():
    url, names = sys.argv[1], sys.argv[2:]
    account = Account(url)
    print(json.dumps({name: course(account, name) for name in names}, indent=1, sort_keys=True))


if __name__ == "__main__":
    main()
