import pytest

from actors.api import codec
from actors.api.clock import LAST_MS, format_micro_time, format_time, parse_time
from actors.api.errors import BadRequest, Cause, Conflict, Invalid, from_status
from actors.api.key import Key, Stored
from actors.api.pod import Pod

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p", "namespace": "d", "resourceVersion": "3", "unknown": 1},
    "spec": {"containers": [{"name": "c", "image": "i", "futureField": [1]}]},
    "status": {"podIP": "10.0.0.1"},
}


def stored(obj, revision=7):
    return Stored(Key("pods", "d", "p"), revision, 5, "u", codec.encode(obj))


def test_the_resource_version_lives_in_the_envelope():
    body = codec.encode(POD)
    assert b"resourceVersion" not in body
    assert codec.decode(stored(POD)) == {**POD, "metadata": {**POD["metadata"], "resourceVersion": "7"}}
    assert codec.decode_json(codec.with_revision(body, 7)) == codec.decode(stored(POD))
    assert POD["metadata"]["resourceVersion"] == "3"


def test_an_object_without_metadata_still_splices():
    assert codec.decode_json(codec.with_revision(codec.encode({"kind": "X"}), 4)) == {
        "metadata": {"resourceVersion": "4"},
        "kind": "X",
    }


def test_a_lens_reads_its_fields_and_skips_the_rest():
    pod = codec.lens(stored(POD), Pod)
    assert (pod.metadata.name, pod.metadata.revision, pod.status.pod_ip) == ("p", 7, "10.0.0.1")
    assert pod.spec.containers[0].image == "i"


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b'"x"', b"\xff", b"[" * 100_000])
def test_what_is_no_object_is_a_bad_request(text):
    with pytest.raises(BadRequest):
        codec.decode_json(text)


def test_keys_are_text_and_back():
    key = Key("deployments.apps", "d", "web")
    assert Key.parse(str(key)) == key


def test_errors_go_out_and_come_back():
    error = Invalid("no", name="p", kind="Pod", causes=[Cause("spec.x", "Required value", "FieldValueRequired")])
    status = error.to_status()
    assert status["details"]["causes"][0]["field"] == "spec.x"
    again = from_status(status)
    assert type(again) is Invalid
    assert again.to_status() == status
    assert Conflict("x").to_status()["code"] == 409


@pytest.mark.parametrize(
    ("text", "millis"),
    [
        ("1970-01-01T00:00:01Z", 1000),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01T00:00:00.123456Z", 123),
        ("2026-11-23T10:20:30Z", 1795429230000),
    ],
)
def test_times(text, millis):
    assert parse_time(text) == millis


def test_times_end_with_the_year_9999():
    assert format_time(LAST_MS) == "9999-12-31T23:59:59Z"
    with pytest.raises(ValueError, match="out of range"):
        format_time(LAST_MS + 1000)


def test_times_are_formatted_in_utc():
    assert format_time(1795429230999) == "2026-11-23T10:20:30Z"
    assert format_micro_time(1795429230999) == "2026-11-23T10:20:30.999000Z"


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-13-01T00:00:00Z", "2026-01-01 00:00:00", "2026-02-30T00:00:00Z"]
)
def test_what_is_no_time(text):
    with pytest.raises(ValueError):
        parse_time(text)
