"""Let the AWS CLI deploy stacks on the simulator: a client that nobody here wrote.

Usage: cli_stacks.py URL
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import time

TOPIC = "Parameters: {Label: {Type: String}}\nResources:\n  Topic: {Type: AWS::SNS::Topic, Properties: {DisplayName: !Ref Label}}\n"
BROKEN = TOPIC + "  Other: {Type: AWS::SNS::Topic, Properties: {DisplayName: other}}\n"
# More than a request may hold.
LARGE = TOPIC + "".join(f"  # {'filler ' * 20}\n" for _ in range(500))


def main(url):
    aws = pathlib.Path(sys.executable).parent / "aws"
    keys = dict(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="us-west-2")
    others = dict(AWS_EC2_METADATA_DISABLED="true", AWS_CONFIG_FILE="/dev/null", AWS_ENDPOINT_URL=url, AWS_PAGER="")
    plain = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}

    def run(*arguments, code=0):
        done = subprocess.run([str(aws), *arguments], env={**plain, **keys, **others}, capture_output=True, text=True, timeout=120)
        said = done.stdout + done.stderr
        assert done.returncode == code, f"{arguments} ended with {done.returncode}: {said}"
        return said

    def deploy(template, label, *more, code=0):
        # The CLI names a change set by the second, and two of one name cannot be.
        time.sleep(1)
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(template)
            file.flush()
            of = ["cloudformation", "deploy", "--stack-name", "cli", "--template-file", file.name]
            return run(*of, "--parameter-overrides", f"Label={label}", *more, code=code)

    def status():
        return run("cloudformation", "describe-stacks", "--stack-name", "cli", "--query", "Stacks[0].StackStatus", "--output", "text").strip()

    assert "Successfully created/updated stack - cli" in deploy(TOPIC, "one")
    assert status() == "CREATE_COMPLETE"
    deploy(TOPIC, "two", "--tags", "team=web")
    assert status() == "UPDATE_COMPLETE"
    assert "No changes to deploy" in deploy(TOPIC, "two", "--tags", "team=web", "--no-fail-on-empty-changeset")
    assert "Failed to create/update the stack" in deploy(BROKEN, "three", code=255)
    assert status() == "UPDATE_ROLLBACK_COMPLETE"
    deploy(LARGE, "four", "--s3-bucket", "planted")
    assert status() == "UPDATE_COMPLETE"
    run("cloudformation", "delete-stack", "--stack-name", "cli")
    run("cloudformation", "wait", "stack-delete-complete", "--stack-name", "cli")
    print("the AWS CLI deployed 4 times")


if __name__ == "__main__":
    main(sys.argv[1])
