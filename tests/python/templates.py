"""What the changes in tests/templates/*.toml do to their stacks, by cfn-lint's parser and AWS's resource schemas as cfn-lint carries them.

Nothing here is kiln's: template, parameters and schemas are evaluated by a second hand, so that the lists of `modified` and `replaced` which
kiln's engine is held to are not of its own making. `--write` writes them anew; read the difference.

    python tests/python/templates.py [--write] [--folder FOLDER] [NAME …]

It also says which function or policy no template uses, and which parameter or output says nothing of itself.
"""

import argparse
import glob
import ipaddress
import itertools
import json
import os
import re
import sys
import tomllib

import cfnlint
import cfnlint.decode

FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "templates")
REGION, ACCOUNT = "us-west-2", "111111111111"
PSEUDO = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::URLSuffix": "amazonaws.com",
}
NO_VALUE = object()

# What changes of a resource that is modified in place. All other attributes stay as long as the resource does.
ATTRIBUTES_THAT_MOVE = {
    ("AWS::EC2::LaunchTemplate", "LatestVersionNumber"),
    ("AWS::CodePipeline::Pipeline", "Version"),
}
# Attributes that are properties by another name.
ATTRIBUTES_OF_PROPERTIES = {("AWS::CodeCommit::Repository", "Name"): "RepositoryName"}

# All that a template can say; the templates together must say it.
FUNCTIONS = """Condition Fn::And Fn::Base64 Fn::Cidr Fn::Contains Fn::EachMemberEquals Fn::EachMemberIn Fn::Equals Fn::FindInMap
Fn::ForEach Fn::GetAZs Fn::GetAtt Fn::If Fn::ImportValue Fn::Join Fn::Length Fn::Not Fn::Or Fn::RefAll Fn::Select Fn::Split Fn::Sub
Fn::ToJsonString Fn::ValueOf Fn::ValueOfAll Ref""".split()
POLICIES = {
    "DeletionPolicy": {"Delete", "Retain", "RetainExceptOnCreate", "Snapshot"},
    "UpdateReplacePolicy": {"Delete", "Retain", "Snapshot"},
}


class Schemas:
    """AWS's resource schemas. There are 1,800: only those that are asked for are parsed."""

    def __init__(self):
        self.texts, self.parsed = {}, {}
        for path in glob.glob(os.path.join(os.path.dirname(cfnlint.__file__), "data", "schemas", "resources", "*.json")):
            with open(path, encoding="utf-8") as file:
                text = file.read()
            # A schema names other types, too, that its properties refer to.
            for kind in set(re.findall(r'"typeName": *"([^"]+)"', text)):
                self.texts.setdefault(kind, []).append(text)

    def of(self, kind):
        if kind not in self.parsed:
            candidates = map(json.loads, self.texts.get(kind, []))
            self.parsed[kind] = next((schema for schema in candidates if schema["typeName"] == kind), None)
        if self.parsed[kind] is None:
            raise ValueError(f"AWS has no type {kind}")
        return self.parsed[kind]


class Evaluation:
    """A template with values for its parameters."""

    def __init__(self, template, given):
        self.template = template
        self.parameters = {}
        for name, declared in template.get("Parameters", {}).items():
            value = str(given[name]) if name in given else declared.get("Default")
            if value is None:
                raise ValueError(f"the parameter {name} has no value")
            self.parameters[name] = self.typed(name, declared, str(value))
        unknown = set(given) - set(self.parameters)
        if unknown:
            raise ValueError(f"there are no parameters {sorted(unknown)}")
        self.turns = {}
        # Which resources are new since the first evaluation, and which are modified.
        self.replaced, self.modified = set(), set()
        self.conditions = self.looped(template.get("Conditions", {}))
        self.resources = self.looped(template["Resources"])

    @staticmethod
    def typed(name, declared, value):
        kind, plain = declared["Type"], not value.startswith("${")
        allowed = [str(item) for item in declared.get("AllowedValues", [])]
        if allowed and value not in allowed:
            raise ValueError(f"{name}: {value} is not allowed")
        pattern = declared.get("AllowedPattern")
        if pattern and plain and not re.fullmatch(str(pattern), value):
            raise ValueError(f"{name}: {value} does not match {pattern}")
        if kind == "Number":
            number = float(value)
            if not float(declared.get("MinValue", number)) <= number <= float(declared.get("MaxValue", number)):
                raise ValueError(f"{name}: {value} is out of bounds")
        if kind.startswith("AWS::SSM::Parameter::Value<"):
            return [f"‹value of {value}›"] if "List" in kind else f"‹value of {value}›"
        return value.split(",") if kind == "CommaDelimitedList" or kind.startswith("List<") else value

    def filled(self, text):
        for name, item in self.turns.items():
            text = text.replace("${" + name + "}", item).replace("&{" + name + "}", item)
        return text

    def looped(self, section):
        """A section with its loops unrolled: `(value, turns)` by name."""
        found = {}
        for key, value in section.items():
            if not key.startswith("Fn::ForEach::"):
                found[self.filled(key)] = (value, dict(self.turns))
                continue
            variable, items, body = value
            for item in self.value(items):
                before = dict(self.turns)
                self.turns[variable] = item
                found.update(self.looped(body))
                self.turns = before
        return found

    def condition(self, name):
        value, turns = self.conditions[name]
        before, self.turns = self.turns, turns
        result = self.value(value)
        self.turns = before
        return result

    def there(self):
        """The resources whose conditions hold."""
        holds = lambda value: "Condition" not in value or self.condition(value["Condition"])
        return {name: both for name, both in self.resources.items() if holds(both[0])}

    def properties(self, name):
        value, turns = self.resources[name]
        before, self.turns = self.turns, turns
        result = self.value(value.get("Properties", {}))
        self.turns = before
        return result

    def ref(self, name):
        if name in self.turns:
            return self.turns[name]
        if name == "AWS::NoValue":
            return NO_VALUE
        if name.startswith("AWS::"):
            return PSEUDO.get(name, f"‹{name}›")
        if name in self.parameters:
            return self.parameters[name]
        return f"‹{name}{' anew' if name in self.replaced else ''}›"

    def attribute(self, name, attribute):
        value, _ = self.resources[name]
        kind = value["Type"]
        as_property = ATTRIBUTES_OF_PROPERTIES.get((kind, attribute), attribute)
        given = value.get("Properties", {})
        if as_property in given:
            return self.properties(name)[as_property]
        moved = (kind, attribute) in ATTRIBUTES_THAT_MOVE and name in self.modified
        return f"‹{name}.{attribute}{' anew' if name in self.replaced or moved else ''}›"

    def sub(self, text, values):
        def one(match):
            name = match.group(1)
            if name.startswith("!"):
                return "${" + name[1:] + "}"
            if name in values:
                return str(self.value(values[name]))
            whole = name in self.turns or name in self.parameters or name in self.resources or name.startswith("AWS::")
            if whole:
                return str(self.ref(name))
            return str(self.attribute(*name.split(".", 1)))

        return re.sub(r"\$\{([^}]*)\}", one, text)

    def value(self, value):
        if isinstance(value, list):
            return [item for item in (self.value(item) for item in value) if item is not NO_VALUE]
        if isinstance(value, str):
            return self.filled(str(value))
        if not isinstance(value, dict):
            return str(value).lower() if isinstance(value, bool) else str(value)
        if len(value) == 1:
            [(name, argument)] = value.items()
            if name in ("Ref", "Condition") or name.startswith("Fn::"):
                return self.function(name, argument)
        entries = ((self.filled(key), self.value(item)) for key, item in value.items())
        return {key: item for key, item in entries if item is not NO_VALUE}

    def function(self, name, argument):
        match name:
            case "Ref":
                return self.ref(self.value(argument) if isinstance(argument, dict) else self.filled(argument))
            case "Condition":
                # The condition of a policy's statement is called so, too.
                return self.condition(argument) if isinstance(argument, str) else {"Condition": self.value(argument)}
            case "Fn::GetAtt":
                parts = argument.split(".", 1) if isinstance(argument, str) else [self.value(part) for part in argument]
                return self.attribute(*parts)
            case "Fn::Sub":
                text, values = argument if isinstance(argument, list) else (argument, {})
                return self.sub(text, values)
            case "Fn::If":
                condition, yes, no = argument
                return self.value(yes if self.condition(condition) else no)
            case "Fn::Equals":
                one, other = self.value(argument)
                return one == other
            case "Fn::Not":
                [one] = argument
                return not self.value(one)
            case "Fn::And":
                return all(self.value(item) for item in argument)
            case "Fn::Or":
                return any(self.value(item) for item in argument)
            case "Fn::Join":
                delimiter, items = self.value(argument)
                return delimiter.join(items) if isinstance(items, list) else f"‹joined {items}›"
            case "Fn::Split":
                delimiter, text = self.value(argument)
                return text.split(delimiter)
            case "Fn::Select":
                index, items = self.value(argument)
                return items[int(index)] if int(index) < len(items) else f"‹{index} of {items}›"
            case "Fn::FindInMap":
                first, second = self.value(argument[1]), self.value(argument[2])
                known = self.template["Mappings"][argument[0]].get(first, {})
                if second not in known and len(argument) > 3:
                    return self.value(argument[3]["DefaultValue"])
                return self.value(known[second])
            case "Fn::Cidr":
                block, count, *bits = self.value(argument)
                prefix = 32 - int(bits[0] if bits else 8)
                subnets = ipaddress.ip_network(block).subnets(new_prefix=prefix)
                return [str(one) for one in itertools.islice(subnets, int(count))]
            case "Fn::GetAZs":
                return [f"{self.value(argument) or REGION}{letter}" for letter in "abcd"]
            case "Fn::Length":
                return str(len(self.value(argument)))
            case "Fn::ToJsonString":
                return json.dumps(self.value(argument))
            case "Fn::Base64":
                return f"‹Base64 of {self.value(argument)}›"
            case "Fn::ImportValue":
                return f"‹import {self.value(argument)}›"
        raise ValueError(f"{name} is not known here")


def at(value, path):
    """What stands at a path of a schema, such as `EncryptionConfiguration/KmsKey`."""
    for part in path.split("/"):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def change(template, edited, before, after, schemas):
    """What a change of parameters, and of the template, does: lists of logical ids."""
    old, new = Evaluation(template, before), Evaluation(edited, after)
    there, then = old.there(), new.there()
    while True:
        replaced, modified = set(), set()
        for name in there.keys() & then.keys():
            kind = then[name][0]["Type"]
            one, other = old.properties(name), new.properties(name)
            if one == other:
                continue
            schema = schemas.of("AWS::CloudFormation::CustomResource" if kind.startswith("Custom::") else kind)
            fixed = [path.removeprefix("/properties/") for path in schema.get("createOnlyProperties", [])]
            is_replaced = any(at(one, path) != at(other, path) for path in fixed)
            (replaced if is_replaced else modified).add(name)
        if (replaced, modified) == (new.replaced, new.modified):
            break
        new.replaced, new.modified = replaced, modified
    return {
        "modified": sorted(modified),
        "replaced": sorted(replaced),
        "added": sorted(then.keys() - there.keys()),
        "removed": sorted(there.keys() - then.keys()),
    }


def kept(template, parameters, change):
    """What stays: when the stack is deleted, when a creation is rolled back, and of what `replacing` replaces or removes."""
    evaluation = Evaluation(template, parameters)

    def policy(name, which):
        value, turns = evaluation.resources[name]
        evaluation.turns = turns
        return evaluation.value(value.get(which, "Delete"))

    there = evaluation.there()
    deletion = {name: policy(name, "DeletionPolicy") for name in there}
    of = lambda *policies: sorted(name for name in there if deletion[name] in policies)
    gone = {name: "UpdateReplacePolicy" for name in change["replaced"]} | {name: "DeletionPolicy" for name in change["removed"]}
    stays = sorted(name for name, which in gone.items() if policy(name, which).startswith("Retain"))
    return {
        "deletion": of("Retain", "RetainExceptOnCreate"),
        "rollback": of("Retain"),
        "snapshots": of("Snapshot"),
        "replacing": stays,
    }


# What a resource of IAM is named by, where it can have a name.
IAM_NAMES = {
    "AWS::IAM::InstanceProfile": "InstanceProfileName",
    "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
    "AWS::IAM::Policy": None,
    "AWS::IAM::Role": "RoleName",
}


def capabilities(template):
    """What has to be acknowledged, in AWS's words."""
    iam = [value for value in template["Resources"].values() if isinstance(value, dict) and value.get("Type") in IAM_NAMES]
    named = [value for value in iam if IAM_NAMES[value["Type"]] in value.get("Properties", {})]
    found = ["CAPABILITY_NAMED_IAM" if named else "CAPABILITY_IAM"] if iam else []
    return found + (["CAPABILITY_AUTO_EXPAND"] if "Transform" in template else [])


def used(value, found):
    """The functions and policies that a template uses."""
    if isinstance(value, list):
        for item in value:
            used(item, found)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key.startswith("Fn::") or (len(value) == 1 and key in ("Ref", "Condition")):
                found.add("Fn::ForEach" if key.startswith("Fn::ForEach::") else key)
            if key in POLICIES and isinstance(item, str):
                found.add((key, str(item)))
            used(item, found)


def read(path):
    template, problems = cfnlint.decode.decode(path)
    if problems:
        raise ValueError(f"{path}: {problems}")
    return template


def edited(path, edits):
    """The template with its edits, each of which must find its text once."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    for edit in edits:
        if text.count(edit["from"]) != 1:
            raise ValueError(f"{path}: {edit['from']!r} is there {text.count(edit['from'])} times")
        text = text.replace(edit["from"], edit["to"])
    template, problems = cfnlint.decode.decode_str(text)
    if problems:
        raise ValueError(f"{path}: {problems}")
    return template


def rewritten(text, section, lists):
    """The text of a data file with the lists of a section in the place of those that it has."""
    head, _, rest = text.partition(f"[{section}]\n")
    body, mark, tail = rest.partition("\n[")
    lines = [line for line in body.splitlines() if not re.match(r"(%s) *=" % "|".join(lists), line)]
    width = max(len(name) for name in ["parameters", *lists])
    lines = [line for line in lines if line.strip()]
    lines += [f"{name.ljust(width)} = {json.dumps(ids)}" for name, ids in lists.items() if ids]
    return f"{head}[{section}]\n" + "\n".join(lines) + "\n" + mark + tail


def silent(name, template):
    """Parameters and outputs that do not say what they are."""
    for section in ("Parameters", "Outputs"):
        for key, value in template.get(section, {}).items():
            if not key.startswith("Fn::ForEach::") and not value.get("Description"):
                yield f"{name}: {key} of {section} has no description"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--folder", default=FOLDER)
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    write, folder, names = arguments.write, arguments.folder, arguments.names
    schemas, found, wrong = Schemas(), set(), []
    for path in sorted(glob.glob(os.path.join(folder, "*.toml"))):
        name = os.path.basename(path).removesuffix(".toml")
        if name == "world" or (names and name not in names):
            continue
        with open(path, encoding="utf-8") as file:
            text = file.read()
        data = tomllib.loads(text)
        source = os.path.normpath(os.path.join(folder, data["template"]))
        template = read(source)
        used(template, found)
        wrong.extend(silent(name, template))
        if data["capabilities"] != capabilities(template):
            wrong.append(f"{name}: capabilities should be {capabilities(template)}")
        before = data["parameters"]
        wanted = {}
        try:
            for section in ("in-place", "replacing"):
                then = edited(source, data[section].get("edits", []))
                wanted[section] = change(template, then, before, before | data[section].get("parameters", {}), schemas)
            wanted["kept"] = kept(template, before, wanted["replacing"])
        except (KeyError, ValueError) as error:
            wrong.append(f"{name}: {type(error).__name__} {error}")
            continue
        if wanted["in-place"]["replaced"] or not wanted["in-place"]["modified"]:
            wrong.append(f"{name}: in-place is {wanted['in-place']}")
        if not (wanted["replacing"]["replaced"] or data["replacing"].get("none")):
            wrong.append(f"{name}: replacing replaces nothing")
        for section, lists in wanted.items():
            told = {list_: data.get(section, {}).get(list_, []) for list_ in lists}
            if told == lists:
                continue
            if write:
                text = rewritten(text, section, lists)
            else:
                wrong.append(f"{name}: [{section}] is\n    {told}\n  and should be\n    {lists}")
        if write:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
    if not names:
        missing = [function for function in FUNCTIONS if function not in found]
        missing += [f"{key} {value}" for key, values in POLICIES.items() for value in sorted(values) if (key, value) not in found]
        if missing:
            wrong.append(f"no template uses {', '.join(missing)}")
    print("\n".join(wrong), end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
