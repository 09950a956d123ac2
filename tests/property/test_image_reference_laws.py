"""References: whatever text comes, it is one or InvalidName says why; the canonical text means the same."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.plugins.image.faults import InvalidName
from actors.plugins.image.reference import is_loopback, parse_reference

HOSTS = st.sampled_from(["", "docker.io/", "localhost/", "127.0.0.1:5000/", "[::1]:80/", "r.example.org:443/"])
WORD = st.text("abz059", min_size=1, max_size=5)
PART = st.tuples(WORD, st.sampled_from([".", "_", "__", "-", "---"]), WORD).map("".join) | WORD
PATHS = st.tuples(WORD, st.lists(PART, max_size=3)).map(lambda parts: "/".join([parts[0], *parts[1]]))
TAGS = st.just("") | st.text("aZ0_.-", max_size=20).map(lambda text: f":T{text}")
DIGESTS = st.just("") | st.integers(0, 2**256 - 1).map(lambda number: f"@sha256:{number:064x}")


@given(HOSTS, PATHS, TAGS, DIGESTS)
def test_a_well_formed_reference_is_parsed_and_its_canonical_text_is_a_fixed_point(
    host: str, path: str, tag: str, digest: str
) -> None:
    parsed = parse_reference(host + path + tag + digest)
    assert parse_reference(str(parsed)) == parsed
    assert str(parse_reference(str(parsed))) == str(parsed)
    assert parsed.path.endswith(path)
    assert parsed.tag == (tag[1:] or ("" if digest else "latest"))
    assert parsed.digest == digest[1:]
    if host:
        assert parsed.host == host[:-1]


@given(st.one_of(st.text(max_size=60), st.text(alphabet="aZ0.:/@-_[]\n", max_size=40)))
def test_any_text_is_a_reference_or_invalid(text: str) -> None:
    try:
        parsed = parse_reference(text)
    except InvalidName:
        return
    assert parse_reference(str(parsed)) == parsed
    assert ".." not in parsed.path.split("/") and "\n" not in str(parsed)


@given(st.text(max_size=40))
def test_loopback_is_decided_for_any_text(text: str) -> None:
    assert is_loopback(text) in (True, False)
