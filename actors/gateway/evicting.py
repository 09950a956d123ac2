"""A pod's `eviction`: asks for its end politely, within what a PodDisruptionBudget allows.

As pkg/registry/core/pod/storage/eviction.go: a pod that does not run yet, or no longer, just goes; so does one that is
not ready where the budget's policy or its surplus lets it. Otherwise the budget is counted down first, at the revision
at which it was read, so that no two evictions are granted for one allowance.
"""

from __future__ import annotations

from aiohttp import web

from actors.api.clock import format_time
from actors.api.codec import lens
from actors.api.disruption import ALLOWED, INSUFFICIENT, RESOURCE, SYNC_FAILED, PodDisruptionBudget
from actors.api.errors import ApiError, BadRequest, Cause, Conflict, Forbidden, InternalError, TooManyRequests
from actors.api.key import Key
from actors.api.kinds import POD, Kind
from actors.api.pod import Pod
from actors.gateway.call import Call
from actors.gateway.deleting import DeleteOptions, delete_of, parse_options
from actors.gateway.options import parse_write
from actors.gateway.pods import SUCCESS
from actors.gateway.reading import key_of
from actors.gateway.writing import read_object
from actors.reconcile.actions import Patch, PatchType
from actors.reconcile.conditions import condition, find_condition, is_true, with_conditions
from actors.reconcile.watch import Selection

_EVICTION = Kind("policy", "v1", "Eviction", "evictions")
_VIOLATED = "Cannot evict pod as it would violate the pod's disruption budget."
_MORE_THAN_ONE = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
_ATTEMPTS = 20
_NOTED_MAX = 2000


async def create_eviction(call: Call) -> web.StreamResponse:
    """Raises NotFound, Conflict, TooManyRequests (cause DisruptionBudget), Forbidden, InternalError."""
    options = parse_write(call.query)
    obj = await read_object(call, _EVICTION, options)
    name = obj["metadata"].get("name") or call.target.name
    if name != call.target.name:
        raise BadRequest("name in URL does not match name in Eviction object")
    obj = await call.admitted(obj)
    asked = parse_options(obj.get("deleteOptions"), call.query)
    stored = await call.store.get(key_of(POD, call.target))
    pod = lens(stored, Pod)
    budget = None if _goes_anyway(pod) else await _budget_of(call, pod)
    if budget is not None and not _is_surplus(pod, budget):
        await _take_allowance(call, pod, budget, "All" in (asked.dry_run or ()))
        budget = None
    await _evict(call, pod, asked, as_read=budget is not None, budget=budget)
    return call.answer_value({**SUCCESS, "code": 201}, 201)


def _goes_anyway(pod: Pod) -> bool:
    return pod.is_finished or pod.status.phase == "Pending" or pod.metadata.is_deleting


async def _budget_of(call: Call, pod: Pod) -> PodDisruptionBudget | None:
    page = await call.store.list(Selection(resources=(RESOURCE,), namespace=pod.metadata.namespace))
    found = [budget for item in page.items if (budget := lens(item, PodDisruptionBudget)).covers(pod)]
    if len(found) > 1:
        raise InternalError(_MORE_THAN_ONE)
    return found[0] if found else None


def _is_surplus(pod: Pod, budget: PodDisruptionBudget) -> bool:
    """It is not ready, and that it goes disrupts nothing."""
    if is_true(pod.status.conditions, "Ready"):
        return False
    status = budget.status
    return (
        budget.spec.unhealthy_pod_eviction_policy == "AlwaysAllow"
        or status.current_healthy >= status.desired_healthy > 0
    )


async def _take_allowance(call: Call, pod: Pod, budget: PodDisruptionBudget, dry_run: bool) -> None:
    key = Key(RESOURCE, budget.metadata.namespace, budget.metadata.name)
    for _ in range(_ATTEMPTS):
        _check(budget)
        if dry_run:
            return
        try:
            await call.commit_one(_counted_down(budget, pod, key, call))
        except Conflict:
            budget = lens(await call.store.get(key), PodDisruptionBudget)
        else:
            return
    raise _too_many(budget, 10, f"The disruption budget {key.name} is still being processed by the server.")


def _counted_down(budget: PodDisruptionBudget, pod: Pod, key: Key, call: Call) -> Patch:
    left, status = budget.status.disruptions_allowed - 1, budget.status
    told = {"disruptionsAllowed": left, "disruptedPods": {pod.metadata.name: format_time(call.now)}}
    if not left:
        row = condition(ALLOWED, False, INSUFFICIENT, "", call.now) | {"observedGeneration": budget.metadata.generation}
        told["conditions"] = with_conditions(status.conditions, [row])
    revision, uid = budget.metadata.revision, budget.metadata.uid
    return Patch(key=key, patch={"status": told}, subresource="status", revision=revision, uid=uid)


def _check(budget: PodDisruptionBudget) -> None:
    name, status = budget.metadata.name, budget.status
    if status.observed_generation < budget.metadata.generation:
        raise _too_many(budget, 10, f"The disruption budget {name} is still being processed by the server.")
    if len(status.disrupted_pods or ()) > _NOTED_MAX:
        raise _forbidden(budget, "DisruptedPods map too big - too many evictions not confirmed by PDB controller")
    if status.disruptions_allowed <= 0:
        raise _too_many(budget, 0, _why_none(budget))


def _why_none(budget: PodDisruptionBudget) -> str:
    name, status = budget.metadata.name, budget.status
    row = find_condition(status.conditions, ALLOWED)
    if row is not None and row.status == "False" and row.reason == SYNC_FAILED and row.message:
        return (
            f"The disruption budget {name} does not allow evicting pods currently because it failed sync: {row.message}"
        )
    if status.current_healthy <= status.desired_healthy:
        healthy = f"{status.desired_healthy} healthy pods and has {status.current_healthy} currently"
        return f"The disruption budget {name} needs {healthy}"
    return f"The disruption budget {name} does not allow evicting pods currently"


def _too_many(budget: PodDisruptionBudget, seconds: int, why: str) -> ApiError:
    cause = Cause("", why, "DisruptionBudget")
    return TooManyRequests(_VIOLATED, causes=[cause], retry_after_seconds=seconds)


def _forbidden(budget: PodDisruptionBudget, why: str) -> ApiError:
    name = budget.metadata.name
    message = f'poddisruptionbudget.policy "{name}" is forbidden: {why}'
    cause = Cause("", f"The disruption budget {name} does not allow evicting pods currently: {why}", "DisruptionBudget")
    return Forbidden(message, name=name, group="policy", kind="poddisruptionbudget", causes=[cause])


async def _evict(
    call: Call, pod: Pod, asked: DeleteOptions, *, as_read: bool, budget: PodDisruptionBudget | None
) -> None:
    """Says on the pod that it is disrupted, then deletes it. `as_read`: only as it was when it was judged."""
    write = delete_of(key_of(POD, call.target), asked, call.manager)
    row = condition("DisruptionTarget", True, "EvictionByEvictionAPI", "Eviction API: evicting", call.now)
    said = Patch(
        key=write.key,
        patch={"status": {"conditions": [row]}},
        type=PatchType.STRATEGIC,
        subresource="status",
        uid=write.uid,
        revision=write.revision or (pod.metadata.revision if as_read else 0),
        dry_run=write.dry_run,
    )
    try:
        told = await call.commit_one(said)
        if write.revision and told.stored is not None and not write.dry_run:
            write = delete_of(write.key, asked, call.manager, told.stored.revision)
        await call.commit_one(write)
    except Conflict:
        if budget is None or write.revision:
            raise
        name = budget.metadata.name
        raise _too_many(budget, 10, f"The disruption budget {name} is still being processed by the server.") from None
