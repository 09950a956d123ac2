"""Custom resources from one version to another: by name only, or by their conversion webhook (ConversionReview v1).

What a webhook may change of metadata is labels and annotations; the rest is the original's, whatever it answers
(apiextensions-apiserver pkg/apiserver/conversion/webhook_converter.go). Errors are worded as there.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import msgspec

from actors.api.codec import Object
from actors.api.crd.definition import Conversion
from actors.api.crd.kinds import CustomKind
from actors.api.errors import ApiError
from actors.api.meta import Lens
from actors.remote.client import RemoteClient
from actors.remote.target import ClientConfig, RemoteError

_GROUP = "apiextensions.k8s.io"
_VERSIONS = ("v1", "v1beta1")
_SECONDS = 30
_ENCODER = msgspec.json.Encoder()
_FREE = ("labels", "annotations")


class _Webhook(Lens, frozen=True):
    client_config: ClientConfig = ClientConfig()
    conversion_review_versions: tuple[str, ...] | None = None


class _Result(Lens, frozen=True):
    status: str = ""
    message: str = ""


class _Response(Lens, frozen=True):
    uid: str = ""
    result: _Result = _Result()
    converted_objects: list[Any] | None = None


class _Review(Lens, frozen=True):
    api_version: str = ""
    kind: str = ""
    response: _Response | None = None


class BadConversion(Exception):
    """What is wrong with an answer, in the words that follow "failed: " or "returned "."""


class Converter:
    def __init__(self, client: RemoteClient) -> None:
        self._client = client

    async def convert(self, objects: Sequence[Object], kind: CustomKind) -> list[Object]:
        """Each in the version of `kind`, in one call of the webhook at most. Raises ApiError (500)."""
        strange = [obj for obj in objects if obj.get("apiVersion") != kind.api_version]
        if not strange:
            return list(objects)
        if not by_webhook(kind):
            return [{**obj, "apiVersion": kind.api_version} for obj in objects]
        converted = iter(await self._ask(strange, kind, kind.conversion))
        return [obj if obj.get("apiVersion") == kind.api_version else next(converted) for obj in objects]

    async def _ask(self, objects: Sequence[Object], kind: CustomKind, conversion: Conversion | None) -> list[Object]:
        source = f"{objects[0].get('apiVersion')}, Kind={kind.kind}"
        assert conversion is not None
        try:
            webhook = msgspec.convert(conversion.webhook, _Webhook)
            answer = await self._call(webhook, objects, kind)
        except (RemoteError, msgspec.ValidationError) as error:
            raise _failure(f"conversion webhook for {source} failed: {error}") from error
        except BadConversion as trouble:
            raise _failure(f"conversion webhook for {source} failed: {trouble}") from trouble
        if len(answer) != len(objects):
            raise _failure(f"conversion webhook for {source} returned {len(answer)} objects, expected {len(objects)}")
        try:
            return [restored(old, new, kind, at) for at, (old, new) in enumerate(zip(objects, answer, strict=True))]
        except BadConversion as trouble:
            raise _failure(f"conversion webhook for {source} returned {trouble}") from trouble

    async def _call(self, webhook: _Webhook, objects: Sequence[Object], kind: CustomKind) -> list[Any]:
        offered = webhook.conversion_review_versions or ()
        version = next((version for version in offered if version in _VERSIONS), "")
        if not version:
            raise BadConversion("no supported conversion review versions")
        uid = str(uuid.uuid4())
        request = {"uid": uid, "desiredAPIVersion": kind.api_version, "objects": list(objects)}
        review = {"kind": "ConversionReview", "apiVersion": f"{_GROUP}/{version}", "request": request, "response": None}
        body = await self._client.post(webhook.client_config, _ENCODER.encode(review), _SECONDS)
        return read_answer(body, uid, version)


def by_webhook(kind: CustomKind) -> bool:
    return kind.conversion is not None and kind.conversion.strategy == "Webhook"


def _failure(text: str) -> ApiError:
    """A plain 500: kube-apiserver gives it no reason."""
    error = ApiError(text)
    error.reason = ""
    return error


def read_answer(body: bytes, uid: str, version: str) -> list[Any]:
    """The converted objects of a ConversionReview. Raises BadConversion."""
    try:
        review = msgspec.json.decode(body, type=_Review)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadConversion(f"couldn't get version/kind; json parse error: {error}") from error
    if version == "v1" and (review.api_version, review.kind) != (f"{_GROUP}/v1", "ConversionReview"):
        group, _, found = review.api_version.rpartition("/")
        got = f"{group}/{found}, Kind={review.kind}"[:300]
        raise BadConversion(f"expected webhook response of {_GROUP}/v1, Kind=ConversionReview, got {got}")
    response = review.response
    if response is None:
        raise BadConversion("no response provided")
    if version == "v1" and response.uid != uid:
        raise BadConversion(f'expected response.uid="{uid}", got "{response.uid[:200]}"')
    if response.result.status != "Success":
        raise BadConversion(
            response.result.message or f"response.result.status was '{response.result.status}', not 'Success'"
        )
    return response.converted_objects or []


def restored(old: Object, new: Any, kind: CustomKind, at: int) -> Object:
    """`new` with the metadata of `old`, but for its own labels and annotations. Raises BadConversion."""
    where = f"converted object at index {at}"
    if not isinstance(new, dict):
        raise BadConversion(f"invalid {where}: it is not an object")
    if new.get("apiVersion") != kind.api_version:
        raise BadConversion(
            f"invalid {where}: invalid groupVersion (expected {kind.api_version}, received {new.get('apiVersion')})"
        )
    if new.get("kind") != old.get("kind"):
        raise BadConversion(f"invalid {where}: invalid kind (expected {old.get('kind')}, received {new.get('kind')})")
    given, kept = new.get("metadata"), old["metadata"]
    if "metadata" not in new:
        raise BadConversion(f"invalid metadata in object at index {at}: missing metadata in converted object")
    if not isinstance(given, dict):
        raise BadConversion(f"invalid metadata in object at index {at}: invalid metadata in converted object")
    for field, shown in (("name", "name"), ("namespace", "namespace"), ("uid", "UID")):
        before, after = kept.get(field, ""), given.get(field, "")
        if before != after:
            raise BadConversion(f"invalid {where}: must have the same {shown}: {before} != {after}")
    metadata = {name: value for name, value in kept.items() if name not in _FREE}
    for name in _FREE:
        if given.get(name) is not None:
            metadata[name] = _texts(given[name], name, at)
    return {**new, "metadata": metadata}


def _texts(value: Any, name: str, at: int) -> Object:
    where = f"invalid metadata in object at index {at}"
    if not isinstance(value, dict):
        raise BadConversion(f"{where}: invalid metadata.{name} in converted object")
    for key, text in value.items():
        if not isinstance(text, str):
            raise BadConversion(f"{where}: metadata.{name}[{key}] must be a string in converted object")
    return value
