"""What a CustomResourceDefinition may say (pkg/apis/apiextensions/validation): every bad field at once."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from actors.api.codec import Object
from actors.api.crd.approval import check_approval
from actors.api.crd.definition import Definition, Names, Spec, Version, read_definition
from actors.api.errors import Cause
from actors.api.structural.check import check_structural
from actors.api.structural.default_check import check_defaults
from actors.api.structural.rule_check import check_schema_rules
from actors.api.validation.causes import Causes, forbidden, required, unsupported, wrong
from actors.api.validation.metadata import validate_name
from actors.api.validation.webhooks import validate_client

_DNS1035 = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_RULE_1035 = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')"
)
#: Printer columns, scale paths and selectable fields name one place each: `.spec.replicas`, `.spec['a-b']`.
SIMPLE_PATH = re.compile(r"(\.[A-Za-z_][\w\-]*(\\\.[\w\-]+)*|\['[^'\]]+'\])+")
_COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
_SELECTABLE_MAX = 8
_COLUMNS_MAX = 100


def validate_definition(obj: Object, old: Object | None = None) -> Causes:
    """Every bad field of a definition that has its defaults; `old` is what it replaces."""
    try:
        definition = read_definition(obj)
    except msgspec.ValidationError as error:
        yield Cause("spec", f"Invalid value: {error}", "FieldValueTypeInvalid")
        return
    spec = definition.spec
    yield from check_approval(obj, old)
    yield from _check_preserving(obj, old)
    yield from _check_name(definition)
    yield from _check_spec(spec)
    yield from _check_versions(obj, spec, old)
    yield from _check_conversion(spec)
    if old is not None:
        yield from _check_immutable(definition, read_definition(old))
        yield from _check_stored_versions(definition)


def _check_preserving(obj: Object, old: Object | None) -> Iterator[Cause]:
    """Of the whole object as v1beta1 had it: only a schema says so now."""
    if obj["spec"].get("preserveUnknownFields") and not ((old or {}).get("spec") or {}).get("preserveUnknownFields"):
        rule = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
        yield wrong("spec.preserveUnknownFields", "true", rule)


def _check_name(definition: Definition) -> Iterator[Cause]:
    names, group, name = definition.spec.names, definition.spec.group, definition.metadata.name
    if name != f"{names.plural}.{group}":
        yield wrong("metadata.name", name, 'must be spec.names.plural+"."+spec.group')


def _check_spec(spec: Spec) -> Iterator[Cause]:
    if not spec.group:
        yield required("spec.group")
    elif "." not in spec.group:
        yield wrong("spec.group", spec.group, "should be a domain with at least one dot")
    else:
        yield from validate_name("spec.group", spec.group)
    if spec.scope not in ("Cluster", "Namespaced"):
        if spec.scope:
            yield unsupported("spec.scope", spec.scope, ("Cluster", "Namespaced"))
        else:
            yield required("spec.scope")
    yield from _check_names(spec.names)


def _check_names(names: Names) -> Iterator[Cause]:
    for field, value in (
        ("plural", names.plural),
        ("singular", names.singular),
        ("kind", names.kind),
        ("listKind", names.list_kind),
    ):
        path = f"spec.names.{field}"
        if not value:
            yield required(path)
        elif not _DNS1035.fullmatch(value.lower()) or (field in ("plural", "singular") and value != value.lower()):
            told = "may have mixed case, but should otherwise match: " if field in ("kind", "listKind") else ""
            yield wrong(path, value, told + _RULE_1035)
    if names.kind and names.kind == names.list_kind:
        yield wrong("spec.names.listKind", names.list_kind, "kind and listKind may not be the same")
    for field, values in (("shortNames", names.short_names), ("categories", names.categories)):
        for index, value in enumerate(values or ()):
            if not _DNS1035.fullmatch(value):
                yield wrong(f"spec.names.{field}[{index}]", value, _RULE_1035)


def _check_versions(obj: Object, spec: Spec, old: Object | None) -> Iterator[Cause]:
    if not spec.versions:
        yield required("spec.versions", "must have exactly one version marked as storage version")
        return
    names = [version.name for version in spec.versions]
    for index, version in enumerate(spec.versions):
        if not _DNS1035.fullmatch(version.name):
            yield wrong(f"spec.versions[{index}].name", version.name, _RULE_1035)
        if version.deprecation_warning and not version.deprecated:
            yield wrong(
                f"spec.versions[{index}].deprecationWarning",
                version.deprecation_warning,
                "can only be set for deprecated versions",
            )
        yield from _check_version(version, f"spec.versions[{index}]")
    if len(set(names)) != len(names):
        yield wrong("spec.versions", ", ".join(names), "must contain unique version names")
    if sum(version.storage for version in spec.versions) != 1:
        yield wrong("spec.versions", ", ".join(names), "must have exactly one version marked as storage version")
    yield from _check_schemas(spec, obj, old)


def _check_schemas(spec: Spec, obj: Object, old: Object | None) -> Iterator[Cause]:
    """One schema of all versions is told of where the v1beta1 API had it, as kube-apiserver does."""
    schemas = [version.schema.open_api_v3_schema if version.schema else None for version in spec.versions]
    before = {
        version.get("name"): version.get("schema") for version in ((old or {}).get("spec") or {}).get("versions") or ()
    }
    shared = all(schema == schemas[0] for schema in schemas[1:])
    for index, (version, schema) in enumerate(zip(spec.versions, schemas, strict=True)):
        path = "spec.validation.openAPIV3Schema" if shared else f"spec.versions[{index}].schema.openAPIV3Schema"
        if schema is None:
            yield required(f"spec.versions[{index}].schema.openAPIV3Schema", "schemas are required")
        elif before.get(version.name) != {"openAPIV3Schema": schema}:
            yield from check_schema(schema, path)
        if shared and schema is not None:
            return


def check_schema(schema: Object, path: str) -> Iterator[Cause]:
    """Structural first: rules and defaults are read by the structure."""
    structural = list(check_structural(schema, path))
    yield from structural
    if structural:
        return
    rules = list(check_schema_rules(schema, path))
    yield from rules
    if not rules:
        yield from check_defaults(schema, path)


def _check_version(version: Version, path: str) -> Iterator[Cause]:
    for index, column in enumerate((version.additional_printer_columns or ())[:_COLUMNS_MAX]):
        where = f"{path}.additionalPrinterColumns[{index}]"
        if not column.name:
            yield required(f"{where}.name")
        if not column.type:
            yield required(f"{where}.type", f"must be one of {','.join(_COLUMN_TYPES)}")
        elif column.type not in _COLUMN_TYPES:
            yield wrong(f"{where}.type", column.type, f"must be one of {','.join(_COLUMN_TYPES)}")
        if not column.json_path:
            yield required(f"{where}.jsonPath")
        elif not column.json_path.startswith("."):
            yield wrong(f"{where}.jsonPath", column.json_path, "must be a simple json path starting with .")
    yield from _check_scale(version, path)
    yield from _check_selectable(version, path)


def _check_scale(version: Version, path: str) -> Iterator[Cause]:
    scale = version.subresources.scale if version.subresources else None
    if scale is None:
        return
    where = f"{path}.subresources.scale"
    for field, value, parent in (
        ("specReplicasPath", scale.spec_replicas_path, ".spec."),
        ("statusReplicasPath", scale.status_replicas_path, ".status."),
        ("labelSelectorPath", scale.label_selector_path, ""),
    ):
        if not value:
            if field != "labelSelectorPath":
                yield required(f"{where}.{field}")
        elif not SIMPLE_PATH.fullmatch(value) or "[" in value:
            yield wrong(f"{where}.{field}", value, "should be a simple json path without array notation")
        elif not value.startswith(parent or (".spec.", ".status.")):
            yield wrong(f"{where}.{field}", value, f"should be a json path under {parent or '.status or .spec'}")


def _check_selectable(version: Version, path: str) -> Iterator[Cause]:
    fields = version.selectable_fields or ()
    schema = version.schema.open_api_v3_schema if version.schema else None
    if len(fields) > _SELECTABLE_MAX:
        yield Cause(
            f"{path}.selectableFields",
            f"Too many: {len(fields)}: must have at most {_SELECTABLE_MAX} items",
            "FieldValueTooMany",
        )
    seen: set[str] = set()
    for index, field in enumerate(fields):
        where = f"{path}.selectableFields[{index}].jsonPath"
        if not field.json_path:
            yield required(where)
        elif field.json_path in seen:
            yield Cause(where, f'Duplicate value: "{field.json_path}"', "FieldValueDuplicate")
        elif not SIMPLE_PATH.fullmatch(field.json_path) or field.json_path.startswith(".metadata"):
            yield wrong(where, field.json_path, "is an invalid path: must be a simple path without metadata")
        elif _type_at(schema, field.json_path) not in ("string", "integer", "boolean"):
            yield wrong(
                where, field.json_path, "is an invalid path: must point to a field of type string, boolean or integer"
            )
        seen.add(field.json_path)


def _type_at(schema: object, path: str) -> str:
    for name in path.split(".")[1:]:
        properties = schema.get("properties") if isinstance(schema, dict) else None
        schema = properties.get(name) if isinstance(properties, dict) else None
    return str(schema.get("type")) if isinstance(schema, dict) else ""


def _check_conversion(spec: Spec) -> Iterator[Cause]:
    conversion = spec.conversion
    if conversion is None:
        return
    if conversion.strategy not in ("None", "Webhook"):
        yield unsupported("spec.conversion.strategy", conversion.strategy, ("None", "Webhook"))
        return
    webhook = conversion.webhook
    if conversion.strategy == "None":
        if webhook is not None:
            yield forbidden("spec.conversion.webhook", "should not be set when strategy is not set to Webhook")
        return
    client = webhook.get("clientConfig") if isinstance(webhook, dict) else None
    if not isinstance(client, dict):
        yield required("spec.conversion.webhook.clientConfig", "required when strategy is set to Webhook")
    else:
        yield from validate_client(client, "spec.conversion.webhook.clientConfig")
    versions = webhook.get("conversionReviewVersions") if isinstance(webhook, dict) else None
    if not versions:
        yield required("spec.conversion.webhook.conversionReviewVersions")
    elif "v1" not in versions:
        yield wrong(
            "spec.conversion.webhook.conversionReviewVersions", str(versions), "must include at least one of v1"
        )


def _check_immutable(new: Definition, old: Definition) -> Iterator[Cause]:
    before, after = old.spec, new.spec
    fields = [("spec.group", before.group, after.group), ("spec.names.plural", before.names.plural, after.names.plural)]
    if old.is_true("Established"):
        fields += [("spec.scope", before.scope, after.scope), ("spec.names.kind", before.names.kind, after.names.kind)]
    for path, was, is_now in fields:
        if was != is_now:
            yield wrong(path, is_now, "field is immutable")


def _check_stored_versions(new: Definition) -> Iterator[Cause]:
    known = {version.name for version in new.spec.versions}
    for index, name in enumerate((new.status.stored_versions if new.status else None) or ()):
        if name not in known:
            rule = (
                f"missing from spec.versions; {name} was previously a storage version, and must remain in "
                f"spec.versions until a storage migration ensures no data remains persisted in {name} "
                f"and removes {name} from status.storedVersions"
            )
            yield wrong(f"status.storedVersions[{index}]", name, rule)
