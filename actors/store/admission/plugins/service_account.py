"""ServiceAccount: as whom a pod runs, its token, the secrets that it may name (plugin/pkg/admission/serviceaccount).

A pod that names no account runs as `default`, which the namespace's controller makes: a pod that is created before it
is admitted as if it was there. Every other account must be.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from actors.api.codec import Object, lens_kept
from actors.api.key import Key
from actors.api.kinds import POD, SERVICE_ACCOUNT
from actors.api.meta import Resource
from actors.api.pod import LocalReference
from actors.store.admission.plugin import Plugin, Request

DEFAULT_ACCOUNT = "default"
TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
ROOT_CA_MAP = "kube-root-ca.crt"
ENFORCE = "kubernetes.io/enforce-mountable-secrets"
_VOLUME_PREFIX = "kube-api-access-"
#: Kubernetes draws the end at random, which serves nobody: a pod's own volume of that prefix is taken. Pods of one
#: template stay alike.
_VOLUME = f"{_VOLUME_PREFIX}token"
_TOKEN_SECONDS = 3607
_MODE = 0o644
_MIRROR = "kubernetes.io/config.mirror"
#: What Go's strconv.ParseBool takes for true.
_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})


class Account(Resource, frozen=True):
    secrets: tuple[LocalReference, ...] | None = None
    image_pull_secrets: tuple[LocalReference, ...] | None = None
    automount_service_account_token: bool | None = None


class ServiceAccount(Plugin, frozen=True):
    resources: ClassVar[frozenset[str]] = frozenset({POD.resource})

    def mutate(self, request: Request, obj: Object) -> Object:
        if _MIRROR in (obj["metadata"].get("annotations") or {}):
            return obj
        spec = dict(obj["spec"])
        name = spec.get("serviceAccountName") or DEFAULT_ACCOUNT
        spec["serviceAccountName"] = spec["serviceAccount"] = name
        account = _find(name, request)
        if not spec.get("imagePullSecrets") and account.image_pull_secrets:
            spec["imagePullSecrets"] = [{"name": ref.name} for ref in account.image_pull_secrets]
        if _wants_token(spec, account):
            _mount_token(spec)
        return {**obj, "spec": spec}

    def validate(self, request: Request, obj: Object) -> None:
        if _MIRROR in (obj["metadata"].get("annotations") or {}):
            return
        name = obj["spec"].get("serviceAccountName") or DEFAULT_ACCOUNT
        account = _find(name, request)
        if (account.metadata.annotation(ENFORCE) or "") in _TRUE:
            for problem in _find_unlisted(obj["spec"], name, account):
                raise request.forbidden(problem)


def _find(name: str, request: Request) -> Account:
    namespace = request.key.namespace
    stored = request.context.lookup(Key(SERVICE_ACCOUNT.resource, namespace, name))
    if stored is not None:
        return lens_kept(stored, Account)
    if name == DEFAULT_ACCOUNT:
        return Account()
    why = f'error looking up service account {namespace}/{name}: serviceaccount "{name}" not found'
    raise request.forbidden(why)


def _wants_token(spec: Object, account: Account) -> bool:
    """The pod's own word counts, then its account's."""
    for said in (spec.get("automountServiceAccountToken"), account.automount_service_account_token):
        if said is not None:
            return bool(said)
    return True


def _mount_token(spec: Object) -> None:
    """Into every container that has nothing at that path; a volume of the pod's own that is called so is taken."""
    volumes = spec.get("volumes") or []
    own = next((str(v["name"]) for v in volumes if str(v.get("name", "")).startswith(_VOLUME_PREFIX)), "")
    name = own or _VOLUME
    mount = {"name": name, "readOnly": True, "mountPath": TOKEN_PATH}
    needed = False
    for field in ("initContainers", "containers"):
        if not spec.get(field):
            continue
        containers = []
        for container in spec[field]:
            mounts = container.get("volumeMounts") or []
            if all(known.get("mountPath") != TOKEN_PATH for known in mounts):
                container, needed = {**container, "volumeMounts": [*mounts, mount]}, True
            containers.append(container)
        spec[field] = containers
    if needed and not own:
        spec["volumes"] = [*volumes, {"name": name, "projected": _token_source()}]


def _token_source() -> Object:
    namespace = {"apiVersion": "v1", "fieldPath": "metadata.namespace"}
    return {
        "defaultMode": _MODE,
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": _TOKEN_SECONDS, "path": "token"}},
            {"configMap": {"name": ROOT_CA_MAP, "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": namespace}]}},
        ],
    }


def _find_unlisted(spec: Object, name: str, account: Account) -> Iterator[str]:
    """Secrets that the pod names and the account does not, as the annotation enforce-mountable-secrets asks."""
    listed = {ref.name for ref in account.secrets or ()}
    lacks = f"is not allowed because service account {name} does not reference that"
    for volume in spec.get("volumes") or ():
        secret = (volume.get("secret") or {}).get("secretName", "")
        if volume.get("secret") and secret not in listed:
            yield f'volume with secret.secretName="{secret}" {lacks} secret'
    for field, label in (("initContainers", "init container"), ("containers", "container")):
        for container in spec.get(field) or ():
            for where, secret in _secrets_of(container):
                if secret not in listed:
                    yield f'{label} {container.get("name")} with {where} secret.secretName="{secret}" {lacks} secret'
    pullable = {ref.name for ref in account.image_pull_secrets or ()}
    for index, ref in enumerate(spec.get("imagePullSecrets") or ()):
        if ref.get("name") not in pullable:
            yield f'imagePullSecrets[{index}].name="{ref.get("name")}" {lacks} imagePullSecret'


def _secrets_of(container: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for variable in container.get("env") or ():
        ref = (variable.get("valueFrom") or {}).get("secretKeyRef")
        if ref:
            yield f"envVar {variable.get('name')} referencing", ref.get("name", "")
    for source in container.get("envFrom") or ():
        if source.get("secretRef"):
            yield "envFrom referencing", source["secretRef"].get("name", "")
