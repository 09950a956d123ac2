import pytest

from actors.api.defaulting import default
from actors.api.schema import check_object
from actors.api.validation import validate
from raypod.api import _encode as encode
from raypod.manifests import job_manifest


def pod_of(manifest):
    return manifest["spec"]["template"]["spec"]


def test_a_run_is_an_indexed_job_that_kubernetes_accepts():
    manifest = job_manifest(
        "train",
        "127.0.0.1:5000/train:1",
        command=["python", "train.py"],
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
        ({"name": "a\n"}, "name"),
        ({"name": "../a"}, "name"),
        ({"image": ""}, "image"),
        ({"image": "two words"}, "image"),
        ({"image": "UPPER/case"}, "image"),
        ({"image": "nginx\n"}, "image"),
        ({"image": "a" * 600}, "image"),
        ({"command": "python train.py"}, "command"),
        ({"replicas": 0}, "replicas"),
        ({"replicas": 1_000_000_000}, "replicas"),
        ({"replicas": 1.5}, "replicas"),
        ({"retries": -1}, "retries"),
        ({"cpus": -1}, "cpus"),
        ({"cpus": 0}, "cpus"),
        ({"cpus": float("nan")}, "cpus"),
        ({"cpus": float("inf")}, "cpus"),
        ({"cpus": 1e300}, "cpus"),
        ({"memory": "lots"}, "memory"),
        ({"memory": "8EiEi"}, "memory"),
        ({"memory": "0Gi"}, "memory"),
        ({"memory": 0}, "memory"),
        ({"memory": -5}, "memory"),
        ({"memory": "9" * 30}, "memory"),
        ({"gpus": -1}, "gpus"),
        ({"gpus": 0.5}, "gpus"),
        ({"gpus": 1 << 80}, "gpus"),
        ({"env": {"": "x"}}, "env"),
        ({"env": {"A=B": "x"}}, "env"),
        ({"env": {"A": "x\0y"}}, "env"),
        ({"volumes": {"/a\0": "/b"}}, "volumes"),
        ({"volumes": {"data": "/mnt"}}, "volumes"),
        ({"volumes": {"/data": "mnt"}}, "volumes"),
        ({"volumes": {"/": "/etc"}}, "volumes"),
        ({"volumes": {"//a/../.": "/etc"}}, "volumes"),
        ({"working_dir": "rel"}, "working_dir"),
    ],
)
def test_a_bad_argument_is_named(arguments, field):
    with pytest.raises(ValueError, match=rf"^{field}: "):
        job_manifest(**{"name": "a", "image": "host", **arguments})


@pytest.mark.parametrize(
    "image",
    [
        "host",
        "nginx",
        "library/nginx:1",
        "127.0.0.1:5000/train:1",
        "localhost/x",
        "[::1]:5000/x",
        "registry.example.com/a/b_c__d:v1.2@sha256:" + "a" * 64,
    ],
)
def test_references_of_every_form_are_taken(image):
    assert pod_of(job_manifest("a", image))["containers"][0]["image"] == image


@pytest.mark.parametrize(("cpus", "text"), [(0.1, "100m"), (0.0001, "1m"), (1.1, "1100m"), (4, "4000m")])
def test_cpus_round_up_to_what_can_be_asked_for(cpus, text):
    limits = pod_of(job_manifest("a", "host", cpus=cpus))["containers"][0]["resources"]["limits"]
    assert limits == {"cpu": text}


def test_a_message_is_no_longer_than_a_line():
    with pytest.raises(ValueError, match=r"characters\)") as caught:
        job_manifest("x" * 1_000_000, "host")
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"cpus": "many"}, "cpus"),
        ({"replicas": "2"}, "replicas"),
        ({"gpus": None}, "gpus"),
        ({"retries": []}, "retries"),
    ],
)
def test_a_number_of_another_type_is_named(options, named):
    with pytest.raises(ValueError, match=f"^{named}: "):
        job_manifest("a", "host", **options)


def test_bytes_that_are_no_text_are_named():
    with pytest.raises(ValueError, match=r"not text in UTF-8: .*udcff"):
        encode({"command": ["echo", "\udcff"]})
    assert encode({"command": ["\u00fc"]}) == '{"command": ["\u00fc"]}'.encode()


@pytest.mark.parametrize("text", ["echo $$", "$(date) $HOME $", "$$$(X)", "a$"])
def test_what_a_shell_is_to_read_reaches_it_as_it_was_written(text):
    from actors.nodelet.environment import expand

    made = job_manifest("a", "host", command=["sh", "-c", text], args=[text], env={"E": text})
    container = made["spec"]["template"]["spec"]["containers"][0]
    written = (container["command"][2], container["args"][0], container["env"][0]["value"])
    assert [expand(part, {"X": "no", "date": "no", "HOME": "no"}) for part in written] == [text] * 3
