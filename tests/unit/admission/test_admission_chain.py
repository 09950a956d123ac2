"""Writes past the steps: what the steps see, what becomes of what they change, what happens meanwhile."""

from __future__ import annotations

import asyncio

import pytest
from admission_support import Told, config_map, labelled, new_store, one, submit

from actors.admission.chain import Chain
from actors.admission.request import Request
from actors.api.codec import decode
from actors.api.errors import Forbidden, NotFound
from actors.api.key import Key
from actors.reconcile.actions import Create, Delete, Patch, PatchType, Update

KEY = Key("configmaps", "default", "m")


def test_what_a_mutating_step_changes_is_stored_and_the_validating_one_sees_it() -> None:
    async def scenario() -> None:
        adds, looks = Told(act=lambda request: labelled(request, added="yes")), Told()
        stored = await one(Chain(new_store(), [adds], [looks]), config_map(a="1"))
        assert stored["metadata"]["labels"] == {"added": "yes"}
        assert looks.seen[0].object is not None
        assert looks.seen[0].object["metadata"]["labels"] == {"added": "yes"}
        assert looks.seen[0].object["metadata"]["uid"] == stored["metadata"]["uid"], "what is validated is stored"
        owned = [entry["fieldsV1"] for entry in stored["metadata"]["managedFields"]]
        assert [entry["manager"] for entry in stored["metadata"]["managedFields"]] == ["ann-cli"]
        assert "f:metadata" not in owned[0], "what admission adds is nobody's"

    asyncio.run(scenario())


def test_a_made_name_is_the_one_that_was_validated() -> None:
    async def scenario() -> None:
        looks = Told()
        stored = await one(Chain(new_store(), [], [looks]), config_map(""))
        assert looks.seen[0].name == stored["metadata"]["name"]
        assert looks.seen[0].name.startswith("made-")

    asyncio.run(scenario())


def test_a_step_may_mend_what_would_not_be_valid() -> None:
    async def scenario() -> None:
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "c"}]}}

        def mend(request: Request) -> Request:
            assert request.object is not None
            spec = {**request.object["spec"], "containers": [{"name": "c", "image": "host"}]}
            return request.with_object({**request.object, "spec": spec})

        stored = await one(
            Chain(new_store(), [Told(act=mend)]), Create(resource="pods", namespace="default", object=pod)
        )
        assert stored["spec"]["containers"][0]["image"] == "host"

    asyncio.run(scenario())


def test_what_a_step_makes_invalid_is_refused_by_the_store() -> None:
    async def scenario() -> None:
        store, looks = new_store(), Told()
        spoils = Told(act=lambda request: labelled(request, bad="not a label!"))
        reply = (await submit(Chain(store, [spoils], [looks]), config_map()))[0]
        assert (reply.error or {})["reason"] == "Invalid"
        assert not looks.seen
        with pytest.raises(NotFound):
            await store.get(KEY)

    asyncio.run(scenario())


def test_a_refusal_is_the_answer_and_nothing_is_stored() -> None:
    async def scenario() -> None:
        def refuse(request: Request) -> None:
            raise Forbidden("no, because of it")

        store = new_store()
        reply = (await submit(Chain(store, [], [Told(act=refuse)]), config_map()))[0]
        assert (reply.error or {})["message"] == "no, because of it"
        with pytest.raises(NotFound):
            await store.get(KEY)

    asyncio.run(scenario())


def test_dry_run_is_seen_and_not_stored() -> None:
    async def scenario() -> None:
        store, adds = new_store(), Told(act=lambda request: labelled(request, added="yes"))
        write = Create(resource="configmaps", namespace="default", object=config_map().object, dry_run=True)
        shown = await one(Chain(store, [adds]), write)
        assert shown["metadata"]["labels"] == {"added": "yes"}
        assert adds.seen[0].dry_run
        assert adds.seen[0].options == {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1", "dryRun": ["All"]}
        with pytest.raises(NotFound):
            await store.get(KEY)

    asyncio.run(scenario())


def test_every_way_to_change_an_object_is_an_update_with_the_old_object() -> None:
    async def scenario() -> None:
        store = new_store()
        await store.commit([config_map(a="1")])
        looks = Told()
        chain = Chain(store, [], [looks])
        obj = decode(await store.get(KEY))
        await one(chain, Update(key=KEY, object={**obj, "data": {"a": "2"}}))
        await one(chain, Patch(key=KEY, patch={"data": {"a": "3"}}))
        await one(
            chain, Patch(key=KEY, patch=[{"op": "replace", "path": "/data/a", "value": "4"}], type=PatchType.JSON)
        )
        applied = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"b": "5"}}
        await one(chain, Patch(key=KEY, patch=applied, type=PatchType.APPLY, manager="x"))
        changes = [(r.operation, (r.old_object or {})["data"], (r.object or {})["data"]) for r in looks.seen]
        assert changes == [
            ("UPDATE", {"a": "1"}, {"a": "2"}),
            ("UPDATE", {"a": "2"}, {"a": "3"}),
            ("UPDATE", {"a": "3"}, {"a": "4"}),
            ("UPDATE", {"a": "4"}, {"a": "4", "b": "5"}),
        ]

    asyncio.run(scenario())


def test_an_apply_of_what_is_not_there_is_a_create() -> None:
    async def scenario() -> None:
        adds = Told(act=lambda request: labelled(request, added="yes"))
        applied = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"b": "5"}}
        write = Patch(key=KEY, patch=applied, type=PatchType.APPLY, manager="x")
        stored = await one(Chain(new_store(), [adds]), write)
        assert [r.operation for r in adds.seen] == ["CREATE"]
        assert stored["metadata"]["labels"] == {"added": "yes"}
        assert [entry["operation"] for entry in stored["metadata"]["managedFields"]] == ["Apply"]

    asyncio.run(scenario())


def test_what_somebody_writes_meanwhile_is_neither_lost_nor_unseen() -> None:
    async def scenario() -> None:
        store = new_store()
        await store.commit([config_map(a="1")])

        async def meddle(request: Request) -> None:
            if len(looks.seen) == 1:
                await store.commit([Patch(key=KEY, patch={"data": {"other": "x"}})])

        looks = Told(act=meddle)
        stored = await one(Chain(store, [], [looks]), Patch(key=KEY, patch={"data": {"a": "2"}}))
        assert stored["data"] == {"a": "2", "other": "x"}
        assert [(r.object or {})["data"] for r in looks.seen] == [{"a": "2"}, {"a": "2", "other": "x"}]

    asyncio.run(scenario())


def test_a_stale_resource_version_is_still_the_clients_conflict() -> None:
    async def scenario() -> None:
        store, looks = new_store(), Told()
        await store.commit([config_map(a="1")])
        stale = decode(await store.get(KEY))
        await store.commit([Patch(key=KEY, patch={"data": {"a": "2"}})])
        reply = (await submit(Chain(store, [looks], [looks]), Update(key=KEY, object=stale)))[0]
        assert (reply.error or {})["reason"] == "Conflict"
        assert not looks.seen

    asyncio.run(scenario())


def test_a_removal_shows_what_goes_and_holds_to_it() -> None:
    async def scenario() -> None:
        store = new_store()
        await store.commit([config_map(a="1")])

        async def meddle(request: Request) -> None:
            if len(looks.seen) == 1:
                await store.commit([Patch(key=KEY, patch={"data": {"a": "2"}})])

        looks = Told(act=meddle)
        reply = (await submit(Chain(store, [], [looks]), Delete(key=KEY)))[0]
        assert reply.removed
        assert [(r.operation, r.object, (r.old_object or {})["data"]) for r in looks.seen] == [
            ("DELETE", None, {"a": "1"}),
            ("DELETE", None, {"a": "2"}),
        ]

    asyncio.run(scenario())


def test_a_scale_is_shown_and_changed_as_a_scale() -> None:
    async def scenario() -> None:
        store = new_store()
        template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "host"}]}}
        spec = {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": template}
        obj = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": spec}
        await store.commit([Create(resource="deployments.apps", namespace="default", object=obj)])

        def halve(request: Request) -> Request:
            assert request.object is not None
            return request.with_object(
                {**request.object, "spec": {"replicas": request.object["spec"]["replicas"] // 2}}
            )

        halves = Told(wants=lambda place: place.subresource == "scale", act=halve)
        key = Key("deployments.apps", "default", "d")
        stored = await one(Chain(store, [halves]), Patch(key=key, patch={"spec": {"replicas": 8}}, subresource="scale"))
        assert stored["spec"]["replicas"] == 4
        assert (halves.seen[0].object or {})["kind"] == "Scale"
        assert str(halves.seen[0].shape) == "autoscaling/v1, Kind=Scale"

    asyncio.run(scenario())


def test_a_binding_is_shown_as_a_binding() -> None:
    async def scenario() -> None:
        store, looks = new_store(), Told()
        pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "host"}]}}
        await store.commit([Create(resource="pods", namespace="default", object=pod)])
        write = Patch(key=Key("pods", "default", "p"), patch={"spec": {"nodeName": "n1"}}, subresource="binding")
        await one(Chain(store, [], [looks]), write)
        assert (looks.seen[0].operation, looks.seen[0].subresource) == ("CREATE", "binding")
        assert (looks.seen[0].object or {})["target"] == {"kind": "Node", "name": "n1"}

    asyncio.run(scenario())


def test_what_nobody_wants_to_see_goes_with_its_neighbours_in_order() -> None:
    async def scenario() -> None:
        store, looks = new_store(), Told(wants=lambda place: place.kind.plural == "configmaps")
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}
        writes = [
            Create(resource="secrets", namespace="default", object=secret),
            Patch(key=Key("secrets", "default", "s"), patch={"metadata": {"labels": {"a": "b"}}}),
            config_map("one"),
            config_map("two"),
            Delete(key=Key("secrets", "default", "s")),
        ]
        replies = await submit(Chain(store, [], [looks]), *writes)
        assert [reply.error for reply in replies] == [None] * 5
        assert replies[-1].removed
        assert sorted(request.name for request in looks.seen) == ["one", "two"]

    asyncio.run(scenario())


def test_a_step_is_told_its_configuration_and_every_change_of_it() -> None:
    async def scenario() -> None:
        store, looks = new_store(), Told()
        chain = Chain(store, [], [looks])
        assert not chain.is_idle
        chain.start()
        await chain.feed.wait_ready()
        assert chain.is_idle, "nothing is configured: writes go straight through"
        await store.commit([config_map("rules")])
        await _settled()
        assert not chain.is_idle
        assert [key.name for key in looks.configured[-1]] == ["rules"]
        await store.commit([Delete(key=Key("configmaps", "default", "rules"))])
        await _settled()
        assert chain.is_idle
        await chain.stop()

    asyncio.run(scenario())


async def _settled() -> None:
    """Until a watcher has had its turn."""
    for _ in range(100):
        await asyncio.sleep(0)


def test_writes_that_need_those_before_them_wait_for_them() -> None:
    async def scenario() -> None:
        async def dawdle(request: Request) -> None:
            await asyncio.sleep(0.01 if request.kind.plural == "namespaces" else 0)

        store, looks = new_store(), Told(act=dawdle)
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "made"}}
        obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"a": "1"}}
        key = Key("configmaps", "made", "m")
        replies = await submit(
            Chain(store, [], [looks]),
            Create(resource="namespaces", namespace="", object=namespace),
            Create(resource="configmaps", namespace="made", object=obj),
            Patch(key=key, patch={"data": {"a": "2"}}),
            Patch(key=key, patch={"data": {"b": "3"}}),
        )
        assert [reply.error for reply in replies] == [None] * 4
        assert decode(await store.get(key))["data"] == {"a": "2", "b": "3"}
        assert [request.operation for request in looks.seen] == ["CREATE", "CREATE", "UPDATE", "UPDATE"]

    asyncio.run(scenario())


def test_writes_that_need_nothing_of_each_other_are_shown_at_once() -> None:
    async def scenario() -> None:
        shown = 0
        all_shown = asyncio.Event()

        async def meet(request: Request) -> None:
            nonlocal shown
            shown += 1
            if shown == 3:
                all_shown.set()
            await asyncio.wait_for(all_shown.wait(), 5)

        looks = Told(act=meet)
        replies = await submit(Chain(new_store(), [], [looks]), config_map("a"), config_map("b"), config_map("c"))
        assert [reply.error for reply in replies] == [None] * 3

    asyncio.run(scenario())
