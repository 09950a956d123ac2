"""MutatingAdmissionPolicy: apply configurations merged by the schema's lists, JSON patches, rounds."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from admission_support import config_map, new_store
from policy_support import Bench, binding, policy, rule

from actors.api.codec import Object
from actors.reconcile.actions import Create


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(scenario)


def bench() -> Bench:
    return Bench(new_store())


def applied(expression: str) -> Object:
    return {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}


def patched(expression: str) -> Object:
    return {"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}


def pod(**spec: Any) -> Create:
    containers = [{"name": "c", "image": "host", "env": [{"name": "A", "value": "1"}]}]
    obj = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": containers, **spec}}
    return Create(resource="pods", namespace="default", object=obj)


def test_an_apply_configuration_is_merged_by_the_keys_of_lists() -> None:
    async def scenario() -> None:
        at = bench()
        text = """Object{
            metadata: Object.metadata{labels: {"team": "core"}},
            spec: Object.spec{
                initContainers: [Object.spec.initContainers{name: "sidecar", image: "host", restartPolicy: "Always"}],
                containers: object.spec.containers.map(c, Object.spec.containers{
                    name: c.name, env: [Object.spec.containers.env{name: "B", value: "2"}]
                })
            }
        }"""
        await at.given(policy(mutating=True, rules=[rule("pods")], mutations=[applied(text)]), binding(mutating=True))
        made = await at.one(pod(initContainers=[{"name": "first", "image": "host"}]))
        assert made["metadata"]["labels"] == {"team": "core"}
        assert [item["name"] for item in made["spec"]["initContainers"]] == ["first", "sidecar"]
        assert [item["name"] for item in made["spec"]["containers"][0]["env"]] == ["A", "B"]
        assert made["spec"]["containers"][0]["image"] == "host"

    run(scenario())


def test_json_patches() -> None:
    async def scenario() -> None:
        at = bench()
        text = """[
            JSONPatch{op: "test", path: "/data/a", value: "1"},
            JSONPatch{op: "add", path: "/metadata/labels", value: {"example.com/x": "y"}},
            JSONPatch{op: "replace", path: "/metadata/labels/" + jsonpatch.escapeKey("example.com/x"), value: "z"},
            JSONPatch{op: "copy", from: "/data/a", path: "/data/b"}
        ]"""
        await at.given(policy(mutating=True, mutations=[patched(text)]), binding(mutating=True))
        made = await at.one(config_map(a="1"))
        assert made["metadata"]["labels"] == {"example.com/x": "z"}
        assert made["data"] == {"a": "1", "b": "1"}
        untouched = await at.one(config_map("n", a="2"))
        assert "labels" not in untouched["metadata"], "a failed test leaves the object as it was"

    run(scenario())


@pytest.mark.parametrize(
    ("mutation", "told"),
    [
        (
            applied('Object{spec: Object.spec{tolerations: [Object.spec.tolerations{key: "x"}]}}'),
            "error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: "
            ".spec.tolerations",
        ),
        (
            applied('Object{spec: Object.wrong{nodeName: "x"}}'),
            'type mismatch: unexpected type name "Object.wrong", expected "Object.spec", which matches field name path '
            "from root Object type",
        ),
        (applied("Object{spec: Object.spec{nodeName: object.spec.zz}}"), "resulted in error: no such key: zz"),
        (patched('[JSONPatch{op: "remove", path: "/spec/zz"}]'), "JSONPath: "),
    ],
)
def test_what_cannot_be_applied_is_refused_or_ignored(mutation: Object, told: str) -> None:
    async def scenario() -> None:
        at = bench()
        await at.given(
            policy("open", mutating=True, rules=[rule("pods")], mutations=[mutation], failurePolicy="Ignore"),
            binding(to="open", mutating=True),
        )
        await at.one(pod())
        await at.given(
            policy("strict", mutating=True, rules=[rule("pods")], mutations=[mutation]),
            binding("strict", to="strict", mutating=True),
        )
        again = pod()
        again.object["metadata"]["name"] = "other"
        error = await at.refusal(again)
        assert error["reason"] == "Invalid"
        assert error["message"].startswith("policy 'strict' with binding 'strict' denied request: ")
        assert told in error["message"]

    run(scenario())


def test_mutations_of_a_policy_follow_each_other_with_conditions_variables_and_parameters() -> None:
    async def scenario() -> None:
        at = bench()
        mutations = [
            applied('Object{metadata: Object.metadata{labels: {"size": string(variables.size)}}}'),
            patched(
                "[JSONPatch{op: 'add', path: '/metadata/labels/seen', value: object.metadata.labels.size + params.data.x}]"
            ),
        ]
        await at.given(
            config_map("limits", x="!ok".strip("!")),
            policy(
                mutating=True,
                mutations=mutations,
                variables=[{"name": "size", "expression": "object.data.size()"}],
                matchConditions=[{"name": "n", "expression": "object.metadata.name != 'spared'"}],
                paramKind={"apiVersion": "v1", "kind": "ConfigMap"},
            ),
            binding(mutating=True, paramRef={"name": "limits", "parameterNotFoundAction": "Deny"}),
        )
        made = await at.one(config_map(a="1", b="2"))
        assert made["metadata"]["labels"] == {"size": "2", "seen": "2ok"}
        assert "labels" not in (await at.one(config_map("spared", a="1")))["metadata"]

    run(scenario())


def test_a_policy_may_see_what_later_ones_have_made() -> None:
    async def scenario() -> None:
        at = bench()
        count = """[JSONPatch{op: "add", path: "/data/seen", value: has(object.data.late) ? "late" : "early"}]"""
        late = """[JSONPatch{op: "add", path: "/data/late", value: "yes"}]"""
        await at.given(
            policy("a-once", mutating=True, mutations=[patched(count.replace("seen", "once"))]),
            policy("b-again", mutating=True, mutations=[patched(count)], reinvocationPolicy="IfNeeded"),
            policy("c-late", mutating=True, mutations=[patched(late)]),
            *(binding(name, to=name, mutating=True) for name in ("a-once", "b-again", "c-late")),
        )
        assert (await at.one(config_map(a="1")))["data"] == {"a": "1", "once": "early", "seen": "late", "late": "yes"}

    run(scenario())


def test_validating_policies_see_what_mutating_ones_have_made() -> None:
    async def scenario() -> None:
        at = bench()
        await at.given(
            policy(mutating=True, mutations=[applied('Object{data: {"made": "yes"}}')]),
            binding(mutating=True),
            policy("v", validations=[{"expression": "object.data.made == 'yes'"}]),
            binding("v", to="v"),
        )
        assert (await at.one(config_map(a="1")))["data"]["made"] == "yes"

    run(scenario())
