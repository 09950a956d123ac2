"""The official Python client with custom resources: CustomObjectsApi as an operator uses it."""

from __future__ import annotations

import copy

import pytest
from custom_resources import CRON_TAB, cron_tab
from gateway_server import RunningGateway, served
from kubernetes import client, config, watch

__all__ = ["served"]
TABS = ("stable.example.com", "v1", "default", "crontabs")


@pytest.fixture(scope="module")
def api(served: RunningGateway) -> client.CustomObjectsApi:
    connection = config.new_client_from_config(str(served.gateway.kubeconfig))
    client.ApiextensionsV1Api(connection).create_custom_resource_definition(copy.deepcopy(CRON_TAB))
    return client.CustomObjectsApi(connection)


def test_a_life(api: client.CustomObjectsApi) -> None:
    made = api.create_namespaced_custom_object(*TABS, cron_tab("p"))
    assert made["spec"] == {"cronSpec": "* * * * */5", "image": "host", "replicas": 1}
    assert api.patch_namespaced_custom_object(*TABS, "p", {"spec": {"replicas": 3}})["metadata"]["generation"] == 2
    assert api.patch_namespaced_custom_object_status(*TABS, "p", {"status": {"phase": "X"}})["status"] == {"phase": "X"}
    assert api.patch_namespaced_custom_object_scale(*TABS, "p", {"spec": {"replicas": 5}})["spec"] == {"replicas": 5}
    events = watch.Watch().stream(api.list_namespaced_custom_object, *TABS, timeout_seconds=1)
    assert [(event["type"], event["object"]["spec"]["replicas"]) for event in events] == [("ADDED", 5)]
    assert api.delete_namespaced_custom_object(*TABS, "p")["status"] == "Success"


def test_what_does_not_fit_is_an_exception_with_its_causes(api: client.CustomObjectsApi) -> None:
    with pytest.raises(client.ApiException) as refused:
        api.create_namespaced_custom_object(*TABS, cron_tab("q", cronSpec="never", replicas=99))
    assert refused.value.status == 422
    assert "spec.cronSpec" in refused.value.body and "spec.replicas" in refused.value.body


def test_a_put_needs_the_revision_it_replaces(api: client.CustomObjectsApi) -> None:
    made = api.create_namespaced_custom_object(*TABS, cron_tab("r"))
    with pytest.raises(client.ApiException) as refused:
        api.replace_namespaced_custom_object(*TABS, "r", cron_tab("r"))
    assert refused.value.status == 422 and "must be specified for an update" in refused.value.body
    made["spec"]["replicas"] = 2
    assert api.replace_namespaced_custom_object(*TABS, "r", made)["spec"]["replicas"] == 2
