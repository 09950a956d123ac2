"""A request's bytes to a JSON value: JSON, YAML or protobuf; hostile input is a BadRequest, never a traceback.

Pure. What comes out is nested at most DEPTH_MAX deep and has only str keys, so that nothing behind it
recurses too far, and holds no more than COLLECTIONS_MAX objects and lists, with NAMES_MAX members of objects: each
costs everything behind it some time. YAML takes far longer to read than JSON, and may say less.
"""

from __future__ import annotations

from typing import Any

import msgspec
import yaml

from actors.api import protobuf
from actors.api.codec import NESTED
from actors.api.errors import BadRequest, TooLarge
from actors.gateway.media import Body

DEPTH_MAX = 100
#: The largest definitions of custom resources that people install hold some 20,000.
COLLECTIONS_MAX = 50_000
#: Those hold some 50,000.
NAMES_MAX = 150_000
YAML_SCALARS_MAX = 150_000
_JSON: msgspec.json.Decoder[Any] = msgspec.json.Decoder()
_COLLECTIONS = "objects and lists"
_TIMESTAMP = "tag:yaml.org,2002:timestamp"


class _YamlLoader(yaml.CSafeLoader):
    """YAML as JSON has it: times stay text."""


_YamlLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def parse_value(text: bytes, body: Body) -> Any:
    """The JSON value of `text`. Raises BadRequest, TooLarge."""
    try:
        value = _parse(text, body)
        _Count().add(value)
        return value
    except RecursionError as error:
        raise BadRequest(f"the request body is nested more than {DEPTH_MAX} deep") from error
    except UnicodeError as error:
        raise BadRequest("the request body is not UTF-8") from error


def _parse(text: bytes, body: Body) -> Any:
    if body is Body.PROTOBUF:
        return protobuf.decode(text)
    if body is Body.YAML or (body is Body.APPLY and text.lstrip()[:1] != b"{"):
        return _parse_yaml(text)
    try:
        return _JSON.decode(text)
    except msgspec.DecodeError as error:
        if body is Body.APPLY:  # flow style may be YAML alone: a comma before a bracket
            return _parse_yaml(text)
        raise BadRequest(f"the request body is not JSON: {error}") from error


def _parse_yaml(text: bytes) -> Any:
    try:
        _check_yaml(text)
        return _from_yaml(yaml.load(text, Loader=_YamlLoader))
    except (yaml.YAMLError, ValueError) as error:
        raise BadRequest(f"the request body is not YAML: {error}") from error


def _check_yaml(text: bytes) -> None:
    """Before anything is built of it: libyaml's composer recurses in C, so that deep nesting would end the process."""
    depth = collections = scalars = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        scalars += isinstance(event, yaml.ScalarEvent)
        if scalars > YAML_SCALARS_MAX:
            raise _too_dense(YAML_SCALARS_MAX, "YAML scalars")
        if isinstance(event, yaml.AliasEvent):
            raise BadRequest("the request body is YAML with aliases, which are not accepted")
        begins = isinstance(event, yaml.CollectionStartEvent)
        depth += begins - isinstance(event, yaml.CollectionEndEvent)
        collections += begins
        if depth > DEPTH_MAX:
            raise BadRequest(f"the request body is nested more than {DEPTH_MAX} deep")
        if collections > COLLECTIONS_MAX:
            raise _too_dense(COLLECTIONS_MAX, _COLLECTIONS)


def _from_yaml(value: Any) -> Any:
    """With str keys; what JSON cannot say is refused."""
    if isinstance(value, dict):
        return {_key(key): _from_yaml(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_from_yaml(item) for item in value]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise BadRequest(f"the request body is YAML with a {type(value).__name__}, which JSON does not have")


def _key(key: Any) -> str:
    if isinstance(key, bool):
        return str(key).lower()
    if isinstance(key, str | int | float):
        return str(key)
    raise BadRequest("the request body is YAML with a key that is not text")


class _Count:
    """Of a whole body."""

    def __init__(self) -> None:
        self._collections = self._names = 0

    def add(self, value: Any, depth: int = 0) -> None:
        """Raises BadRequest where they are nested too deep, TooLarge."""
        if depth > DEPTH_MAX:
            raise BadRequest(f"the request body is nested more than {DEPTH_MAX} deep")
        self._collections += 1
        if self._collections > COLLECTIONS_MAX:
            raise _too_dense(COLLECTIONS_MAX, _COLLECTIONS)
        if isinstance(value, dict):
            self._names += len(value)
            if self._names > NAMES_MAX:
                raise _too_dense(NAMES_MAX, "members of objects")
        for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            if isinstance(item, NESTED):
                self.add(item, depth + 1)


def _too_dense(count: int, what: str) -> TooLarge:
    return TooLarge(f"the request body holds more than {count} {what}: split it up")
