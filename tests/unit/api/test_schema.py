from actors.api.kinds import KINDS
from actors.api.schema import Shape, check_object, definition, definition_name, definitions

#: Definitions without fields.
SCALARS = (
    "meta.v1",
    "scheduling.v1alpha",
    "apiextensions.v1.JSON",
    "apiextensions.v1.CustomResourceSubresourceStatus",
)


def pod(**spec):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [], **spec}}


def test_every_served_kind_has_a_schema():
    for kind in KINDS:
        assert definition(definition_name(kind.api_version, kind.kind)), kind.kind


def test_what_definitions_refer_to_is_there():
    names = {found.name for found in definitions()}
    for found in definitions():
        for field in found.fields.values():
            element = field.element.removeprefix("[]")
            assert element in names or "v1." not in element or element.startswith(SCALARS), element


def test_unknown_fields_are_named_and_dropped():
    checked = check_object(pod(containers=[{"name": "a", "imag": "x"}], foo=1), "v1", "Pod")
    assert checked.unknown == ("spec.containers[0].imag", "spec.foo")
    assert checked.object["spec"] == {"containers": [{"name": "a"}]}
    assert checked.problems == ()


def test_wrong_types_are_named_all_at_once():
    wrong = pod(
        containers=[{"name": 3, "resources": {"limits": {"cpu": "1x"}}, "ports": [{"containerPort": "80"}]}],
        hostNetwork="yes",
        nodeSelector=["a"],
        activeDeadlineSeconds=True,
    )
    assert {cause.field for cause in check_object(wrong, "v1", "Pod").problems} == {
        "spec.containers[0].name",
        "spec.containers[0].resources.limits.cpu",
        "spec.containers[0].ports[0].containerPort",
        "spec.hostNetwork",
        "spec.nodeSelector",
        "spec.activeDeadlineSeconds",
    }


def test_good_scalars_pass():
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"creationTimestamp": None}, "data": {"a": "aGk="}}
    assert check_object(secret, "v1", "Secret").problems == ()
    assert check_object({**secret, "data": {"a": "!"}}, "v1", "Secret").problems[0].field == "data.a"


def test_a_kind_without_a_schema_passes_as_it_is():
    assert check_object({"x": 1}, "example.com/v1", "Foo").object == {"x": 1}


def test_merge_keys():
    spec = Shape("core.v1.PodSpec")
    assert spec.merge_key("containers") == "name"
    assert spec.child("containers").merge_key("ports") == "containerPort"
    assert spec.merge_key("tolerations") is None
    assert Shape("meta.v1.ObjectMeta").merge_key("finalizers") == ""
    assert Shape().child("anything").merge_key("x") is None


def test_what_was_there_before_is_not_looked_at_again():
    old = pod(containers=[{"name": "a", "odd": 1}])
    new = {**old, "spec": {**old["spec"], "nodeName": 3}}
    checked = check_object(new, "v1", "Pod", old)
    assert checked.unknown == ()
    assert [cause.field for cause in checked.problems] == ["spec.nodeName"]


def test_null_items_of_lists_are_refused():
    pod = {"metadata": {"name": "x"}, "spec": {"containers": [None]}}
    problems = check_object(pod, "v1", "Pod").problems
    assert [(cause.field, cause.message) for cause in problems] == [
        ("spec.containers[0]", "Invalid value: null: must be set")
    ]
