"""Hold what kiln's operations declare as sensitive against the members that AWS's own model marks so.

Usage: sensitive.py DECLARED

DECLARED is a JSON object: IAM action → {"request": [members], "answer": [members]}, members as the contract names them.
Prints each difference and ends with 1 where there is one.
"""

import json
import sys

import botocore.session
from botocore import xform_name

# Services that botocore calls otherwise than IAM does.
NAMES = {"elasticloadbalancing": "elbv2"}

PLAIN = "what a task definition sets in plain is its configuration: a deployment must copy it; secrets belong into `secrets`"
REFERENCE = "a reference to credentials in Secrets Manager, by its ARN"
DEFINITION = ("containerDefinitions/environment", "containerDefinitions/repositoryCredentials")

# What the model marks and kiln treats as any other text: action, side, path of members → reason.
EXCEPTIONS = {("ecs:DescribeTasks", "answer", "tasks/overrides/containerOverrides/environment"): PLAIN}
for _action in ("ecs:DescribeTaskDefinition", "ecs:RegisterTaskDefinition", "ecs:DeregisterTaskDefinition"):
    for _path, _reason in zip(DEFINITION, (PLAIN, REFERENCE)):
        EXCEPTIONS[(_action, "answer", f"taskDefinition/{_path}")] = _reason
for _path, _reason in zip(DEFINITION, (PLAIN, REFERENCE)):
    EXCEPTIONS[("ecs:RegisterTaskDefinition", "request", _path)] = _reason

# What the contract's answers leave out: neither the variables of functions nor what is passed to targets is ever told.
NOT_TOLD = "the contract's answer has no such member"
_FUNCTION = ("Environment/Variables", "Environment/Error/Message", "ImageConfigResponse/Error/Message", "RuntimeVersionConfig/Error/Message")
for _path in _FUNCTION:
    EXCEPTIONS[("lambda:ListFunctions", "answer", f"Functions/{_path}")] = NOT_TOLD
    EXCEPTIONS[("lambda:GetFunction", "answer", f"Configuration/{_path}")] = NOT_TOLD
for _path in ("AppSyncParameters/GraphQLOperation", "RedshiftDataParameters/Sql", "RedshiftDataParameters/Sqls"):
    EXCEPTIONS[("events:ListTargetsByRule", "answer", f"Targets/{_path}")] = NOT_TOLD

# User data may hold secrets: it is never told, and not taken.
NOT_TAKEN = "kiln refuses it: a version has its source's"
for _action, _path in (("DescribeLaunchTemplateVersions", "LaunchTemplateVersions"), ("CreateLaunchTemplateVersion", "LaunchTemplateVersion")):
    EXCEPTIONS[(f"ec2:{_action}", "answer", f"{_path}/LaunchTemplateData/UserData")] = NOT_TOLD
EXCEPTIONS[("ec2:CreateLaunchTemplateVersion", "request", "LaunchTemplateData/UserData")] = NOT_TAKEN
EXCEPTIONS[("lambda:GetFunction", "answer", "Code/Error/Message")] = NOT_TOLD

# The model marks the values of parameters of all types. Those of a SecureString are told nowhere and written by nobody; the others are
# configuration, which a deployment reads and writes.
PARAMETER = "the value of a String or a StringList is configuration; that of a SecureString is never told"
EXCEPTIONS[("ssm:GetParameter", "answer", "Parameter/Value")] = PARAMETER
EXCEPTIONS[("ssm:GetParametersByPath", "answer", "Parameters/Value")] = PARAMETER
EXCEPTIONS[("ssm:GetParameterHistory", "answer", "Parameters/Value")] = PARAMETER
EXCEPTIONS[("ssm:PutParameter", "request", "Value")] = PARAMETER

# Which key encrypts an object is its name, and no secret; kiln gives and reads none of the others.
KEY = "the ARN of a key is configuration"
for _member, _reason in (("SSECustomerKey", NOT_TOLD), ("SSEKMSKeyId", KEY), ("SSEKMSEncryptionContext", NOT_TOLD)):
    EXCEPTIONS[("s3:PutObject", "request", _member)] = _reason
for _member in ("SSEKMSKeyId", "SSEKMSEncryptionContext"):
    EXCEPTIONS[("s3:PutObject", "answer", _member)] = NOT_TOLD

# What is secret although the model does not mark it: IAM action → members of the answer.
UNMARKED = {"ecr:GetAuthorizationToken": {"authorization_token"}}


def sensitive(shape, path=(), seen=()):
    """The paths of the sensitive members below a shape."""
    if shape is None or shape.name in seen:
        return
    if shape.metadata.get("sensitive"):
        yield path
        return
    seen = seen + (shape.name,)
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            yield from sensitive(member, path + (name,), seen)
    elif shape.type_name == "list":
        yield from sensitive(shape.member, path, seen)
    elif shape.type_name == "map":
        yield from sensitive(shape.value, path, seen)


def main(path):
    with open(path, encoding="utf-8") as file:
        declared = json.load(file)
    session = botocore.session.get_session()
    problems = []
    used = set()
    for action, own in declared.items():
        service, operation = action.split(":")
        model = session.get_service_model(NAMES.get(service, service)).operation_model(operation)
        for side, shape in (("request", model.input_shape), ("answer", model.output_shape)):
            own_members = set(own.get(side, []))
            marked = set()
            for members in sensitive(shape):
                if (action, side, "/".join(members)) in EXCEPTIONS:
                    used.add((action, side, "/".join(members)))
                    continue
                name = xform_name(members[0]) if len(members) == 1 else "/".join(members)
                marked.add(name)
            if side == "answer":
                marked |= UNMARKED.get(action, set())
            for name in sorted(marked - own_members):
                problems.append(f"{action}: AWS marks {name} of the {side} as sensitive, and kiln does not")
            known = {xform_name(name) for name in (shape.members if shape else {})}
            for name in sorted(own_members - known):
                problems.append(f"{action}: the {side} has no member {name}")
    problems += [f"the exception {' '.join(unused)} is for nothing" for unused in sorted(set(EXCEPTIONS) - used)]
    for problem in problems:
        print(problem)
    print(f"{len(declared)} operations compared, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
