"""Hold the members of a service's requests and answers, as the host has them, against botocore's model of each operation.

Usage: members.py SERVICE LIST

LIST is the snapshot that a test of the runner writes of its own structs: `[Operation]`, then `in PATH KIND` for what is sent and
`out PATH KIND` for what is read. Prints each difference and ends with 1 where there is one.
"""

import sys

import botocore.session

KINDS = {
    "string": {"string", "timestamp", "blob"}, "integer": {"integer", "long"}, "boolean": {"boolean"},
    "object": {"structure", "list"}, "document": {"structure"},
}


def sent(name, member):
    """A member's name in a request."""
    wire = member.serialization.get("queryName") or member.serialization.get("name", name)
    # EC2's, which botocore spells as its protocol does.
    return wire[:1].upper() + wire[1:]


def answered(name, member):
    """A member's name in an answer."""
    return member.serialization.get("name", name)


def find(shape, path, spell):
    """The shape at the end of a path, and what is wrong with the way to it."""
    for step in path.split("."):
        bare = step.removesuffix("[]")
        if shape.type_name == "list":
            # An answer's list is an element whose items have a name.
            tag = shape.member.serialization.get("name", "member")
            if step != f"{tag}[]":
                return None, f"{step} is not how the model calls the items of the list: {tag}[]"
            shape = shape.member
            continue
        found = [member for name, member in getattr(shape, "members", {}).items() if spell(name, member) == bare]
        if not found:
            return None, f"the model has no {bare}"
        (shape,) = found
        if step.endswith("[]"):
            if shape.type_name != "list":
                return None, f"{bare} is a {shape.type_name}, and no list"
            shape = shape.member
    return shape, None


def main(name, path):
    with open(path, encoding="utf-8") as file:
        lines = file.read().split("---\n")[-1].splitlines()
    service = botocore.session.get_session().get_service_model(name)
    problems, held, operation = [], 0, None
    for line in lines:
        if line.startswith("["):
            operation = service.operation_model(line.strip("[]"))
            continue
        side, member, kind = line.split(" ")
        shape = operation.input_shape if side == "in" else operation.output_shape
        held += 1
        found, wrong = find(shape, member, sent if side == "in" else answered) if shape else (None, "it has none")
        if wrong is None and found.type_name not in KINDS.get(kind, {kind}):
            wrong = f"it is a {found.type_name}, and no {kind}"
        if wrong is not None:
            problems.append(f"{operation.name}: {side} {member}: {wrong}")
    for problem in problems:
        print(problem)
    print(f"{held} members of {name} compared, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
