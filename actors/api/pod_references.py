"""What a pod, or a volume, names of other objects: Secrets, ConfigMaps, claims, its account. Pure.

As Kubernetes visits them (pkg/api/v1/pod: VisitPodSecretNames, VisitPodConfigmapNames; pkg/api/v1/persistentvolume).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from actors.api.codec import Object
from actors.api.key import Key
from actors.api.kinds import CONFIG_MAP, SECRET, SERVICE_ACCOUNT

CLAIMS, RESOURCE_CLAIMS = "persistentvolumeclaims", "resourceclaims.resource.k8s.io"
#: Of a pod that is a node's own file, shown to the API.
MIRROR = "kubernetes.io/config.mirror"
_CONTAINERS = ("initContainers", "containers", "ephemeralContainers")
#: Where a kind of volume names the Secret that mounts it. In a pod it is one of the pod's own API namespace.
_MOUNT_SECRETS = {
    **dict.fromkeys(("cephfs", "cinder", "flexVolume", "rbd", "scaleIO", "iscsi", "storageos"), "secretRef"),
    "csi": "nodePublishSecretRef",
}
#: Of a PersistentVolume's driver: those that a node needs, not those for its controllers.
_CSI_SECRETS = ("nodePublishSecretRef", "nodeStageSecretRef", "nodeExpandSecretRef")


def references_of(pod: Object) -> Iterator[Key]:
    """All that the pod names, by key; some may come twice. `pod` as it is stored."""
    namespace, spec = pod["metadata"].get("namespace", ""), _dict(pod.get("spec"))
    for resource, names in (
        (SECRET.resource, secret_names(spec)),
        (CONFIG_MAP.resource, config_map_names(spec)),
        (CLAIMS, claim_names(pod)),
        (RESOURCE_CLAIMS, resource_claim_names(pod)),
        (SERVICE_ACCOUNT.resource, iter((spec.get("serviceAccountName") or "",))),
    ):
        yield from (Key(resource, namespace, name) for name in names if name)


def secret_names(spec: Object) -> Iterator[str]:
    """Of a pod's spec."""
    for ref in _dicts(spec.get("imagePullSecrets")):
        yield ref.get("name", "")
    yield from _of_containers(spec, "secretKeyRef", "secretRef")
    for volume in _dicts(spec.get("volumes")):
        yield _dict(volume.get("secret")).get("secretName", "")
        yield _dict(volume.get("azureFile")).get("secretName", "")
        yield from (_dict(source.get("secret")).get("name", "") for source in _sources(volume))
        for source, field in _MOUNT_SECRETS.items():
            yield _dict(_dict(volume.get(source)).get(field)).get("name", "")


def config_map_names(spec: Object) -> Iterator[str]:
    """Of a pod's spec."""
    yield from _of_containers(spec, "configMapKeyRef", "configMapRef")
    for volume in _dicts(spec.get("volumes")):
        yield _dict(volume.get("configMap")).get("name", "")
        yield from (_dict(source.get("configMap")).get("name", "") for source in _sources(volume))


def claim_names(pod: Object) -> Iterator[str]:
    """A generic ephemeral volume's claim is called after the pod and the volume."""
    for volume in _dicts(_dict(pod.get("spec")).get("volumes")):
        if "persistentVolumeClaim" in volume:
            yield _dict(volume["persistentVolumeClaim"]).get("claimName", "")
        elif "ephemeral" in volume:
            yield f"{pod['metadata'].get('name', '')}-{volume.get('name', '')}"


def resource_claim_names(pod: Object) -> Iterator[str]:
    """One that is made from a template is named by the pod's status, once it is there."""
    made = {row.get("name"): row.get("resourceClaimName") for row in _made_claims(pod)}
    for claim in _dicts(_dict(pod.get("spec")).get("resourceClaims")):
        yield claim.get("resourceClaimName") or made.get(claim.get("name")) or ""


def volume_references(volume: Object) -> Iterator[Key]:
    """The Secrets that a node needs to mount a PersistentVolume."""
    spec = _dict(volume.get("spec"))
    home = _dict(spec.get("claimRef")).get("namespace", "")
    found = [(_dict(spec.get("azureFile")).get("secretNamespace"), _dict(spec.get("azureFile")).get("secretName"))]
    for source, field in _MOUNT_SECRETS.items():
        fields = _CSI_SECRETS if source == "csi" else (field,)
        refs = (_dict(_dict(spec.get(source)).get(name)) for name in fields)
        found += [(ref.get("namespace"), ref.get("name")) for ref in refs]
    yield from (Key(SECRET.resource, namespace or home, name) for namespace, name in found if name)


def is_mirror(obj: Object) -> bool:
    return MIRROR in _dict(_dict(obj.get("metadata")).get("annotations"))


def _of_containers(spec: Object, of_variable: str, of_all: str) -> Iterator[str]:
    for field in _CONTAINERS:
        for container in _dicts(spec.get(field)):
            for variable in _dicts(container.get("env")):
                yield _dict(_dict(variable.get("valueFrom")).get(of_variable)).get("name", "")
            for source in _dicts(container.get("envFrom")):
                yield _dict(source.get(of_all)).get("name", "")


def _sources(volume: Object) -> list[Object]:
    return _dicts(_dict(volume.get("projected")).get("sources"))


def _made_claims(pod: Object) -> list[Object]:
    return _dicts(_dict(pod.get("status")).get("resourceClaimStatuses"))


def _dict(value: Any) -> Object:
    return value if isinstance(value, dict) else {}


def _dicts(value: Any) -> list[Object]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
