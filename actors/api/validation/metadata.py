"""Names, labels, annotations, finalizers and owner references (apimachinery pkg/api/validation)."""

from __future__ import annotations

import re
from typing import Any

from actors.api.codec import Object
from actors.api.errors import Cause
from actors.api.kinds import Kind, kind_for
from actors.api.validation.causes import Causes, dicts_of, required, wrong

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
_QUALIFIED = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$")
_ANNOTATIONS_BYTES_MAX = 256 * 1024
_LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
    "with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    "and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_LABEL_VALUE_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start "
    "and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation "
    "is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_QUALIFIED_RULE = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
    "(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
#: What Kubernetes' kinds may have without a domain in front. Custom resources, and the groups that other servers than
#: kube-apiserver's core serve, may have any word.
_PLAIN_FINALIZERS = frozenset({"kubernetes", "orphan", "foregroundDeletion"})
_BESIDE_CORE = frozenset({"apiextensions.k8s.io", "apiregistration.k8s.io"})
#: Kinds whose name is a DNS label, not a subdomain.
_LABEL_NAMED = frozenset({"Namespace", "Service"})
#: Kinds whose name may be anything that a path can hold.
_PATH_NAMED = frozenset(
    {"APIService", "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding", "CertificateSigningRequest", "IPAddress"}
)


def validate_metadata(obj: Object) -> Causes:
    metadata = obj.get("metadata")
    if not isinstance(metadata, dict):
        yield required("metadata")
        return
    name = metadata.get("name")
    if not name:
        yield required("metadata.name", "name or generateName is required")
    elif obj.get("kind") in _PATH_NAMED:
        yield from _path_segment("metadata.name", name)
    else:
        yield from validate_name("metadata.name", name, label=obj.get("kind") in _LABEL_NAMED)
    yield from validate_labels(metadata.get("labels"), "metadata.labels")
    yield from _annotations(metadata.get("annotations"))
    yield from _owners(dicts_of(metadata.get("ownerReferences")))
    if metadata.get("finalizers"):
        yield from _finalizers(
            metadata["finalizers"], built_in=kind_for(obj.get("apiVersion", ""), obj.get("kind", ""))
        )


def _owners(references: list[Object]) -> Causes:
    controller = ""
    for i, reference in enumerate(references):
        path = f"metadata.ownerReferences[{i}]"
        for field in ("apiVersion", "kind", "name", "uid"):
            if not reference.get(field):
                yield required(f"{path}.{field}")
        if (reference.get("apiVersion"), reference.get("kind")) == ("v1", "Event"):
            yield wrong(path, reference, "v1, Kind=Event is disallowed from being an owner")
        if reference.get("controller") is not True:
            continue
        if controller:
            rule = 'Only one reference can have Controller set to true. Found "true" in references for'
            yield wrong("metadata.ownerReferences", references, f"{rule} {controller} and {reference.get('name')}")
        controller = str(reference.get("name"))


def _finalizers(names: Any, built_in: Kind | None) -> Causes:
    texts = [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
    for name in texts:
        yield from validate_qualified("metadata.finalizers", name)
    if "orphan" in texts and "foregroundDeletion" in texts:
        rule = "finalizer orphan and foregroundDeletion cannot be both set"
        yield wrong("metadata.finalizers", texts, rule)
    for i, name in enumerate(texts if built_in is not None and built_in.group not in _BESIDE_CORE else ()):
        if "/" not in name and name not in _PLAIN_FINALIZERS:
            rule = "name is neither a standard finalizer name nor is it fully qualified"
            yield wrong(f"metadata.finalizers[{i}]", name, rule)


def _path_segment(path: str, name: Any) -> Causes:
    if not isinstance(name, str):
        yield wrong(path, name, "must be a string")
    elif name in (".", ".."):
        yield wrong(path, name, f"may not be '{name}'")
    else:
        for char in ("/", "%"):
            if char in name:
                yield wrong(path, name, f"may not contain '{char}'")


def validate_name(path: str, name: Any, *, label: bool = False) -> Causes:
    if not isinstance(name, str):
        yield wrong(path, name, "must be a string")
    elif label and (len(name) > 63 or not _LABEL.match(name)):
        yield wrong(path, name, "must be no more than 63 characters" if len(name) > 63 else _LABEL_RULE)
    elif not label and (len(name) > 253 or not _SUBDOMAIN.match(name)):
        yield wrong(path, name, "must be no more than 253 characters" if len(name) > 253 else _SUBDOMAIN_RULE)


def validate_label(path: str, name: Any) -> Causes:
    return validate_name(path, name, label=True)


def validate_qualified(path: str, key: str) -> Causes:
    prefix, slash, name = key.rpartition("/")
    if slash and (len(prefix) > 253 or not _SUBDOMAIN.match(prefix)):
        yield wrong(path, key, f"prefix part {_SUBDOMAIN_RULE}")
    if len(name) > 63 or not _QUALIFIED.match(name):
        yield wrong(
            path, key, "name part " + ("must be no more than 63 characters" if len(name) > 63 else _QUALIFIED_RULE)
        )


def validate_labels(labels: Any, path: str) -> Causes:
    for key, value in labels.items() if isinstance(labels, dict) else ():
        yield from validate_qualified(path, key)
        if not isinstance(value, str):
            yield wrong(path, value, "must be a string")
        elif len(value) > 63:
            yield wrong(path, value, "must be no more than 63 characters")
        elif not _LABEL_VALUE.match(value):
            yield wrong(path, value, _LABEL_VALUE_RULE)


def _annotations(annotations: Any) -> Causes:
    if not isinstance(annotations, dict):
        return
    for key, value in annotations.items():
        yield from validate_qualified("metadata.annotations", key.lower())
        if not isinstance(value, str):
            yield wrong("metadata.annotations", value, "must be a string")
    if sum(len(str(k)) + len(str(v)) for k, v in annotations.items()) > _ANNOTATIONS_BYTES_MAX:
        yield Cause(
            "metadata.annotations",
            f"Too long: may not be more than {_ANNOTATIONS_BYTES_MAX} bytes",
            "FieldValueTooLong",
        )
