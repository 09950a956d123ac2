"""Rules between fields, one small function per schema definition; the table of all at the end (pkg/apis/*/validation).

What one field alone must hold is data: rules.json.
"""

from __future__ import annotations

from actors.api.codec import Object
from actors.api.validation.causes import Causes, dicts_of, forbidden, required, wrong
from actors.api.validation.networking import NETWORKING_RELATIONS
from actors.api.validation.pod_relations import POD_RELATIONS
from actors.api.validation.rules import Judge, Relation
from actors.api.validation.scaling import SCALING_RELATIONS
from actors.api.validation.storage import STORAGE_RELATIONS


def _requirement(need: Object, path: str) -> Causes:
    operator, values = need.get("operator"), need.get("values")
    if operator in ("In", "NotIn") and not values:
        yield required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'")
    if operator in ("Exists", "DoesNotExist") and values:
        yield forbidden(f"{path}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")


def _validating_policy(spec: Object, path: str) -> Causes:
    if not spec.get("validations") and not spec.get("auditAnnotations"):
        yield required(f"{path}.validations", "validations or auditAnnotations must be set")


def _actions(spec: Object, path: str) -> Causes:
    actions = spec.get("validationActions") or []
    if "Deny" in actions and "Warn" in actions:
        yield wrong(f"{path}.validationActions", "", "must not contain both Deny and Warn")


def _device_request(request: Object, path: str) -> Causes:
    if bool(request.get("exactly")) == bool(request.get("firstAvailable")):
        yield required(path, "exactly one of `exactly` or `firstAvailable` is required")


def _priority_level(spec: Object, path: str) -> Causes:
    kind = spec.get("type")
    for name, wanted in (("limited", "Limited"), ("exempt", "Exempt")):
        if spec.get(name) is not None and kind != wanted:
            yield forbidden(f"{path}.{name}", f"must be nil if the type is not {wanted}")
    if kind == "Limited" and spec.get("limited") is None:
        yield required(f"{path}.limited", "must not be empty when type is Limited")


def _device_claim(claim: Object, path: str) -> Causes:
    """Constraints and settings speak of requests of the claim, or of what these may be instead (`request/second`)."""
    requests = dicts_of(claim.get("requests"))
    known = {request.get("name") for request in requests}
    known |= {f"{r.get('name')}/{part.get('name')}" for r in requests for part in dicts_of(r.get("firstAvailable"))}
    for section in ("constraints", "config"):
        for i, row in enumerate(dicts_of(claim.get(section))):
            for j, name in enumerate(row.get("requests") or ()):
                if name not in known:
                    at = f"{path}.{section}[{i}].requests[{j}]"
                    yield wrong(at, name, "must be the name of a request in the claim")


def _device_expression(selector: Object, path: str) -> Causes:
    """That it can be read; what it means is a driver's to know. Imported late: expressions know formats from here."""
    from actors.api.cel.environment import CelError, untyped

    text = selector.get("expression")
    try:
        if isinstance(text, str) and text:
            untyped(("device",)).parse(text)
    except CelError as error:
        yield wrong(f"{path}.expression", text, f"compilation failed: {error}")


RELATIONS: dict[str, Relation] = {
    **NETWORKING_RELATIONS,
    **POD_RELATIONS,
    **SCALING_RELATIONS,
    **STORAGE_RELATIONS,
    "meta.v1.LabelSelectorRequirement": _requirement,
    "admissionregistration.v1.ValidatingAdmissionPolicySpec": _validating_policy,
    "admissionregistration.v1.ValidatingAdmissionPolicyBindingSpec": _actions,
    "resource.v1.CELDeviceSelector": _device_expression,
    "resource.v1.DeviceClaim": _device_claim,
    "resource.v1.DeviceRequest": _device_request,
    "flowcontrol.v1.PriorityLevelConfigurationSpec": _priority_level,
}

#: Of every kind that is not judged by hand, and of the parts that are not.
JUDGE = Judge(RELATIONS)
