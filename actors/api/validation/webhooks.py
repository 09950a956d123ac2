"""Webhook configurations (pkg/apis/admissionregistration/validation): what depends on more than one field, and the
expressions of match conditions. Fields alone: rules.json.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from actors.api.codec import Object
from actors.api.errors import Cause
from actors.api.validation.causes import Causes, dicts_of, duplicate, required, wrong
from actors.api.validation.metadata import validate_name

_REVIEWS = ("v1", "v1beta1")
_CONDITIONS_MAX = 64
_VERSION = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_VERSION_RULE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')"
)


def validate_webhooks(configuration: Object, old: Object | None) -> Causes:
    """Of both kinds. Expressions that stay as they were are not compiled again."""
    hooks = dicts_of(configuration.get("webhooks"))
    known = {
        str(condition.get("expression"))
        for hook in dicts_of((old or {}).get("webhooks"))
        for condition in dicts_of(hook.get("matchConditions"))
    }
    for at, hook in enumerate(hooks):
        path = f"webhooks[{at}]"
        yield from _name(hook, path)
        if hook.get("name") and hook["name"] in [other.get("name") for other in hooks[:at]]:
            yield duplicate(f"{path}.name", hook["name"])
        for place, rule in enumerate(dicts_of(hook.get("rules"))):
            yield from _rule(rule, f"{path}.rules[{place}]")
        yield from _reviews(hook.get("admissionReviewVersions"), f"{path}.admissionReviewVersions")
        yield from validate_client(hook.get("clientConfig"), f"{path}.clientConfig")
        yield from _conditions(dicts_of(hook.get("matchConditions")), f"{path}.matchConditions", known)


def _name(hook: Object, path: str) -> Causes:
    name = str(hook.get("name") or "")
    if name:
        yield from validate_name(f"{path}.name", name)
        if name.count(".") < 2:
            yield wrong(f"{path}.name", name, "should be a domain with at least three segments separated by dots")


def _rule(rule: Object, path: str) -> Causes:
    operations = _texts(rule, "operations")
    yield from _alone(operations, f"{path}.operations", "operations")
    yield from _alone(_texts(rule, "apiGroups"), f"{path}.apiGroups", "API groups")
    versions = _texts(rule, "apiVersions")
    yield from _alone(versions, f"{path}.apiVersions", "API versions")
    yield from (required(f"{path}.apiVersions[{at}]") for at, version in enumerate(versions) if not version)
    yield from _resources(_texts(rule, "resources"), f"{path}.resources")


def _texts(rule: Object, name: str) -> list[str]:
    return [str(value) for value in rule.get(name) or ()]


def _alone(values: Sequence[str], path: str, what: str) -> Causes:
    if len(values) > 1 and "*" in values:
        yield wrong(path, list(values), f"if '*' is present, must not specify other {what}")


def _resources(resources: Sequence[str], path: str) -> Causes:
    wide: set[str] = set()
    deep: set[str] = set()
    for at, resource in enumerate(resources):
        if not resource:
            yield required(f"{path}[{at}]")
            continue
        plural, slash, below = resource.partition("/")
        if not slash:
            continue
        if plural in wide:
            yield wrong(f"{path}[{at}]", resource, f"if '{plural}/*' is present, must not specify {resource}")
        if below in deep:
            yield wrong(f"{path}[{at}]", resource, f"if '*/{below}' is present, must not specify {resource}")
        wide |= {plural} if below == "*" else set()
        deep |= {below} if plural == "*" else set()
    if len(resources) > 1 and "*/*" in resources:
        yield wrong(path, list(resources), "if '*/*' is present, must not specify other resources")
    if "*" in resources and any(resource != "*" and "/" not in resource for resource in resources if resource):
        rule = "if '*' is present, must not specify other resources without subresources"
        yield wrong(path, list(resources), rule)


def _reviews(versions: Any, path: str) -> Causes:
    if not versions:
        return  # told of as missing by the rules of its field
    for at, version in enumerate(versions):
        if version in versions[:at]:
            yield wrong(f"{path}[{at}]", version, "duplicate version")
        elif not _VERSION.fullmatch(str(version)):
            yield wrong(f"{path}[{at}]", version, _VERSION_RULE)
    if not set(_REVIEWS) & set(versions):
        yield wrong(path, list(versions), f"must include at least one of {', '.join(_REVIEWS)}")


def validate_client(client: Any, path: str) -> Causes:
    """A WebhookClientConfig (apiserver pkg/util/webhook/validation.go)."""
    client = client if isinstance(client, dict) else {}
    url, service = client.get("url"), client.get("service")
    if (url is None) == (service is None):
        yield required(path, "exactly one of url or service is required")
    elif url is not None:
        yield from _url(str(url), f"{path}.url")
    elif isinstance(service, dict):
        yield from _path(service.get("path"), f"{path}.service.path")


def _url(url: str, path: str) -> Causes:
    form = "desired format: https://host[/path]"
    try:
        parts = urlsplit(url)
        host, user = parts.hostname, parts.username
    except ValueError as error:
        yield required(path, f"url must be a valid URL: {error}; {form}")
        return
    if parts.scheme != "https":
        yield wrong(path, parts.scheme, f"'https' is the only allowed URL scheme; {form}")
    if not host:
        yield wrong(path, "", f"host must be specified; {form}")
    if user is not None:
        yield wrong(path, user, "user information is not permitted in the URL")
    if parts.fragment:
        yield wrong(path, parts.fragment, "fragments are not permitted in the URL")
    if parts.query:
        yield wrong(path, parts.query, "query parameters are not permitted in the URL")


def _path(text: Any, path: str) -> Iterator[Cause]:
    """Beside the rules of its field."""
    if str(text or "/").startswith("/") and text not in (None, "/"):
        steps = str(text)[1:].rstrip("/").split("/")
        for at, step in enumerate(steps):
            if not step:
                yield wrong(path, text, f"segment[{at}] may not be empty")


def _conditions(conditions: Sequence[Object], path: str, known: set[str]) -> Causes:
    """Imported late: the language of expressions knows formats of names from here."""
    if not conditions:
        return
    from actors.api.policies.environment import CelError, Scope

    if len(conditions) > _CONDITIONS_MAX:
        rule = f"Too many: {len(conditions)}: must have at most {_CONDITIONS_MAX} items"
        yield Cause(path, rule, "FieldValueTooMany")
    scope = Scope(has_params=False)
    for at, condition in enumerate(conditions):
        where, text = f"{path}[{at}]", str(condition.get("expression") or "")
        if condition.get("name") in [other.get("name") for other in conditions[:at]]:
            yield duplicate(f"{where}.name", condition.get("name"))
        if not text.strip() or text in known:
            continue
        try:
            returns = str(scope.compile(text).returns)
        except CelError as error:
            yield wrong(f"{where}.expression", text, f"compilation failed: {error}")
            continue
        if returns != "bool":
            yield wrong(f"{where}.expression", text, f"must evaluate to bool but got {returns}")
