"""kubectl's change from client-side to server-side apply and back (apimachinery's lastAppliedManager and -Updater).

The annotation of the last client-side apply says which fields were kubectl's own: those it may take over. It is kept
up to date by kubectl's server-side applies, so that a client-side one that follows removes what it should.
"""

from __future__ import annotations

import json

from actors.api.codec import Object
from actors.api.schema import Field
from actors.store.admission.fieldset import Path, flatten
from actors.store.admission.metadata import without_nulls

_KUBECTL = "kubectl"
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_ANNOTATION_BYTES_MAX = 256 << 10


def allowed_conflicts(live: Object, root: Field, manager: str) -> frozenset[Path]:
    """The fields that are still as kubectl's last client-side apply made them."""
    if manager != _KUBECTL:
        return frozenset()
    try:
        known = flatten(without_nulls(json.loads(live["metadata"]["annotations"][_LAST_APPLIED])), root)
    except (KeyError, ValueError, TypeError, AttributeError):
        return frozenset()
    now = flatten(live, root)
    return frozenset(path for path, value in known.items() if now.get(path) == value)


def with_last_applied(obj: Object, wanted: Object, manager: str) -> Object:
    """With the annotation, where it is there, saying what kubectl has just applied."""
    annotations = obj["metadata"].get("annotations") or {}
    if manager != _KUBECTL or _LAST_APPLIED not in annotations:
        return obj
    metadata = {name: value for name, value in wanted["metadata"].items() if name != "managedFields"}
    if "annotations" in metadata:
        metadata["annotations"] = {n: v for n, v in metadata["annotations"].items() if n != _LAST_APPLIED}
    text = json.dumps({**wanted, "metadata": metadata}, separators=(",", ":"), sort_keys=True) + "\n"
    if len(text) > _ANNOTATION_BYTES_MAX:
        text = ""
    return {**obj, "metadata": {**obj["metadata"], "annotations": {**annotations, _LAST_APPLIED: text}}}
