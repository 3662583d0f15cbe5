"""Hold what the simulator reads of its inputs against AWS's own model of them.

The main functions are `differences` and `table`. Every member of an operation's input, however deep, is read, or is refused when it is given: the
refusal names member and operation. Nothing is ignored. What the simulator reads is told under `/_kiln/inputs`; a refusal is tried. A member that is read and that no model has is a word that was misspelled.

What the models say of the members that are read (how long, how many, which words) stands in `sim/src/wire/constraints.txt`, by which the
simulator refuses inputs: `table` makes it, and a difference fails the run. `python inputs.py URL` writes it anew.
"""

import pathlib
import sys

from botocore.exceptions import ClientError, ParamValidationError

TABLE = pathlib.Path(__file__).parents[2] / "sim/src/wire/constraints.txt"
HEADER = """\
# What AWS's models say of the inputs that the simulator reads: how long a text is, how many items a list has, which words there are.
# Written by tests/python/inputs.py, which holds it against botocore's models.
"""

DATA = pathlib.Path(__file__).parents[2] / "sim/src/services/ec2/launch-template-data.txt"
DATA_HEADER = """\
# What the data of a launch template's version may have: each member's path in the API's model, its name in a request, its name in an
# answer (for a list with the name of its items), and what it is. Written by tests/python/inputs.py, which holds it against botocore's model.
"""

# Operations that keep all of their input as it was given, and show it again.
KEPT = {"ecs:RegisterTaskDefinition"}

# Members whose words are more than this botocore's model has: aws-sdk-cloudwatch 1.140 knows log alarms.
WORDS = {("cloudwatch:DescribeAlarms", "AlarmTypes[]"): {"LogAlarm"}}

# What the simulator refuses itself, with another code than its service's usual one: this operation's model has ValidationException.
OWN = {("ecr:UpdateImageStorageClass", "targetStorageClass")}

SAMPLES = {
    "string": "x", "integer": 1, "long": 1, "double": 1.0, "float": 1.0, "boolean": True, "blob": b"x",
    "timestamp": "2026-01-05T09:00:00Z",
}
DEEPEST = 10


def differences(aws):
    """What the simulator's inputs have otherwise than the models, in words; and how many members were held against them."""
    said, held = [], 0
    for action, read in aws.page("inputs").items():
        service, name = action.split(":")
        client = aws.client(service)
        operation = client.meta.service_model.operation_model(name)
        known = dict(paths(operation.input_shape, ec2=service == "ec2")) if operation.input_shape else {}
        held += len(known)
        if action in KEPT:
            continue
        for path in sorted(set(read) - {""}):
            if path not in known and not is_below(path, read):
                said.append(f"{action} reads {path}, and the model has no such member")
        for line in constraints(action, operation.input_shape, read) if operation.input_shape else ():
            if problem := unbroken(client, operation, line, known):
                said.append(f"{action} takes what breaks `{line}`: {problem}")
        unread = [path for path in known if path not in read and not is_below(path, read)]
        for path in unread:
            # Below a member that is refused itself there is nothing to try.
            if not any(path != other and within(path, other) for other in unread):
                if problem := unrefused(client, operation, path, known[path]):
                    said.append(f"{action} is given {path}, which it neither reads nor refuses: {problem}")
    if launch_template_data(aws) != DATA.read_text():
        said.append(f"{DATA.name} is not what the model says: python tests/python/inputs.py URL writes it")
    if table(aws) != TABLE.read_text():
        said.append(f"{TABLE.name} is not what the models say: python tests/python/inputs.py URL writes it")
    return said, held


def within(path, other):
    return path.startswith((other + ".", other + "[", other + "{"))


def is_below(path, read):
    """Whether a member is within one that is taken as a whole."""
    return any(whole and other and within(path, other) for other, whole in read.items())


def spelling(name, member, structure, ec2):
    """What a member is called where the simulator reads it. EC2's requests have other names than its model."""
    if ec2:
        wire = member.serialization.get("queryName") or member.serialization.get("name", name)
        return wire[:1].upper() + wire[1:]
    return member.serialization.get("name", name) if structure.metadata.get("flattened") else name


def named(shape, path):
    """The path of a member as callers of EC2 write it, by the model's names."""
    steps = []
    for step in path.split("."):
        bare = step.removesuffix("[]")
        name, member = next(
            (name, member) for name, member in shape.members.items() if spelling(name, member, shape, True) == bare
        )
        steps.append(name + step[len(bare):])
        shape = member.member if member.type_name == "list" else member
    return ".".join(steps)


def paths(shape, path="", above=(), ec2=False):
    """The paths of all members, each with the shapes on the way to it."""
    if len(above) > DEEPEST or sum(other.name == shape.name for other in above if other.type_name == "structure") > 1:
        return
    if path:
        yield path, (*above, shape)
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            spelled = spelling(name, member, shape, ec2)
            yield from paths(member, f"{path}.{spelled}" if path else spelled, (*above, shape), ec2)
    elif shape.type_name == "list":
        yield from paths(shape.member, path + "[]", (*above, shape), ec2)
    elif shape.type_name == "map":
        yield from paths(shape.value, path + "{}", (*above, shape), ec2)


def launch_template_data(aws):
    """The lines that the table of launch templates' data has."""
    model = aws.client("ec2").meta.service_model
    rows = []

    def walk(asked, told, path):
        members = {**(told.members if told else {}), **(asked.members if asked else {})}
        for name in members:
            request, answer = asked.members.get(name) if asked else None, told.members.get(name) if told else None
            at, kind = f"{path}.{name}" if path else name, (request or answer).type_name
            wire = answer.serialization.get("name", name) if answer else "-"
            below, seen = request, answer
            if kind == "list":
                at += "[]"
                wire += f"/{answer.member.serialization.get('name', 'item')}" if answer else ""
                below, seen = request and request.member, answer and answer.member
                kind = (below or seen).type_name
            rows.append((at, spelling(name, request, asked, True) if request else "-", wire, kind))
            if kind == "structure" and below:
                walk(below, seen, at)

    walk(model.shape_for("RequestLaunchTemplateData"), model.shape_for("ResponseLaunchTemplateData"), "")
    return DATA_HEADER + "".join(" ".join(row) + "\n" for row in sorted(rows))


def table(aws):
    """The lines that the table of constraints has."""
    lines = [HEADER]
    for action, read in sorted(aws.page("inputs").items()):
        service, name = action.split(":")
        shape = aws.client(service).meta.service_model.operation_model(name).input_shape
        found = sorted(constraints(action, shape, read)) if shape and action not in KEPT else []
        if found:
            lines.append(f"\n[{action}]\n" + "".join(line + "\n" for line in found))
    return "".join(lines)


def constraints(action, root, read):
    ec2 = action.startswith("ec2:")
    required = {spelling(name, root.members[name], root, True) if ec2 else name for name in root.required_members}
    # A client token that is not given botocore gives itself: nobody can leave it out.
    required -= {name for name, member in root.members.items() if member.metadata.get("idempotencyToken")}
    for path, shapes in paths(root, ec2=ec2):
        shape = shapes[-1]
        if path not in read:
            continue
        least, most = shape.metadata.get("min"), shape.metadata.get("max")
        bounds = f"{'' if least is None else least}..{'' if most is None else most}"
        words = getattr(shape, "enum", None)
        if words and (action, path) not in OWN:
            yield f"{path} words {'|'.join(sorted({*words, *WORDS.get((action, path), ())}))}"
        elif bounds != ".." and shape.type_name in ("integer", "long", "double", "float"):
            yield f"{path} range {bounds}"
        elif bounds != ".." and shape.type_name in ("list", "map"):
            yield f"{path} items {bounds}"
        elif bounds != ".." and shape.type_name == "string":
            yield f"{path} length {bounds}"
        if shape.type_name == "structure":
            names = [spelling(name, shape.members[name], shape, True) if ec2 else name for name in shape.required_members]
            yield from (f"{path}.{name} required" for name in names if f"{path}.{name}" in read)
    yield from (f"{name} required" for name in required if name in read)


def sample(shape, depth=3):
    if shape.type_name == "structure":
        first = next(iter(shape.members.items()), None)
        return {first[0]: sample(first[1], depth - 1)} if first and depth else {}
    if shape.type_name == "list":
        return [sample(shape.member)]
    if shape.type_name == "map":
        return {"x": sample(shape.value)}
    enum = getattr(shape, "enum", None)
    return enum[0] if enum else SAMPLES[shape.type_name]


def asked(client, operation, path, value):
    """What comes of an input of this member alone: the message of its refusal, or that it is answered."""
    if path and operation.service_model.resolved_protocol == "ec2":
        path = named(operation.input_shape, path)
    for step in reversed(path.replace("[]", ".[]").replace("{}", ".{}").split(".") if path else []):
        value = [value] if step == "[]" else {"x": value} if step == "{}" else {step: value}
    # What the address is made of must be there.
    for name, member in operation.input_shape.members.items():
        if member.serialization.get("location") == "uri":
            value.setdefault(name, "x")
    method = next(method for method, name in client.meta.method_to_api_mapping.items() if name == operation.name)
    try:
        return f"it answers {getattr(client, method)(**value)}"
    except ClientError as error:
        return error.response["Error"].get("Message", "") or str(error)
    except ParamValidationError as error:
        return str(error)


def unrefused(client, operation, path, shapes):
    """What comes of an input of this member alone, unless it is refused by its name."""
    message = asked(client, operation, path, sample(shapes[-1]))
    names = {path, shapes[-1].serialization.get("name")}
    if operation.http["method"] == "HEAD":
        return None if message == "Bad Request" else message  # The answer has no body to say it in.
    refusals = {f"the simulator does not do {name} of {operation.name} yet" for name in names}
    return None if message in refusals else message


def unbroken(client, operation, line, known):
    """What comes of an input that breaks this constraint and no other, unless that is refused in AWS's words."""
    path, kind, *rest = line.split(" ")
    shape = known[path][-1]
    if any(other.serialization.get("location") for other in known[path]):
        return None  # It stands in the address, which an empty or a long one would break.
    least, _, most = "".join(rest).partition("..")
    if kind == "required":
        above, _, _ = path.rpartition(".")
        if above and operation.service_model.resolved_protocol in ("query", "ec2"):
            return None  # A form has no empty structure.
        message = asked(client, operation, above, {})
    elif kind == "words":
        message = asked(client, operation, path, "nothing-of-the-kind")
    elif kind == "range":
        message = asked(client, operation, path, int(most) + 1 if most else int(least) - 1)
    elif kind == "length":
        if not most and int(least) < 1 or most and int(most) > 100_000:
            return None
        message = asked(client, operation, path, "x" * (int(most) + 1) if most else "x" * (int(least) - 1))
    else:
        if not most or int(most) > 2_000 or shape.type_name == "map":
            return None
        message = asked(client, operation, path, [sample(shape.member)] * (int(most) + 1))
    return None if f"at '{path}' failed to satisfy constraint" in message else message


def main(url):
    import coverage

    aws = coverage.Aws(url)
    TABLE.write_text(table(aws))
    DATA.write_text(launch_template_data(aws))


if __name__ == "__main__":
    main(sys.argv[1])
