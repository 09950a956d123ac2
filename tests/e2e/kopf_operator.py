"""An operator as people write them with kopf: for each CronTab a ConfigMap, made, kept up to date and taken away.

Run by `kopf run`; not a part of the product.
"""

from __future__ import annotations

import asyncio
from typing import Any

import kopf
from kubernetes import client, config

GROUP, PLURAL = "stable.example.com", "crontabs"


@kopf.on.startup()
def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    config.load_kube_config()
    settings.persistence.finalizer = "stable.example.com/operator"
    settings.posting.loggers = True


@kopf.on.create(GROUP, PLURAL)
def create(name: str, namespace: str, spec: kopf.Spec, patch: kopf.Patch, **_: Any) -> dict[str, Any]:
    body = {"metadata": {"name": name}, "data": {"replicas": str(spec["replicas"])}}
    kopf.adopt(body)
    client.CoreV1Api().create_namespaced_config_map(namespace, body)
    patch.status["phase"] = "Ready"
    return {"map": name}


@kopf.on.update(GROUP, PLURAL, field="spec.replicas")
def scale(name: str, namespace: str, old: int, new: int, **_: Any) -> dict[str, Any]:
    client.CoreV1Api().patch_namespaced_config_map(name, namespace, {"data": {"replicas": str(new)}})
    return {"from": old, "to": new}


@kopf.on.delete(GROUP, PLURAL)
def delete(name: str, namespace: str, **_: Any) -> None:
    client.CoreV1Api().delete_namespaced_config_map(name, namespace)


@kopf.on.event("configmaps", labels={"watched": "yes"})
async def seen(name: str, namespace: str, type: str | None, **_: Any) -> None:
    if type != "DELETED":
        body = {"metadata": {"annotations": {"stable.example.com/seen": name}}}
        await asyncio.to_thread(client.CoreV1Api().patch_namespaced_config_map, name, namespace, body)


@kopf.timer(GROUP, PLURAL, interval=0.5, when=lambda spec, **_: bool(spec.get("paused")))
def tick(patch: kopf.Patch, status: kopf.Status, **_: Any) -> None:
    patch.status["ticks"] = status.get("ticks", 0) + 1
