"""Query parameters as Kubernetes reads them: ListOptions, CreateOptions and their like, each a frozen value.

Pure. Unknown parameters are ignored, as kube-apiserver does; malformed ones are a BadRequest or Invalid.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from urllib.parse import parse_qs

import msgspec

from actors.api.errors import BadRequest, Cause, Invalid

Query = Mapping[str, Sequence[str]]
#: Each word of a command to execute is one.
_PARAMETERS_MAX = 4096
_LIMIT_MAX = 100_000


def parse_query(text: str) -> Query:
    """Raises BadRequest. Equal texts share their answer, which nobody changes."""
    known = _parse_known if len(text) <= _KNOWN_CHARS_MAX else _parse
    return known(text)


def _parse(text: str) -> Query:
    if not text:
        return {}
    try:
        return parse_qs(text, keep_blank_values=True, max_num_fields=_PARAMETERS_MAX, errors="strict")
    except ValueError as error:
        raise BadRequest(f"the query is malformed: {error}") from error


#: Clients ask in the same few ways again and again.
_parse_known = lru_cache(maxsize=4096)(_parse)
_KNOWN_CHARS_MAX = 256


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


_DURATION = re.compile(r"\+?(?=[\d.])((?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|ms|s|m|h))+|\+?0")
_DURATION_PART = re.compile(r"([\d.]+)(ns|us|µs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_REQUEST_SECONDS_MAX = 60.0


def timeout_of(query: Query) -> float:
    """Seconds of `timeout=1m30s` (Go's duration), at most a minute, which is also what 0 means. Raises BadRequest."""
    text = text_of(query, "timeout")
    if len(text) > 50 or not _DURATION.fullmatch(text):
        quoted = text[:50]
        raise BadRequest(f'invalid timeout specified in the request URL - time: invalid duration "{quoted}"')
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _DURATION_PART.findall(text))
    return min(seconds, _REQUEST_SECONDS_MAX) or _REQUEST_SECONDS_MAX


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


def parse_list(query: Query, name: str = "", *, is_watch: bool = False) -> ListOptions:
    """`name`: that of the single object a watch on its own path is about. `is_watch`: whatever the query says."""
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
        watch=is_watch or flag_of(query, "watch"),
        bookmarks=flag_of(query, "allowWatchBookmarks"),
        initial_events=flag_of(query, "sendInitialEvents") if "sendInitialEvents" in query else None,
        timeout_seconds=max(integer_of(query, "timeoutSeconds") or 0, 0),
    )
    _check_list(options)
    return options


def _check_list(options: ListOptions) -> None:
    causes = [*(_watch_causes(options) if options.watch else _match_causes(options))]
    if causes:
        raise invalid_options("ListOptions", causes)
    if options.cursor and not options.watch and options.revision_text not in ("", "0"):
        raise BadRequest("specifying resource version is not allowed when using continue")
    revision_of(options.revision_text)


def invalid_options(kind: str, causes: Sequence[Cause]) -> Invalid:
    """Of ListOptions, CreateOptions and their like: every bad parameter at once."""
    told = [f"{cause.field}: {cause.message}" for cause in causes]
    listed = told[0] if len(told) == 1 else f"[{', '.join(told)}]"
    return Invalid(f'{kind}.meta.k8s.io "" is invalid: {listed}', group="meta.k8s.io", kind=kind, causes=causes)


def _forbidden(field: str, why: str) -> Cause:
    return Cause(field, f"Forbidden: {why}", "FieldValueForbidden")


def unsupported(field: str, value: str, supported: Sequence[str]) -> Cause:
    """Of a value that is none of those it could be."""
    listed = ", ".join(f'"{one}"' for one in supported)
    return Cause(field, f'Unsupported value: "{value[:50]}": supported values: {listed}', "FieldValueNotSupported")


_MATCH = "resourceVersionMatch"


def _match_causes(options: ListOptions) -> Iterator[Cause]:
    """Of a list (apimachinery pkg/apis/meta/internalversion/validation)."""
    if options.match:
        if not options.revision_text:
            yield _forbidden(_MATCH, "resourceVersionMatch is forbidden unless resourceVersion is provided")
        if options.cursor:
            yield _forbidden(_MATCH, "resourceVersionMatch is forbidden when continue is provided")
        if options.match not in ("Exact", "NotOlderThan"):
            yield unsupported(_MATCH, options.match, ("Exact", "NotOlderThan", ""))
        if options.match == "Exact" and options.revision_text == "0":
            yield _forbidden(_MATCH, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"')
    if options.initial_events is not None:
        yield _forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list")


def _watch_causes(options: ListOptions) -> Iterator[Cause]:
    if options.initial_events is not None and options.match != "NotOlderThan":
        yield _forbidden(_MATCH, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")
    if options.match:
        if options.initial_events is None:
            yield _forbidden(_MATCH, "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided")
        if options.match != "NotOlderThan":
            yield unsupported(_MATCH, options.match, ("NotOlderThan",))
        if options.cursor:
            yield _forbidden(_MATCH, "resourceVersionMatch is forbidden when continue is provided")


class WriteOptions(msgspec.Struct, frozen=True, kw_only=True):
    dry_run: bool = False
    manager: str = ""
    force: bool = False
    validation: str = "Warn"


_VALIDATIONS = ("Ignore", "Strict", "Warn", "")
_MANAGER_BYTES_MAX = 128


def parse_write(query: Query, kind: str = "CreateOptions", *, apply: bool = False) -> WriteOptions:
    """`kind`: CreateOptions, UpdateOptions or PatchOptions; `apply`: of a server-side apply. Raises Invalid."""
    if causes := [*dry_run_causes(query.get("dryRun", ())), *_write_causes(query, kind, apply)]:
        raise invalid_options(kind, causes)
    return WriteOptions(
        dry_run="All" in query.get("dryRun", ()),
        manager=text_of(query, "fieldManager"),
        force=flag_of(query, "force"),
        validation=text_of(query, "fieldValidation") or "Warn",
    )


def _write_causes(query: Query, kind: str, apply: bool) -> Iterator[Cause]:
    """apimachinery pkg/apis/meta/v1/validation: ValidateCreateOptions, ValidatePatchOptions."""
    manager, validation = text_of(query, "fieldManager"), text_of(query, "fieldValidation")
    if apply and not manager:
        yield Cause("fieldManager", "Required value: is required for apply patch", "FieldValueRequired")
    if kind == "PatchOptions" and not apply and "force" in query:
        yield _forbidden("force", "may not be specified for non-apply patch")
    if len(manager.encode()) > _MANAGER_BYTES_MAX:
        yield Cause("fieldManager", f"Too long: may not be more than {_MANAGER_BYTES_MAX} bytes", "FieldValueTooLong")
    if bad := next((char for char in manager if not char.isprintable()), ""):
        message = f"Invalid value: {manager[:50]!r}: should only contain printable characters, not {bad!r}"
        yield Cause("fieldManager", message)
    if validation not in _VALIDATIONS:
        yield unsupported("fieldValidation", validation, _VALIDATIONS)


def dry_run_causes(values: Sequence[str]) -> Iterator[Cause]:
    """Of a value that is not `All`."""
    return (unsupported("dryRun", value, ("All",)) for value in values if value not in ("", "All"))
