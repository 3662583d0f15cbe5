"""What `kiln plan` forecasts of the changes in tests/templates/*.toml, beside what the data files say that they do.

A CloudFormation that only answers what it is asked for a forecast (the stack, its parameters, its template) stands on 127.0.0.1; nothing is
made. Prints each difference, and nothing where there is none.

    python tests/python/forecasts.py KILN [NAME …]
"""

import http.server
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import tomllib
import urllib.parse
from xml.sax.saxutils import escape

sys.dont_write_bytecode = True

import templates  # noqa: E402

ACCOUNT, REGION = "123456789012", "us-west-2"
CAPABILITIES = {"CAPABILITY_IAM": "iam", "CAPABILITY_NAMED_IAM": "named-iam", "CAPABILITY_AUTO_EXPAND": "auto-expand"}
# What stands for the outputs of other stacks, for digests and for addresses: only that it is the same before and after matters.
VALUES = [
    (r"\$\{stack \S+ VpcId\}", "vpc-0a1b2c3d"),
    (r"\$\{stack \S+ First\S*Subnet\S*\}", "subnet-0a1b2c3d"),
    (r"\$\{stack \S+ \S*Subnet\S*\}", "subnet-0a1b2c3e"),
    (r"\$\{stack \S+ \S*Group\S*\}", "sg-0a1b2c3d"),
    (r"\$\{digest [^}]*-(\d)\}", lambda found: "sha256:" + found.group(1) * 64),
    (r"\$\{url [^}]*\}", "https://templates.s3.us-west-2.amazonaws.com/child.yaml"),
]
WORDS = {"create": "added", "update": "modified", "replace": "replaced", "delete": "removed", "keep": "removed"}
LINE = re.compile(r"\s+\S+\s+(create|update|replace|delete|keep)\s+(\S+) (\w+)")


class CloudFormation(http.server.BaseHTTPRequestHandler):
    """Answers of the stacks that are there, each with its `template` and its `parameters`."""

    stacks = {}

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        asked = dict(urllib.parse.parse_qsl(body))
        action, given = asked.get("Action", ""), asked.get("StackName", "")
        # By its name, or by its id.
        self.name = given.split("/")[1] if given.startswith("arn:") else given
        inner = getattr(self, action, lambda: None)()
        answer = (
            f"<{action}Response><{action}Result>{inner}</{action}Result></{action}Response>"
            if inner is not None
            else f"<ErrorResponse><Error><Code>ValidationError</Code><Message>{action} is not answered</Message></Error></ErrorResponse>"
        ).encode()
        self.send_response(200 if inner is not None else 400)
        self.send_header("content-type", "text/xml")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def GetCallerIdentity(self):
        return f"<Arn>arn:aws:iam::{ACCOUNT}:user/tester</Arn><UserId>AIDA</UserId><Account>{ACCOUNT}</Account>"

    def DescribeStacks(self):
        one = "<member><ParameterKey>{}</ParameterKey><ParameterValue>{}</ParameterValue></member>"
        parameters = "".join(one.format(key, escape(value)) for key, value in self.stacks[self.name]["parameters"].items())
        arn = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{self.name}/1"
        return (
            f"<Stacks><member><StackId>{arn}</StackId><StackName>{self.name}</StackName>"
            "<CreationTime>2026-11-01T00:00:00Z</CreationTime><StackStatus>CREATE_COMPLETE</StackStatus>"
            f"<Parameters>{parameters}</Parameters></member></Stacks>"
        )

    def GetTemplate(self):
        return f"<TemplateBody>{escape(self.stacks[self.name]['template'])}</TemplateBody>"


def given(value):
    for pattern, by in VALUES:
        value = re.sub(pattern, by, value)
    return value


def stage(name, file, capabilities, parameters, hidden):
    """A stage that deploys a changed template or changed parameters to a stack that is there."""
    toml = [
        f'[stages.{name}]\nplugin = "deploy-stack"\nenvironment = "e"\n[stages.{name}.with]',
        f'stack = "{name}"\ntemplate = "{file}"\nprotect = []',
        f"capabilities = {json.dumps([CAPABILITIES[word] for word in capabilities])}",
        f"keep = {json.dumps(hidden)}\n[stages.{name}.with.parameters]",
    ]
    return "\n".join(toml + [f"{key} = {json.dumps(given(value))}" for key, value in parameters.items() if key not in hidden])


def forecasts(kiln, directory, url):
    """What the plan of the pipeline says: the lists of each stage."""
    variables = {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_EC2_METADATA_DISABLED": "true",
        "HOME": directory,
        "PATH": os.environ.get("PATH", ""),
    }
    ended = subprocess.run([kiln, "plan", "pipeline.toml"], cwd=directory, env=variables, capture_output=True, text=True, timeout=300)
    if ended.returncode:
        raise ValueError(ended.stdout + ended.stderr)
    found, lists = {}, None
    for line in ended.stdout.splitlines():
        if head := re.match(r"(\S+) +deploy-stack in e", line):
            lists = found[head.group(1)] = {"modified": set(), "replaced": set(), "added": set(), "removed": set()}
        elif (change := LINE.match(line)) and lists is not None:
            lists[WORDS[change.group(1)]].add(change.group(3))
    return found


def main(kiln, names):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), CloudFormation)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    wanted, wrong = {}, 0
    toml = [f'[pipeline]\nname = "x"\nregion = "{REGION}"\n[environments.e]\naccount = "{ACCOUNT}"']
    with tempfile.TemporaryDirectory() as directory:
        for path in sorted(os.listdir(templates.FOLDER)):
            name = path.removesuffix(".toml")
            if not path.endswith(".toml") or name == "world" or (names and name not in names):
                continue
            with open(os.path.join(templates.FOLDER, path), "rb") as file:
                data = tomllib.load(file)
            source = os.path.normpath(os.path.join(templates.FOLDER, data["template"]))
            with open(source, encoding="utf-8") as file:
                text = file.read()
            declared = templates.read(source).get("Parameters", {})
            hidden = [key for key, value in declared.items() if value.get("NoEcho")]
            has = {key: str(value["Default"]) for key, value in declared.items() if "Default" in value}
            has |= {key: given(value) for key, value in data["parameters"].items()} | {key: "****" for key in hidden}
            for section in ("in-place", "replacing"):
                change, after, stack = data[section], text, f"{name}-{section}"
                for edit in change.get("edits", []):
                    after = after.replace(edit["from"], edit["to"])
                CloudFormation.stacks[stack] = {"template": text, "parameters": has}
                wanted[stack] = {list_: set(change.get(list_, [])) for list_ in ("modified", "replaced", "added", "removed")}
                file = stack + os.path.splitext(source)[1]
                with open(os.path.join(directory, file), "w", encoding="utf-8") as out:
                    out.write(after)
                parameters = data["parameters"] | change.get("parameters", {})
                toml.append(stage(stack, file, data["capabilities"], parameters, hidden))
        with open(os.path.join(directory, "pipeline.toml"), "w", encoding="utf-8") as out:
            out.write("\n".join(toml))
        found = forecasts(kiln, directory, f"http://127.0.0.1:{server.server_port}")
    for stack, lists in wanted.items():
        for list_, ids in lists.items():
            told = found.get(stack, {}).get(list_, set())
            if told != ids:
                wrong += 1
                print(f"{stack}: {list_} is forecast as {sorted(told)} and is {sorted(ids)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
