"""Pods that nobody will end otherwise: on nodes that are gone, terminating on nodes that are silent, too many finished.

They are deleted at once (grace 0), marked Failed before, so that whoever counts them knows. Should their node come
back, its nodelet finds their containers without a pod and stops them.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import nsmallest

from actors.api.clock import Millis, parse_time
from actors.api.key import Key
from actors.api.node import TAINT_OUT_OF_SERVICE, Node
from actors.api.pod import Pod
from actors.api.toleration import is_tolerated
from actors.controllers.config import ControllersConfig
from actors.controllers.pods import disrupt, is_gone, pod_key
from actors.reconcile.actions import Action, Delete, RequeueAfter
from actors.reconcile.controller import Controller, controller
from actors.reconcile.view import View

_ORPHANED = "PodGC: node no longer exists"
_OUT_OF_SERVICE = "PodGC: node is out of service"
_SILENT = "PodGC: node does not answer and the pod's grace period is over"


def pod_gc(config: ControllersConfig) -> Controller[Pod]:
    @controller(Pod, watches={Node: pods_at_risk})
    def reconcile(pod: Pod, view: View, now: Millis) -> Iterable[Action]:
        if pod.is_finished:
            yield from _trim(view, config.terminated_pods_max)
        if not pod.spec.node_name:
            return
        node = view.get(Node, "", pod.spec.node_name)
        if node is None:
            gone_ms = view.node_gone_ms(pod.spec.node_name) or now
            yield from _end(pod, gone_ms + config.node_gone_grace_ms, _ORPHANED, now)
        elif not node.is_ready:
            yield from _end_on_silent(pod, node, config.terminating_grace_ms, now)

    return reconcile


def pods_at_risk(key: Key, node: Node, view: View) -> Iterable[Key]:
    if view.at(key) is None or not node.is_ready:
        return [pod_key(pod) for pod in view.on_node(key.name)]
    return ()


def _end_on_silent(pod: Pod, node: Node, grace_ms: Millis, now: Millis) -> Iterable[Action]:
    taint = next((t for t in node.spec.taints or () if t.key == TAINT_OUT_OF_SERVICE), None)
    if taint is not None and not pod.is_finished and not is_tolerated(taint, pod.spec.tolerations):
        yield from _end(pod, now, _OUT_OF_SERVICE, now)
    elif pod.metadata.deletion_timestamp is not None:
        yield from _end(pod, parse_time(pod.metadata.deletion_timestamp) + grace_ms, _SILENT, now)


def _end(pod: Pod, due_ms: Millis, why: str, now: Millis) -> Iterable[Action]:
    if due_ms > now:
        yield RequeueAfter(due_ms - now)
        return
    if not pod.is_finished:
        yield disrupt(pod, "DeletionByPodGC", why, now, phase="Failed")
    if not is_gone(pod):
        yield Delete(key=pod_key(pod), uid=pod.metadata.uid, grace_period_seconds=0)


def _trim(view: View, most: int) -> Iterable[Action]:
    excess = view.finished_count() - most
    if excess > 0:
        finished = [pod for pod in view.finished() if not pod.metadata.is_deleting]
        for pod in nsmallest(excess, finished, key=lambda pod: (pod.metadata.created_ms, pod_key(pod))):
            yield Delete(key=pod_key(pod), uid=pod.metadata.uid)
