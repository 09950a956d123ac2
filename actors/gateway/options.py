"""Query parameters as Kubernetes reads them: ListOptions, CreateOptions and their like, each a frozen value.

Pure. Unknown parameters are ignored, as kube-apiserver does; malformed ones are a BadRequest or Invalid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import parse_qs

import msgspec

from actors.api.errors import BadRequest, Cause, Invalid

Query = Mapping[str, Sequence[str]]
_PARAMETERS_MAX = 100
_LIMIT_MAX = 100_000


def parse_query(text: str) -> Query:
    try:
        return parse_qs(text, keep_blank_values=True, max_num_fields=_PARAMETERS_MAX, errors="strict")
    except ValueError as error:
        raise BadRequest(f"the query is malformed: {error}") from error


def text_of(query: Query, name: str) -> str:
    values = query.get(name)
    return values[0] if values else ""


def flag_of(query: Query, name: str) -> bool:
    """As apimachinery's Convert_Slice_string_To_bool: present is true, except `false` and `0`."""
    values = query.get(name)
    return values is not None and values[0].lower() not in ("false", "0", "")


def integer_of(query: Query, name: str) -> int | None:
    value = text_of(query, name)
    if not value:
        return None
    digits = value.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
        raise BadRequest(f'strconv.ParseInt: parsing "{value[:50]}": invalid syntax')
    return int(value)


def revision_of(text: str) -> int:
    """Of a resourceVersion, "" is 0."""
    if text and not (text.isascii() and text.isdigit() and len(text) <= 18):
        quoted = text[:50]
        raise BadRequest(f'Invalid value: "{quoted}": strconv.ParseUint: parsing "{quoted}": invalid syntax')
    return int(text or 0)


class ListOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`revision_text` is the resourceVersion as given: "" and "0" differ in meaning."""

    labels: str = ""
    fields: str = ""
    limit: int = 0
    cursor: str = ""
    revision_text: str = ""
    match: str = ""
    watch: bool = False
    bookmarks: bool = False
    initial_events: bool | None = None
    timeout_seconds: int = 0

    @property
    def revision(self) -> int:
        return revision_of(self.revision_text)


def parse_list(query: Query, name: str = "") -> ListOptions:
    """`name`: that of the single object a watch on its own path is about."""
    fields = text_of(query, "fieldSelector")
    if name:
        fields = ",".join(filter(None, (f"metadata.name={name}", fields)))
    options = ListOptions(
        labels=text_of(query, "labelSelector"),
        fields=fields,
        limit=min(max(integer_of(query, "limit") or 0, 0), _LIMIT_MAX),
        cursor=text_of(query, "continue"),
        revision_text=text_of(query, "resourceVersion"),
        match=text_of(query, "resourceVersionMatch"),
        watch=flag_of(query, "watch"),
        bookmarks=flag_of(query, "allowWatchBookmarks"),
        initial_events=flag_of(query, "sendInitialEvents") if "sendInitialEvents" in query else None,
        timeout_seconds=max(integer_of(query, "timeoutSeconds") or 0, 0),
    )
    _check_list(options)
    return options


def _check_list(options: ListOptions) -> None:
    causes = list(_match_causes(options))
    if causes:
        message = ", ".join(f"{cause.field}: {cause.message}" for cause in causes)
        raise Invalid(f'ListOptions.meta.k8s.io "" is invalid: {message}', kind="ListOptions", causes=causes)
    if options.cursor and options.revision_text not in ("", "0"):
        raise BadRequest("specifying resource version is not allowed when using continue")
    revision_of(options.revision_text)


def _match_causes(options: ListOptions) -> list[Cause]:
    """apimachinery pkg/apis/meta/internalversion/validation."""
    found = []

    def forbid(field: str, why: str) -> None:
        found.append(Cause(field, f"Forbidden: {why}", "FieldValueForbidden"))

    if options.match not in ("", "Exact", "NotOlderThan"):
        found.append(
            Cause(
                "resourceVersionMatch",
                f'Unsupported value: "{options.match[:50]}": supported values: "Exact", "NotOlderThan"',
                "FieldValueNotSupported",
            )
        )
    if options.watch and options.initial_events is not None:
        if options.match != "NotOlderThan":
            forbid("resourceVersionMatch", "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")
        return found
    if options.initial_events is not None:
        forbid("sendInitialEvents", "sendInitialEvents is forbidden for list")
    if options.match and options.watch:
        forbid("resourceVersionMatch", "resourceVersionMatch is forbidden for watch")
    elif options.match and not options.revision_text:
        forbid("resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided")
    elif options.match == "Exact" and options.revision_text == "0":
        forbid("resourceVersionMatch", 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"')
    return found


class WriteOptions(msgspec.Struct, frozen=True, kw_only=True):
    dry_run: bool = False
    manager: str = ""
    force: bool = False
    validation: str = "Warn"


def parse_write(query: Query) -> WriteOptions:
    validation = text_of(query, "fieldValidation") or "Warn"
    if validation not in ("Strict", "Warn", "Ignore"):
        raise BadRequest(f'fieldValidation "{validation[:50]}" is not one of Ignore, Warn, Strict')
    return WriteOptions(
        dry_run=parse_dry_run(query.get("dryRun", ())),
        manager=text_of(query, "fieldManager")[:128],
        force=flag_of(query, "force"),
        validation=validation,
    )


def parse_dry_run(values: Sequence[str]) -> bool:
    for value in values:
        if value not in ("", "All"):
            cause = Cause(
                "dryRun", f'Unsupported value: "{value[:50]}": supported values: "All"', "FieldValueNotSupported"
            )
            raise Invalid(f"dryRun: {cause.message}", causes=[cause])
    return "All" in values
