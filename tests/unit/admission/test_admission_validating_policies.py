"""ValidatingAdmissionPolicy: who is asked, what they see, what becomes of their answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from typing import Any

import pytest
from admission_support import config_map, new_store
from policy_support import USER, Bench, binding, policy, rule

from actors.api.cel.functions.authorizer import Answer
from actors.api.codec import Object
from actors.api.key import Key
from actors.api.rbac import Attributes
from actors.reconcile.actions import Create, Delete, Patch


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(scenario)


def bench() -> Bench:
    return Bench(new_store())


def validation(expression: str, **more: str) -> Object:
    return {"expression": expression, **more}


def test_a_denial_is_kubernetes_own_answer() -> None:
    async def scenario() -> None:
        at = bench()
        await at.given(policy(validations=[validation("object.data.a != '1'", message="no ones")]), binding())
        error = await at.refusal(config_map(a="1"))
        told = "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no ones"
        assert error["message"] == f'configmaps "m" is forbidden: {told}'
        assert (error["reason"], error["code"]) == ("Invalid", 422)
        assert error["details"]["kind"] == "configmaps"
        assert [cause["message"] for cause in error["details"]["causes"]] == [told]
        await at.one(config_map(a="2"))

    run(scenario())


@pytest.mark.parametrize(
    ("written", "reason", "told"),
    [
        (validation("false"), "Invalid", "failed expression: false"),
        (validation("false", message=" fixed "), "Invalid", "fixed"),
        (validation("false", messageExpression="'a is ' + object.data.a"), "Invalid", "a is 1"),
        (validation("false", message="fixed", messageExpression="object.data.zz + 'x'"), "Invalid", "fixed"),
        (validation("false", reason="Forbidden"), "Forbidden", "failed expression: false"),
        (validation("false", reason="Unauthorized"), "Unauthorized", "failed expression: false"),
        (
            validation("object.data.zz == 'x'"),
            "Invalid",
            "expression 'object.data.zz == 'x'' resulted in error: no such key: zz",
        ),
    ],
)
def test_messages_and_reasons(written: Object, reason: str, told: str) -> None:
    async def scenario() -> None:
        at = bench()
        await at.given(policy(validations=[written]), binding())
        error = await at.refusal(config_map(a="1"))
        assert error["reason"] == reason
        assert error["message"].endswith(f"denied request: {told}")

    run(scenario())


def test_who_is_not_bound_or_not_meant_is_not_asked() -> None:
    async def scenario() -> None:
        at = bench()
        await at.given(policy(validations=[validation("false")]))
        await at.one(config_map("unbound"))
        selected = {"matchLabels": {"strict": "yes"}}
        await at.given(
            binding("by-object", matchResources={"objectSelector": selected}),
            binding("by-namespace", matchResources={"namespaceSelector": selected}),
            binding("by-name", matchResources={"resourceRules": [{**rule(), "resourceNames": ["named"]}]}),
        )
        await at.one(config_map("plain"))
        assert "'by-name'" in (await at.refusal(config_map("named")))["message"]
        labelled = config_map("labelled")
        labelled.object["metadata"]["labels"] = {"strict": "yes"}
        assert "'by-object'" in (await at.refusal(labelled))["message"]
        await at.given(Patch(key=Key("namespaces", "", "default"), patch={"metadata": {"labels": {"strict": "yes"}}}))
        assert "'by-namespace'" in (await at.refusal(config_map("plain2")))["message"]

    run(scenario())


def test_exceptions_and_conditions() -> None:
    async def scenario() -> None:
        at = bench()
        constraints = {"excludeResourceRules": [{**rule(), "resourceNames": ["spared"]}]}
        conditions = [
            {"name": "not-ann", "expression": "request.userInfo.username == 'ann'"},
            {"name": "has-data", "expression": "has(object.data) && object.data.go == 'yes'"},
        ]
        await at.given(
            policy(validations=[validation("false")], constraints=constraints, matchConditions=conditions), binding()
        )
        await at.one(config_map("spared", go="yes"))
        await at.one(config_map("other", go="no"))
        await at.refusal(config_map("third", go="yes"))
        error = await at.refusal(config_map("fourth", come="yes"))
        assert "resulted in error: no such key: go" in error["message"]

    run(scenario())


def test_failures_are_ignored_where_the_policy_says_so() -> None:
    async def scenario() -> None:
        at = bench()
        validations = [validation("object.data.zz == 'x'"), validation("object.data.a == '1'")]
        await at.given(policy(validations=validations, failurePolicy="Ignore"), binding())
        await at.one(config_map(a="1"))
        assert "failed expression" in (await at.refusal(config_map("n", a="2")))["message"]

    run(scenario())


def test_variables_are_worked_out_once_and_only_when_asked_for() -> None:
    async def scenario() -> None:
        at = bench()
        variables = [
            {"name": "broken", "expression": "1 / int(object.data.zero)"},
            {"name": "size", "expression": "size(object.data)"},
            {"name": "twice", "expression": "variables.size * 2"},
        ]
        validations = [
            validation("variables.twice == 4 || variables.broken == 1"),
            validation("variables.size == 2", messageExpression="'size is ' + string(variables.size)"),
        ]
        await at.given(policy(validations=validations, variables=variables), binding())
        await at.one(config_map(a="1", zero="0"))
        assert "division by zero" in (await at.refusal(config_map("n", zero="0")))["message"]

    run(scenario())


def test_what_expressions_see() -> None:
    async def scenario() -> None:
        at = bench()
        seen = " && ".join(
            [
                "request.operation == 'UPDATE'",
                "request.resource.resource == 'configmaps' && request.kind.kind == 'ConfigMap'",
                "request.name == 'm' && request.namespace == 'default' && request.dryRun == false",
                "request.userInfo.groups == ['system:authenticated']",
                "oldObject.data.a == '1' && object.data.a == '2'",
                "namespaceObject.metadata.name == 'default' && namespaceObject.status.phase == 'Active'",
                "!has(request.subResource)",
            ]
        )
        await at.given(policy(rules=[rule(operations=("UPDATE",))], validations=[validation(f"!({seen})")]), binding())
        await at.one(config_map(a="1"))
        await at.refusal(Patch(key=Key("configmaps", "default", "m"), patch={"data": {"a": "2"}}))

    run(scenario())


def test_removals_have_only_an_old_object() -> None:
    async def scenario() -> None:
        at = bench()
        await at.given(
            policy(
                rules=[rule(operations=("DELETE",))],
                validations=[validation("object == null && oldObject.data.keep != 'yes'", message="kept")],
            ),
            binding(),
        )
        await at.one(config_map("goes", keep="no"))
        await at.one(config_map("stays", keep="yes"))
        assert (await at.submit(Delete(key=Key("configmaps", "default", "goes")))).error is None
        assert "kept" in (await at.refusal(Delete(key=Key("configmaps", "default", "stays"))))["message"]

    run(scenario())


def test_warnings_and_audit_annotations() -> None:
    async def scenario() -> None:
        at = bench()
        await at.given(
            policy(
                validations=[validation("true"), validation("object.data.a == '2'", message="odd")],
                auditAnnotations=[
                    {"key": "value", "valueExpression": "'a=' + object.data.a"},
                    {"key": "none", "valueExpression": "object.data.a == '9' ? 'x' : ''"},
                ],
            ),
            binding(validationActions=["Warn", "Audit"]),
        )
        await at.one(config_map(a="1"))
        warning = "Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b': odd"
        assert at.notes.notes.warnings == [warning]
        annotations = at.notes.notes.annotations
        assert annotations["p/value"] == "a=1"
        assert "p/none" not in annotations
        assert json.loads(annotations["validation.policy.admission.k8s.io/validation_failure"]) == [
            {
                "message": "odd",
                "policy": "p",
                "binding": "b",
                "expressionIndex": 1,
                "validationActions": ["Warn", "Audit"],
            }
        ]

    run(scenario())


def test_parameters_by_name_by_selector_and_missing() -> None:
    async def scenario() -> None:
        at = bench()
        await at.given(
            policy(
                rules=[rule("secrets")],
                paramKind={"apiVersion": "v1", "kind": "ConfigMap"},
                validations=[
                    validation("object.metadata.name in params.data", messageExpression="string(params.metadata.name)")
                ],
            ),
            binding("named", paramRef={"name": "allowed", "parameterNotFoundAction": "Allow"}),
        )
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}
        create = Create(resource="secrets", namespace="default", object=secret, dry_run=True)
        await at.one(create)
        await at.given(
            binding(
                "strict", paramRef={"name": "allowed", "namespace": "kube-system", "parameterNotFoundAction": "Deny"}
            )
        )
        error = await at.refusal(create)
        assert error["message"].endswith(
            "with binding 'strict' denied request: failed to configure binding: no params found for policy binding with "
            "`Deny` parameterNotFoundAction"
        )
        await at.given(Delete(key=Key("validatingadmissionpolicybindings.admissionregistration.k8s.io", "", "strict")))
        await at.given(config_map("allowed", x="1"))
        assert (await at.refusal(create))["message"].endswith("denied request: allowed")
        await at.given(Patch(key=Key("configmaps", "default", "allowed"), patch={"data": {"s": "1"}}))
        await at.one(create)
        more = config_map("more", y="1")
        more.object["metadata"]["labels"] = {"params": "yes"}
        selector = {"matchLabels": {"params": "yes"}}
        await at.given(more, binding("chosen", paramRef={"selector": selector, "parameterNotFoundAction": "Deny"}))
        assert (await at.refusal(create))["message"].endswith("with binding 'chosen' denied request: more")

    run(scenario())


def test_an_unknown_kind_of_parameters_is_the_policys_fault() -> None:
    async def scenario() -> None:
        at = bench()
        await at.given(
            policy(paramKind={"apiVersion": "example.com/v1", "kind": "Limit"}, validations=[validation("true")]),
            binding(paramRef={"name": "x", "parameterNotFoundAction": "Allow"}),
        )
        told = (
            "failed to configure policy: failed to find resource referenced by paramKind: 'example.com/v1, Kind=Limit'"
        )
        assert told in (await at.refusal(config_map()))["message"]

    run(scenario())


def test_the_authorizer_is_asked_in_the_users_name() -> None:
    async def scenario() -> None:
        asked: list[tuple[Any, Attributes]] = []

        async def authority(user: Object) -> Any:
            assert user == USER

            def ask(account: tuple[str, str] | None, attributes: Attributes) -> Answer:
                asked.append((account, attributes))
                return Answer(attributes.verb == "bless", "because")

            return ask

        at = Bench(new_store(), authority)
        expressions = [
            "authorizer.group('apps').resource('deployments').subresource('scale').namespace('n').name('d')"
            ".check('bless').allowed()",
            "!authorizer.path('/healthz').check('get').allowed()",
            "authorizer.serviceAccount('default', 'sa').requestResource == null || true",
            "authorizer.requestResource.check('bless').reason() == 'because'",
            "authorizer.serviceAccount('ns', 'sa').group('').resource('pods').check('bless').allowed()",
        ]
        del expressions[2]
        await at.given(policy(validations=[validation(text) for text in expressions]), binding())
        await at.one(config_map())
        deployments, path, own, account = [
            Attributes(
                verb="bless", group="apps", resource="deployments", subresource="scale", namespace="n", name="d"
            ),
            Attributes(verb="get", path="/healthz"),
            Attributes(verb="bless", resource="configmaps", namespace="default", name="m"),
            Attributes(verb="bless", resource="pods"),
        ]
        assert asked == [(None, deployments), (None, path), (None, own), (("ns", "sa"), account)]

    run(scenario())


def test_equivalent_versions_are_seen_in_the_terms_of_the_rule() -> None:
    async def scenario() -> None:
        at = bench()
        autoscaler = {
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "h"},
            "spec": {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "d"}, "metrics": [
                {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}
            ]},
        }  # fmt: skip
        create = Create(resource="horizontalpodautoscalers.autoscaling", namespace="default", object=autoscaler)
        told = "request.kind.version + ' ' + request.requestKind.version + ' ' + string(object.spec.targetCPUUtilizationPercentage)"
        validations = [validation("false", messageExpression=told)]
        await at.given(
            policy(rules=[rule("horizontalpodautoscalers", "autoscaling")], validations=validations), binding()
        )
        assert (await at.refusal(create))["message"].endswith("denied request: v1 v2 50")
        await at.given(
            Patch(
                key=Key("validatingadmissionpolicies.admissionregistration.k8s.io", "", "p"),
                patch={"spec": {"matchConstraints": {"matchPolicy": "Exact"}}},
            )
        )
        await at.one(create)

    run(scenario())


def test_an_expensive_policy_is_stopped() -> None:
    async def scenario() -> None:
        at = bench()
        bomb = (
            "object.data.a.split('').all(a, object.data.a.split('').all(b, object.data.a.split('').all(c, a + b != c)))"
        )
        await at.given(policy(validations=[validation(bomb)]), binding())
        assert "running out of cost budget" in (await at.refusal(config_map(a="x" * 900)))["message"]

    run(scenario())


def test_policies_are_exempt_from_policies() -> None:
    async def scenario() -> None:
        at = bench()
        everything = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"]}
        await at.given(policy(rules=[everything], validations=[validation("false")]), binding())
        await at.refusal(config_map())
        await at.one(policy("other", validations=[validation("true")]))

    run(scenario())
