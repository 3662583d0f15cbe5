"""Hold an answer, as it came over the wire, against AWS's own model of the operation.

The main function is `differences`. botocore's parsers drop what they do not know and turn what they can into what they
want; so the bodies are read here as they are, in each protocol that the simulator speaks, and walked side by side with
botocore's shapes: a member that the model does not have, one of another type, a required one that is not there, a value
that is not of its enum, and an error that neither the operation declares nor `declared.py` lists with a source.
"""

import base64
import binascii
import datetime
import json
import math
import re
import xml.etree.ElementTree

from botocore.parsers import BaseCBORParser, ResponseParserError

import declared

CONTENT = {
    "smithy-rpc-v2-cbor": "application/cbor", "query": "text/xml", "ec2": "text/xml", "rest-json": "application/json",
    "rest-xml": "application/xml",
}
BITS = {"integer": 31, "long": 63}
LATEST = datetime.datetime(9999, 12, 31, tzinfo=datetime.timezone.utc).timestamp()


class Unreadable(Exception):
    """A body that is not written in its protocol."""


def differences(operation, status, headers, body):
    """What an answer has otherwise than the model of its operation, in words; nothing, where it is as AWS's."""
    protocol = operation.service_model.resolved_protocol
    walker = WALKERS.get(protocol)
    if walker is None:
        return [f"{protocol} is not compared: add how it is read to tests/python/model.py"]
    walk = walker()
    expected = CONTENT.get(protocol)
    expected = expected or f"application/x-amz-json-{operation.service_model.metadata['jsonVersion']}"
    # An object is of any content.
    if body and headers.get("content-type") != expected and not (protocol == "rest-xml" and status < 300):
        walk.say("", f"is {headers.get('content-type')}, and the protocol's content is {expected}")
    try:
        if status < 300:
            walk.answer(operation, body, *([status] if protocol == "rest-json" else []))
        else:
            walk.error(operation, status, headers, body)
    except Unreadable as reason:
        walk.say("", f"cannot be read: {reason}")
    return walk.problems


class Walk:
    """An answer and a shape, side by side."""

    def __init__(self):
        self.problems = []

    def say(self, path, words):
        said = f"{path or 'the answer'} {words}"
        if said not in self.problems:
            self.problems.append(said)

    def wrong(self, path, shape, value):
        self.say(path, f"is {value!r:.80}, and the model has a {shape.type_name}")

    def present(self, path, shape, names):
        """The names of a structure's members that are there: all that are required, and one of a union's."""
        for name in shape.required_members:
            if name not in names:
                self.say(below(path, name), "is not there, and the model requires it")
        if getattr(shape, "is_tagged_union", False) and len(names) != 1:
            self.say(path, f"has {len(names)} members, and a union has one")

    def text(self, path, shape, value):
        enum = getattr(shape, "enum", None)
        if enum and value not in enum and value not in declared.WORDS.get(shape.name, ()):
            self.say(path, f"is {value!r}, which is none of the model's {', '.join(enum)}")

    def whole(self, path, shape, value):
        if not -(1 << BITS[shape.type_name]) <= value < 1 << BITS[shape.type_name]:
            self.wrong(path, shape, value)

    def seconds(self, path, shape, value):
        # Milliseconds in the place of seconds are no date.
        if not 0 <= value <= LATEST:
            self.wrong(path, shape, value)

    def base64(self, path, shape, value):
        try:
            base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            self.wrong(path, shape, value)

    def code(self, operation, status, code, type_name=None):
        """The shape of an error, where the operation declares it; a problem, where nobody does."""
        error = next((shape for shape in operation.error_shapes if code_of(shape) == code), None)
        if error is None:
            if code not in declared.common(operation):
                self.say("", f"has the error {code}, which the operation does not declare")
            return None
        if type_name is not None and type_name != error.name:
            self.say("__type", f"is {type_name}, and the model's shape of {code} is {error.name}")
        said = error.metadata.get("error", {}).get("httpStatusCode")
        if said is not None and said != status:
            self.say("", f"has the status {status}, and the model's {code} has {said}")
        if bool(error.metadata.get("fault")) and status < 500:
            self.say("", f"has the status {status}, and the model's {code} is the service's fault")
        return error


class Tree(Walk):
    """Of a protocol whose bodies are trees of values: JSON and CBOR."""

    NOTHING = (b"",)

    def answer(self, operation, body):
        if operation.output_shape is not None:
            self.visit(operation.output_shape, self.read(body), "")
        elif body not in self.NOTHING:
            self.say("", f"is {body!r:.80}, and the operation answers nothing")

    def error(self, operation, status, headers, body):
        tree = self.read(body)
        type_name = tree.get("__type") if isinstance(tree, dict) else None
        if not isinstance(type_name, str):
            return self.say("__type", "is not there, and an error has one")
        code = type_name = type_name.split(":")[0].rsplit("#", 1)[-1]
        if operation.service_model.is_query_compatible:
            code, _, side = headers.get("x-amzn-query-error", "").partition(";")
            if side != ("Receiver" if status >= 500 else "Sender"):
                return self.say("x-amzn-query-error", f"is {code};{side}, and the service has one of Query's codes")
        shape = self.code(operation, status, code, type_name)
        members = {name: value for name, value in tree.items() if name != "__type"}
        # Every error has a text, which many models leave out.
        if shape is None or not {"message", "Message"} & set(shape.members):
            members.pop("message", None) or members.pop("Message", None)
        if shape is not None:
            self.visit(shape, members, "")
        elif members:
            self.say("", f"has {', '.join(members)}, and {code} has a message only")

    def visit(self, shape, value, path):
        kind = shape.type_name
        if kind == "structure":
            self.structure(shape, value, path)
        elif kind == "list" and isinstance(value, list):
            for item in value:
                self.visit(shape.member, item, path + "[]")
        elif kind == "map" and isinstance(value, dict):
            for key, item in value.items():
                self.visit(shape.key, key, path + ".key()")
                self.visit(shape.value, item, path + "{}")
        elif kind == "string" and isinstance(value, str):
            self.text(path, shape, value)
        elif kind in BITS and isinstance(value, int) and not isinstance(value, bool):
            self.whole(path, shape, value)
        elif kind in ("float", "double") and isinstance(value, (int, float)) and not isinstance(value, bool):
            return
        elif kind == "boolean" and isinstance(value, bool):
            return
        elif kind == "timestamp" and self.instant(shape, value) is not None:
            self.seconds(path, shape, self.instant(shape, value))
        elif kind == "blob":
            self.blob(shape, value, path)
        else:
            self.wrong(path, shape, value)

    def structure(self, shape, value, path):
        if shape.is_document_type:
            return
        if not isinstance(value, dict):
            return self.wrong(path, shape, value)
        wire = {member.serialization.get("name", name): name for name, member in shape.members.items()}
        for name, item in value.items():
            if name in wire:
                self.visit(shape.members[wire[name]], item, below(path, name))
            else:
                self.say(below(path, name), "is no member of the model")
        self.present(path, shape, {wire[name] for name in value if name in wire})


class Json(Tree):
    """AWS JSON 1.0 and 1.1."""

    NOTHING = (b"", b"{}")

    def read(self, body):
        def members(pairs):
            if len(dict(pairs)) != len(pairs):
                raise Unreadable(f"a name is there twice among {', '.join(name for name, _ in pairs)}")
            return dict(pairs)

        def constant(word):
            raise Unreadable(f"{word} is no JSON")

        try:
            return json.loads(body.decode(), object_pairs_hook=members, parse_constant=constant)
        except ValueError as error:
            raise Unreadable(error) from error

    def instant(self, shape, value):
        form = shape.serialization.get("timestampFormat", "unixTimestamp")
        if form.lower() != "unixtimestamp":
            return written(value, form)
        return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None

    def blob(self, shape, value, path):
        if isinstance(value, str):
            self.base64(path, shape, value)
        else:
            self.wrong(path, shape, value)


class RestJson(Json):
    """REST JSON: the status is the operation's own, and an error's code stands in a header."""

    def answer(self, operation, body, status):
        expected = operation.http.get("responseCode", 200)
        if status != expected:
            self.say("", f"has the status {status}, and the operation {expected}")
        if operation.output_shape is None:
            return super().answer(operation, body)
        members = operation.output_shape.members.values()
        placed = [member.serialization["location"] for member in members if "location" in member.serialization]
        assert not {"header", "headers"} & set(placed), "members in headers are not compared yet"
        super().answer(operation, body)

    def error(self, operation, status, headers, body):
        tree = self.read(body)
        code = headers.get("x-amzn-errortype", "").split(":")[0]
        if not code:
            return self.say("x-amzn-errortype", "is not there, and an error has one")
        shape = self.code(operation, status, code)
        members = dict(tree)
        if shape is None or not {"message", "Message"} & set(shape.members):
            members.pop("message", None) or members.pop("Message", None)
        if shape is not None:
            self.visit(shape, members, "")
        elif members:
            self.say("", f"has {', '.join(members)}, and {code} has a message only")

    def instant(self, shape, value):
        form = shape.serialization.get("timestampFormat", "unixTimestamp")
        return super().instant(shape, value) if form.lower() == "unixtimestamp" else written(value, form)


class Instant(float):
    """What CBOR tags as an instant."""


class Items(BaseCBORParser):
    """botocore's reader of CBOR, without what it forgives."""

    def _parse_tag(self, stream, additional_info):
        tag = self._parse_unsigned_integer(stream, additional_info)
        value = self.parse_data_item(stream)
        if tag != 1 or not isinstance(value, (int, float)):
            raise Unreadable(f"the tag {tag} of {value!r} is none of the protocol's")
        return Instant(value)

    def _parse_key_value_pair(self, stream, items):
        key, value = self.parse_data_item(stream), self.parse_data_item(stream)
        if key in items:
            raise Unreadable(f"{key} is there twice")
        items[key] = value


class Cbor(Tree):
    """Smithy RPC v2 over CBOR."""

    def read(self, body):
        reader = Items()
        stream = reader.get_peekable_stream_from_bytes(body)
        try:
            tree = reader.parse_data_item(stream)
        except (ResponseParserError, UnicodeDecodeError, TypeError) as error:
            raise Unreadable(error) from error
        if stream.read():
            raise Unreadable("something follows the answer")
        return tree

    def visit(self, shape, value, path):
        if isinstance(value, Instant) and shape.type_name != "timestamp":
            return self.wrong(path, shape, value)
        super().visit(shape, value, path)

    def instant(self, _, value):
        return value if isinstance(value, Instant) else None

    def blob(self, shape, value, path):
        if not isinstance(value, bytes):
            self.wrong(path, shape, value)


class Xml(Walk):
    """The Query protocol's XML."""

    def read(self, operation, body):
        try:
            root = xml.etree.ElementTree.fromstring(body)
        except xml.etree.ElementTree.ParseError as error:
            raise Unreadable(error) from error
        space = operation.service_model.metadata["xmlNamespace"]
        for element in root.iter():
            found, _, element.tag = element.tag.rpartition("}")
            if found != "{" + space:
                raise Unreadable(f"<{element.tag}> is not in the namespace {space}")
        return root

    def answer(self, operation, body):
        shape = operation.output_shape
        wrapper = shape.serialization["resultWrapper"] if shape is not None else None
        parts = self.parts(self.read(operation, body), f"{operation.name}Response", [wrapper, "ResponseMetadata"])
        if "ResponseMetadata" in parts:
            self.parts(parts["ResponseMetadata"], "ResponseMetadata", ["RequestId"])
        if wrapper in parts:
            self.structure(shape, parts[wrapper], "")

    def error(self, operation, status, headers, body):
        parts = self.parts(self.read(operation, body), "ErrorResponse", ["Error", "RequestId"])
        if "Error" not in parts:
            return
        own = [child for child in parts["Error"] if child.tag not in ("Type", "Code", "Message")]
        said = {child.tag: child.text or "" for child in parts["Error"]}
        if said.get("Type") != ("Receiver" if status >= 500 else "Sender"):
            self.say("Type", f"is {said.get('Type')}, and the status is {status}")
        shape = self.code(operation, status, said.get("Code"))
        for child in own:
            if shape is None or child.tag not in shape.members:
                self.say(child.tag, "is no member of the model's error")

    def parts(self, element, tag, expected):
        """The children of an element of the envelope: these, once each, and nothing else."""
        expected = [name for name in expected if name]
        found = [child.tag for child in element]
        if element.tag != tag or sorted(found) != sorted(expected):
            self.say("", f"has <{element.tag}> of {found}, and the protocol <{tag}> of {expected}")
        return {child.tag: child for child in element if child.tag in expected}

    def visit(self, shape, element, path):
        kind = shape.type_name
        text = element.text or ""
        if kind == "structure":
            return self.structure(shape, element, path)
        if kind == "list":
            return self.list(shape, element, path)
        if kind == "map":
            return self.map(shape, element, path)
        if len(element):
            return self.say(path, f"has {[child.tag for child in element]} within, and the model has a {kind}")
        if kind == "string":
            self.text(path, shape, text)
        elif kind in BITS and re.fullmatch(r"-?\d+", text):
            self.whole(path, shape, int(text))
        elif kind in ("float", "double") and re.fullmatch(r"NaN|-?Infinity|-?\d+(\.\d+)?([eE][+-]?\d+)?", text):
            return
        elif kind == "boolean" and text in ("true", "false"):
            return
        elif kind == "timestamp" and (at := written(text, shape.serialization.get("timestampFormat"))) is not None:
            self.seconds(path, shape, at)
        elif kind == "blob":
            self.base64(path, shape, text)
        else:
            self.wrong(path, shape, text)

    def structure(self, shape, element, path):
        wire = {tag_of(name, member): name for name, member in shape.members.items()}
        self.bare(shape, element, path)
        seen = set()
        for child in element:
            name = wire.get(child.tag)
            at = below(path, child.tag)
            if name is None:
                self.say(at, "is no member of the model")
                continue
            member = shape.members[name]
            if flat(member):
                self.visit(member.member if member.type_name == "list" else member, child, at + "[]")
            elif name in seen:
                self.say(at, "is there twice")
            else:
                self.visit(member, child, at)
            seen.add(name)
        self.present(path, shape, seen)

    def list(self, shape, element, path):
        self.bare(shape, element, path)
        tag = shape.member.serialization.get("name", "member")
        for child in element:
            if child.tag == tag:
                self.visit(shape.member, child, path + "[]")
            else:
                self.say(path, f"has <{child.tag}>, and the list's items are <{tag}>")

    def map(self, shape, element, path):
        entries = [element] if flat(shape) else list(element)
        tags = [part.serialization.get("name", name) for part, name in ((shape.key, "key"), (shape.value, "value"))]
        for entry in entries:
            if [child.tag for child in entry] != tags or (not flat(shape) and entry.tag != "entry"):
                self.say(path, f"has <{entry.tag}> of {[child.tag for child in entry]}, and a map has entries of {tags}")
                continue
            self.visit(shape.key, entry[0], path + ".key()")
            self.visit(shape.value, entry[1], path + "{}")

    def bare(self, shape, element, path):
        if (element.text or "").strip():
            self.wrong(path, shape, element.text)


class Ec2(Xml):
    """EC2's dialect of Query: an answer has no result of its own, and an error no namespace and no side."""

    def answer(self, operation, body):
        root = self.read(operation, body)
        if root.tag != f"{operation.name}Response":
            self.say("", f"is <{root.tag}>, and the protocol has <{operation.name}Response>")
        ids = [child for child in root if child.tag == "requestId"]
        if len(ids) != 1 or not ids[0].text:
            self.say("requestId", f"is there {len(ids)} times")
        for child in ids:
            root.remove(child)
        if operation.output_shape is not None:
            return self.structure(operation.output_shape, root, "")
        # EC2 says `<return>true</return>` where the model has no output.
        found = [(child.tag, child.text) for child in root]
        if found != [("return", "true")]:
            self.say("", f"has {found}, and the operation answers nothing")

    def error(self, operation, status, headers, body):
        try:
            root = xml.etree.ElementTree.fromstring(body)
        except xml.etree.ElementTree.ParseError as error:
            raise Unreadable(error) from error
        parts = self.parts(root, "Response", ["Errors", "RequestID"])
        if "Errors" not in parts:
            return
        errors = self.parts(parts["Errors"], "Errors", ["Error"])
        if "Error" not in errors:
            return
        said = {name: child.text or "" for name, child in self.parts(errors["Error"], "Error", ["Code", "Message"]).items()}
        self.code(operation, status, said.get("Code"))


class RestXml(Walk):
    """S3's REST: what is told stands in headers, and an object is the body as it is."""

    def answer(self, operation, body):
        shape = operation.output_shape
        payload = shape.serialization.get("payload") if shape is not None else None
        if body and (payload is None or shape.members[payload].type_name != "blob"):
            self.say("", f"is {body!r:.80}, and the operation answers no object")

    def error(self, operation, status, headers, body):
        if not body:
            return self.code(operation, status, str(status)) if operation.http["method"] != "HEAD" else None
        try:
            root = xml.etree.ElementTree.fromstring(body)
        except xml.etree.ElementTree.ParseError as error:
            raise Unreadable(error) from error
        said = {child.tag: child.text or "" for child in root}
        if root.tag != "Error" or set(said) - {"Code", "Message", "RequestId"}:
            return self.say("", f"is {body!r:.80}, and an error has a code and a message")
        self.code(operation, status, said.get("Code"))


WALKERS = {
    "rest-xml": RestXml, "json": Json, "rest-json": RestJson, "smithy-rpc-v2-cbor": Cbor, "query": Xml, "ec2": Ec2}


def below(path, name):
    return f"{path}.{name}" if path else name


def code_of(shape):
    """An error's code, which some models name otherwise than its shape."""
    return shape.metadata.get("error", {}).get("code", shape.name)


def flat(shape):
    return bool(shape.serialization.get("flattened"))


def tag_of(name, shape):
    """The tag of a member: a flattened list's items stand in the place of the list."""
    if shape.type_name == "list" and flat(shape) and "name" in shape.member.serialization:
        return shape.member.serialization["name"]
    return shape.serialization.get("name", name)


def written(text, form):
    """The seconds of an instant that is written out, as ISO 8601 where the model does not say otherwise."""
    if not isinstance(text, str):
        return None
    if form and form.lower() == "unixtimestamp":
        try:
            return value if math.isfinite(value := float(text)) else None
        except ValueError:
            return None
    if form and form.lower() != "iso8601":
        return None
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", text):
        return None
    try:
        return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None
