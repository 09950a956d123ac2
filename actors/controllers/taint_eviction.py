"""NoExecute taints: pods that do not tolerate one are deleted, those that do for a time when that has passed."""

from __future__ import annotations

from collections.abc import Iterable

from actors.api.clock import Millis, parse_time
from actors.api.key import Key
from actors.api.kinds import NODE
from actors.api.node import Node, Taint
from actors.api.pod import Pod
from actors.api.toleration import tolerates
from actors.controllers.pods import disrupt, is_active, pod_key
from actors.reconcile.actions import Action, Delete, Emit, RequeueAfter
from actors.reconcile.controller import controller
from actors.reconcile.view import View


def pods_on(key: Key, node: Node, view: View) -> Iterable[Key]:
    return [pod_key(pod) for pod in view.on_node(key.name)] if _evicting(node) else ()


@controller(Pod, watches={Node: pods_on})
def reconcile(pod: Pod, view: View, now: Millis) -> Iterable[Action]:
    node = view.get(Node, "", pod.spec.node_name) if pod.spec.node_name and is_active(pod) else None
    if node is None:
        return
    ends = [_end_ms(pod, taint, node, view) for taint in _evicting(node)]
    due = min((end for end in ends if end is not None), default=None)
    if due is None:
        return
    if due > now:
        yield RequeueAfter(due - now)
        return
    key, uid = pod_key(pod), pod.metadata.uid
    yield disrupt(pod, "DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint", now)
    yield Delete(key=key, uid=uid)
    yield Emit(
        regarding=key,
        uid=uid,
        reason="TaintManagerEviction",
        message=f"Marking for deletion Pod {key.namespace}/{key.name}",
    )


def _evicting(node: Node) -> list[Taint]:
    return [taint for taint in node.spec.taints or () if taint.effect == "NoExecute"]


def _end_ms(pod: Pod, taint: Taint, node: Node, view: View) -> Millis | None:
    """Until when the pod puts up with the taint; None for ever."""
    matching = [t for t in pod.spec.tolerations or () if tolerates(t, taint)]
    seconds = [t.toleration_seconds for t in matching if t.toleration_seconds is not None]
    if matching and not seconds:
        return None
    since = (
        parse_time(taint.time_added) if taint.time_added else view.seen_ms(Key(NODE.resource, "", node.metadata.name))
    )
    return since + 1000 * max(min(seconds, default=0), 0)
