"""kubectl, unmodified, with custom resources: a definition is applied and its kind is there, with all that kinds have."""

from __future__ import annotations

import copy
import json

import pytest
from custom_resources import CRON_TAB, cron_tab
from gateway_server import Output, RunningGateway, served

__all__ = ["served"]


def apply(served: RunningGateway, obj: object, *arguments: str) -> Output:
    return served.kubectl("apply", *arguments, "-f", "-", stdin=json.dumps(obj), fails=None)


@pytest.fixture(scope="module", autouse=True)
def definition(served: RunningGateway) -> None:
    done = apply(served, CRON_TAB)
    assert done.code == 0, done.err
    made = apply(served, cron_tab("nightly", replicas=3))
    assert made.code == 0, made.err


def test_a_definition_is_established_at_once(served: RunningGateway) -> None:
    found = served.kubectl("get", "crd", "crontabs.stable.example.com", "-o", "json").json
    conditions = {condition["type"]: condition["status"] for condition in found["status"]["conditions"]}
    assert conditions == {"NamesAccepted": "True", "Established": "True"}
    assert found["status"]["storedVersions"] == ["v1"]
    assert found["status"]["acceptedNames"]["listKind"] == "CronTabList"
    done = served.kubectl("wait", "--for=condition=Established", "crd/crontabs.stable.example.com", "--timeout=5s")
    assert done.code == 0


def test_it_is_discovered_with_its_names(served: RunningGateway) -> None:
    rows = served.kubectl("api-resources", "--api-group=stable.example.com").rows
    assert rows[1:] == [["crontabs", "ct", "stable.example.com/v1", "true", "CronTab"]]
    assert served.kubectl("get", "ct").rows[1][0] == "nightly"
    assert "crontab.stable.example.com/nightly" in served.kubectl("get", "all", "-o", "name").out


def test_columns_are_those_of_the_definition(served: RunningGateway) -> None:
    rows = served.kubectl("get", "crontabs").rows
    assert rows[0] == ["NAME", "SPEC", "REPLICAS", "AGE"]
    assert rows[1][:7] == ["nightly", "*", "*", "*", "*", "*/5", "3"]
    assert served.kubectl("get", "crontabs", "-o", "wide").rows[0] == ["NAME", "SPEC", "REPLICAS", "IMAGE", "AGE"]


def test_explain_reads_its_schema(served: RunningGateway) -> None:
    told = served.kubectl("explain", "crontab.spec.cronSpec").out
    assert "When it runs." in told and "FIELD: cronSpec <string>" in told
    assert "replicas" in served.kubectl("explain", "crontab.spec").out


def test_what_does_not_fit_is_refused_all_at_once(served: RunningGateway) -> None:
    bad = apply(served, cron_tab("bad", cronSpec="never", replicas=99, paused="yes"), "--validate=false")
    assert bad.code == 1
    assert 'The CronTab "bad" is invalid' in bad.err
    assert 'spec.cronSpec: Invalid value: "never": spec.cronSpec in body should match' in bad.err
    assert "spec.replicas: Invalid value: 99: spec.replicas in body should be less than or equal to 10" in bad.err
    assert 'spec.paused: Invalid value: "string": spec.paused in body must be of type boolean: "string"' in bad.err


def test_rules_are_kept(served: RunningGateway) -> None:
    big = apply(served, cron_tab("big", image="big", replicas=6))
    assert 'spec.replicas: Invalid value: "object": big images run at most 5 times' in big.err
    changed = apply(served, cron_tab("nightly", image="other", replicas=3))
    assert "the image stays" in changed.err


def test_unknown_fields_are_refused_warned_of_or_dropped(served: RunningGateway) -> None:
    obj = cron_tab("odd", colour="red")
    strict = apply(served, obj)
    assert strict.code == 1 and 'unknown field "spec.colour"' in strict.err
    warned = apply(served, obj, "--validate=warn")
    assert warned.code == 0 and 'unknown field "spec.colour"' in warned.err
    assert "colour" not in served.kubectl("get", "ct", "odd", "-o", "json").json["spec"]
    served.kubectl("delete", "ct", "odd")


def test_generation_counts_the_spec_and_status_is_apart(served: RunningGateway) -> None:
    apply(served, cron_tab("counted"))
    first = served.kubectl("get", "ct", "counted", "-o", "json").json
    assert (first["metadata"]["generation"], first["spec"]["image"], first["spec"]["replicas"]) == (1, "host", 1)
    patch = json.dumps({"status": {"phase": "Ready"}, "spec": {"replicas": 9}})
    served.kubectl("patch", "ct", "counted", "--type=merge", "--subresource=status", "-p", patch)
    second = served.kubectl("get", "ct", "counted", "-o", "json").json
    assert (second["metadata"]["generation"], second["spec"]["replicas"], second["status"]["phase"]) == (1, 1, "Ready")
    served.kubectl(
        "patch", "ct", "counted", "--type=json", "-p", '[{"op":"replace","path":"/spec/replicas","value":2}]'
    )
    third = served.kubectl("get", "ct", "counted", "-o", "json").json
    assert (third["metadata"]["generation"], third["status"]["phase"]) == (2, "Ready")


def test_scale(served: RunningGateway) -> None:
    served.kubectl("scale", "ct/nightly", "--replicas=4")
    assert served.kubectl("get", "ct", "nightly", "-o", "jsonpath={.spec.replicas}").out == "4"
    refused = served.kubectl("scale", "ct/nightly", "--replicas=40", fails=None)
    assert "should be less than or equal to 10" in refused.err


def test_strategic_merge_is_not_for_custom_resources(served: RunningGateway) -> None:
    refused = served.kubectl("patch", "ct", "nightly", "--type=strategic", "-p", '{"spec":{"paused":true}}', fails=None)
    assert refused.code == 1 and "415" in refused.err


def test_selectors(served: RunningGateway) -> None:
    served.kubectl("label", "ct", "nightly", "team=a")
    assert served.kubectl("get", "ct", "-l", "team=a", "-o", "name").out.split() == [
        "crontab.stable.example.com/nightly"
    ]
    chosen = served.kubectl("get", "ct", "--field-selector=spec.image=host", "-o", "name").out.split()
    assert "crontab.stable.example.com/nightly" in chosen
    assert served.kubectl("get", "ct", "--field-selector=spec.image=none", "-o", "name").out == ""
    refused = served.kubectl("get", "ct", "--field-selector=spec.replicas=1", fails=None)
    assert "field label not supported: spec.replicas" in refused.err


def test_another_version_is_the_same_object(served: RunningGateway) -> None:
    found = served.kubectl("get", "crontabs.v1beta1.stable.example.com", "nightly", "-o", "json")
    assert found.json["apiVersion"] == "stable.example.com/v1beta1"
    assert "is deprecated" in found.err
    made = apply(served, cron_tab("old", "v1beta1", replicas=2))
    assert made.code == 0, made.err
    assert served.kubectl("get", "ct", "old", "-o", "json").json["apiVersion"] == "stable.example.com/v1"
    served.kubectl(
        "patch", "crontabs.v1beta1.stable.example.com", "old", "--type=merge", "-p", '{"spec":{"replicas":3}}'
    )
    assert served.kubectl("get", "ct", "old", "-o", "jsonpath={.spec.replicas}").out == "3"


def test_server_side_apply_merges_keyed_lists(served: RunningGateway) -> None:
    one = cron_tab("shared", ports=[{"name": "a", "port": 1}])
    two = {**cron_tab("shared"), "spec": {"ports": [{"name": "b", "port": 2}]}}
    assert apply(served, one, "--server-side", "--field-manager=one").code == 0
    assert apply(served, two, "--server-side", "--field-manager=two").code == 0
    ports = served.kubectl("get", "ct", "shared", "-o", "json").json["spec"]["ports"]
    assert sorted(port["name"] for port in ports) == ["a", "b"]
    clash = {**cron_tab("shared"), "spec": {"ports": [{"name": "a", "port": 9}]}}
    refused = apply(served, clash, "--server-side", "--field-manager=three")
    assert 'conflict with "one"' in refused.err and '.spec.ports[name="a"].port' in refused.err


def test_a_changed_schema_is_in_force_for_the_next_write(served: RunningGateway) -> None:
    stricter = copy.deepcopy(CRON_TAB)
    schema = stricter["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"]["spec"]["properties"]["zone"] = {"type": "string", "enum": ["a", "b"]}
    assert apply(served, stricter).code == 0
    refused = apply(served, cron_tab("zoned", zone="c"))
    assert 'spec.zone: Unsupported value: "c": supported values: "a", "b"' in refused.err
    assert apply(served, cron_tab("zoned", zone="a")).code == 0


def test_a_definition_that_is_not_structural_is_refused_with_every_place(served: RunningGateway) -> None:
    bad = copy.deepcopy(CRON_TAB)
    bad["metadata"]["name"] = "wrongs.stable.example.com"
    bad["spec"]["names"] = {"plural": "wrongs", "kind": "Wrong"}
    bad["spec"]["versions"] = [
        {
            "name": "v1", "served": True, "storage": True,
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {"a": {}, "b": {"type": "array"}, "c": {"type": "string", "pattern": "("}}}},
        }
    ]  # fmt: skip
    refused = apply(served, bad)
    assert "spec.validation.openAPIV3Schema.properties[a].type: Required value" in refused.err
    assert "spec.validation.openAPIV3Schema.properties[c].pattern: Invalid value" in refused.err


def test_names_that_are_taken_are_not_served(served: RunningGateway) -> None:
    other = copy.deepcopy(CRON_TAB)
    other["metadata"]["name"] = "others.stable.example.com"
    other["spec"]["names"] = {"plural": "others", "kind": "Other", "shortNames": ["ct"]}
    assert apply(served, other).code == 0
    conditions = {
        c["type"]: c
        for c in served.kubectl("get", "crd", "others.stable.example.com", "-o", "json").json["status"]["conditions"]
    }
    assert conditions["NamesAccepted"]["reason"] == "ShortNamesConflict"
    assert conditions["NamesAccepted"]["message"] == '"ct" is already in use'
    assert conditions["Established"]["status"] == "False"
    assert served.kubectl("get", "others", fails=None).code == 1


def test_a_body_of_ten_megabytes_and_a_schema_of_absurd_depth_get_an_answer(served: RunningGateway) -> None:
    deep: dict = {"type": "object"}
    for _ in range(150):
        deep = {"type": "object", "properties": {"a": deep}}
    hostile = copy.deepcopy(CRON_TAB)
    hostile["metadata"]["name"] = "deeps.stable.example.com"
    hostile["spec"]["names"] = {"plural": "deeps", "kind": "Deep"}
    hostile["spec"]["versions"] = [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": deep}}]
    assert "nested" in apply(served, hostile, "--validate=false").err
    hostile["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = {"type": "object", "description": "x" * 10_000_000}
    assert apply(served, hostile, "--validate=false").code == 1
