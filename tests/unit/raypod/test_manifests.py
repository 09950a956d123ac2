import pytest

from actors.api.defaulting import default
from actors.api.schema import check_object
from actors.api.validation import validate
from raypod.manifests import job_manifest


def pod_of(manifest):
    return manifest["spec"]["template"]["spec"]


def test_a_run_is_an_indexed_job_that_kubernetes_accepts():
    manifest = job_manifest(
        "train",
        "127.0.0.1:5000/train:1",
        ["python", "train.py"],
        replicas=2,
        cpus=4,
        memory="8Gi",
        gpus=1,
        env={"EPOCHS": 3},
        volumes={"/data": "/mnt/data", "/etc/x": "/mnt/x:ro"},
        retries=1,
    )
    checked = check_object(manifest, "batch/v1", "Job")
    assert (checked.unknown, checked.problems) == ((), ())
    assert validate(default(manifest)) == []
    assert manifest["spec"]["completions"] == manifest["spec"]["parallelism"] == 2
    container = pod_of(manifest)["containers"][0]
    assert container["resources"]["limits"] == {"cpu": "4000m", "memory": "8Gi", "nvidia.com/gpu": "1"}
    assert container["env"] == [{"name": "EPOCHS", "value": "3"}]
    assert [mount.get("readOnly") for mount in container["volumeMounts"]] == [None, True]
    assert [volume["hostPath"]["path"] for volume in pod_of(manifest)["volumes"]] == ["/mnt/data", "/mnt/x"]


def test_what_is_left_out_is_not_there():
    container = pod_of(job_manifest("a", "host"))["containers"][0]
    assert container == {"name": "main", "image": "host"}


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"name": "Train"}, "name"),
        ({"name": "x" * 54}, "name"),
        ({"image": ""}, "image"),
        ({"command": "python train.py"}, "command"),
        ({"replicas": 0}, "replicas"),
        ({"cpus": -1}, "cpus"),
        ({"memory": "lots"}, "memory"),
        ({"gpus": -1}, "gpus"),
        ({"gpus": 0.5}, "gpus"),
        ({"volumes": {"data": "/mnt"}}, "volumes"),
        ({"volumes": {"/data": "mnt"}}, "volumes"),
    ],
)
def test_a_bad_argument_is_named(arguments, field):
    with pytest.raises(ValueError, match=rf"^{field}: "):
        job_manifest(**{"name": "a", "image": "host", **arguments})
