"""AdmissionReview (admission.k8s.io/v1, and v1beta1 for old webhooks), made and read. Pure."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec

from actors.admission.request import Gvk, Request, request_facts
from actors.api.codec import Object
from actors.api.errors import ApiError, from_status
from actors.api.kinds import Kind
from actors.api.meta import Lens

GROUP = "admission.k8s.io"
VERSIONS = ("v1", "v1beta1")


class BadReview(Exception):
    """An answer that is none. The text is kube-apiserver's."""


class Answer(Lens, frozen=True):
    """AdmissionResponse. `patch` as it was sent: base64 of a JSON patch."""

    uid: str = ""
    allowed: bool = False
    status: Any = None
    patch: str | None = None
    patch_type: str | None = None
    audit_annotations: dict[str, str] | None = None
    warnings: tuple[str, ...] | None = None


class _Review(Lens, frozen=True):
    api_version: str = ""
    kind: str = ""
    response: Answer | None = None


def review_version(offered: tuple[str, ...] | None) -> str:
    """The first one that both know. Raises BadReview."""
    for version in offered or ():
        if version in VERSIONS:
            return version
    raise BadReview("webhook does not accept known AdmissionReview versions (v1, v1beta1)")


def make_review(
    request: Request, kind: Kind, obj: Object | None, old: Object | None, uid: str, version: str = "v1"
) -> Object:
    """`kind`, `obj`, `old`: in the terms of the rule that matched."""
    asked: Object = {"uid": uid, **request_facts(request, kind), "object": obj, "oldObject": old}
    return {"kind": "AdmissionReview", "apiVersion": f"{GROUP}/{version}", "request": asked}


def read_review(body: bytes, uid: str, version: str, mutating: bool) -> Answer:
    """What a webhook answers. Raises BadReview."""
    try:
        review = msgspec.json.decode(body, type=_Review)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadReview(f"couldn't get version/kind; json parse error: {error}") from error
    answer = review.response
    if answer is None:
        raise BadReview("webhook response was absent")
    if version == "v1":
        _check_identity(review, answer, uid)
        _check_patch(answer, mutating)
    return answer


def _check_identity(review: _Review, answer: Answer, uid: str) -> None:
    if answer.uid != uid:
        raise BadReview(f'expected response.uid="{uid}", got "{answer.uid[:200]}"')
    group, _, version = review.api_version.rpartition("/")
    got = Gvk(group, version, review.kind)
    wanted = Gvk(GROUP, "v1", "AdmissionReview")
    if got != wanted:
        raise BadReview(f"expected webhook response of {wanted}, got {str(got)[:300]}")


def _check_patch(answer: Answer, mutating: bool) -> None:
    if not mutating:
        for name, value in (("patch", answer.patch), ("patchType", answer.patch_type)):
            if value:
                raise BadReview(f"validating webhook may not return response.{name}")
        return
    if answer.patch and answer.patch_type is None:
        raise BadReview("webhook returned response.patch but not response.patchType")
    if not answer.patch and answer.patch_type is not None:
        raise BadReview("webhook returned response.patchType but not response.patch")
    if answer.patch_type == "":
        raise BadReview('webhook returned invalid response.patchType of ""')


def read_patch(answer: Answer) -> list[Any]:
    """The operations of an answer's patch. Raises BadReview."""
    if not answer.patch:
        return []
    if answer.patch_type not in (None, "JSONPatch"):
        raise BadReview(f'unsupported patch type "{answer.patch_type[:100]}"')
    try:
        operations = msgspec.json.decode(base64.b64decode(answer.patch, validate=True))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise BadReview(f"received undecodable patch in webhook response: {error}") from error
    if operations is None:
        return []
    if not isinstance(operations, list):
        raise BadReview("received undecodable patch in webhook response: it is not a list of operations")
    return operations


def refusal(name: str, status: Any) -> ApiError:
    """What the client of a refused request is told: the webhook's own status, marked as its (ToStatusErr)."""
    told: Object = status if isinstance(status, dict) else {}
    code = told.get("code")
    code = code if isinstance(code, int) and 400 <= code < 600 else 400
    reason = told["reason"] if isinstance(told.get("reason"), str) else ""
    said = told["message"] if isinstance(told.get("message"), str) and told["message"] else reason
    denied = f'admission webhook "{name}" denied the request'
    message = f"{denied}: {said}" if said else f"{denied} without explanation"
    return from_status({"message": message, "reason": reason, "code": code, "details": _details(told.get("details"))})


def _details(details: Any) -> Object:
    """As far as it is what StatusDetails are."""
    if not isinstance(details, dict):
        return {}
    found: Object = {
        name: details[name] for name in ("name", "group", "kind", "uid") if isinstance(details.get(name), str)
    }
    causes = details.get("causes")
    found["causes"] = [cause for cause in causes if isinstance(cause, dict)] if isinstance(causes, list) else []
    seconds = details.get("retryAfterSeconds")
    return {**found, "retryAfterSeconds": seconds if isinstance(seconds, int) else 0}
