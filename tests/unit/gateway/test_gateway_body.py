from __future__ import annotations

import asyncio
import contextlib
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.api.errors import BadRequest, TooLarge
from actors.api.protobuf import FIELDS_MAX
from actors.gateway.body import COLLECTIONS_MAX, DEPTH_MAX, NAMES_MAX, YAML_SCALARS_MAX, parse_value
from actors.gateway.duplicates import find_repeats
from actors.gateway.media import Body
from actors.gateway.off_loop import BYTES_MIN, LargeBodies


def test_yaml_is_json_with_other_signs() -> None:
    text = b"a: 1\nb: [x, 'y', 2.5, true, null]\nc: {d: 2026-11-23}\n7: one\ntrue: yes\n"
    assert parse_value(text, Body.YAML) == {
        "a": 1,
        "b": ["x", "y", 2.5, True, None],
        "c": {"d": "2026-11-23"},
        "7": "one",
        "true": True,
    }


@pytest.mark.parametrize(
    "text",
    [
        b"a: &x [1]\nb: *x",
        b"!!python/object/apply:os.system [ls]",
        b"a: !!binary aGk=",
        b"a: !!set {b, c}",
        b"--- a\n--- b",
        b"{" * 1000,
        b"- " * 1000 + b"a",
        b"[" * (DEPTH_MAX + 2) + b"]" * (DEPTH_MAX + 2),
        b"a: b: c",
        b"\xff\xfe\x00",
    ],
)
def test_yaml_that_is_refused(text: bytes) -> None:
    with pytest.raises(BadRequest):
        parse_value(text, Body.YAML)


def test_depth() -> None:
    fine = b"[" * DEPTH_MAX + b"]" * DEPTH_MAX
    assert parse_value(fine, Body.JSON)
    for count in (DEPTH_MAX + 2, 5_000, 200_000):
        with pytest.raises(BadRequest, match="nested"):
            parse_value(b"[" * count + b"]" * count, Body.JSON)


def test_density() -> None:
    assert len(parse_value(b"[" + b",".join([b"{}"] * (COLLECTIONS_MAX - 1)) + b"]", Body.JSON)) == COLLECTIONS_MAX - 1
    assert len(parse_value(b"[" + b",".join([b"1"] * 500_000) + b"]", Body.JSON)) == 500_000
    dense = b'{"a":[' + b",".join([b"[{}]"] * (COLLECTIONS_MAX // 2)) + b"]}"
    for body in (Body.JSON, Body.YAML, Body.APPLY):
        with pytest.raises(TooLarge, match="more than 50000 objects and lists"):
            parse_value(dense, body)


@pytest.mark.parametrize(
    ("body", "text", "what"),
    [
        (Body.JSON, b"{" + b",".join(b'"%d":0' % i for i in range(NAMES_MAX + 1)) + b"}", "members of objects"),
        (Body.YAML, b"[" + b"x," * (YAML_SCALARS_MAX + 1) + b"]", "YAML scalars"),
        (Body.APPLY, b"a:\n" + b"- x\n" * (YAML_SCALARS_MAX + 1), "YAML scalars"),
        (Body.PROTOBUF, b"k8s\0" + b"\x18\0" * (FIELDS_MAX + 1), "fields"),
    ],
    ids=["json", "yaml", "apply", "protobuf"],
)
def test_what_takes_long_to_read_is_bounded(body: Body, text: bytes, what: str) -> None:
    """1.4 million scalars of YAML took 18 seconds, as many fields of protobuf four."""
    with pytest.raises(TooLarge, match=what):
        parse_value(text, body)


def test_large_bodies_are_read_off_the_loop_one_at_a_time() -> None:
    running = together = 0

    def read() -> int:
        nonlocal running, together
        running += 1
        together = max(together, running)
        time.sleep(0.01)
        running -= 1
        return threading.get_ident()

    async def run() -> tuple[int, list[int]]:
        bodies = LargeBodies()
        return await bodies.read(BYTES_MIN - 1, read), await asyncio.gather(
            *(bodies.read(BYTES_MIN, read) for _ in range(3))
        )

    small, large = asyncio.run(run())
    assert (small, together) == (threading.get_ident(), 1)
    assert small not in large


def test_duplicates() -> None:
    def told(text: bytes, body: Body) -> tuple[str, ...]:
        return find_repeats(text, body, parse_value(text, body)).told

    nested = b'{"a":1,"b":[{"c":1},{"c":1,"c":2,"c":3}],"a":3}'
    assert told(nested, Body.JSON) == ('duplicate field "b[1].c"', 'duplicate field "a"')
    assert told(nested, Body.STRATEGIC) == told(nested, Body.JSON)
    assert told(b'{"a":"\\"a\\":1"}', Body.JSON) == told(b'{"a":1}', Body.APPLY) == ()
    text = b"a: 1\nb:\n- c: 1\n  d: {c: 1}\n- c: 1\n  c: [c, c]\n? a\n: 2\n"
    lines = ('line 6: key "c" already set in map', 'line 7: key "a" already set in map')
    assert told(text, Body.YAML) == told(text, Body.APPLY) == lines
    assert find_repeats(text, Body.YAML, parse_value(text, Body.YAML)).strict == (
        f"yaml: unmarshal errors:\n  {lines[0]}\n  {lines[1]}",
    )
    assert told(b'{"a":1,"a":"\\ud800\\udc00"}', Body.APPLY) == ('duplicate field "a"',), "YAML has no such escapes"


@given(st.binary(max_size=200), st.sampled_from([Body.JSON, Body.YAML, Body.PROTOBUF, Body.APPLY]))
def test_any_bytes_are_a_value_or_a_bad_request(text: bytes, body: Body) -> None:
    with contextlib.suppress(BadRequest):
        parse_value(text, body)


@given(st.binary(max_size=200))
def test_any_protobuf_is_a_value_or_a_bad_request(raw: bytes) -> None:
    for kind in (b"Pod", b"Deployment", b"Event"):
        version = b"apps/v1" if kind == b"Deployment" else b"v1"
        meta = bytes([10, len(version)]) + version + bytes([18, len(kind)]) + kind
        envelope = b"k8s\0" + bytes([10, len(meta)]) + meta + bytes([18]) + _length(raw) + raw
        with contextlib.suppress(BadRequest):
            assert parse_value(envelope, Body.PROTOBUF)["kind"] == kind.decode()


def _length(raw: bytes) -> bytes:
    size = len(raw)
    return bytes([size]) if size < 128 else bytes([size & 0x7F | 0x80, size >> 7])
