import pytest

from raypod.cli.output import format_bytes
from raypod.cli.runs import parse_env, parse_volumes


def test_env(monkeypatch):
    monkeypatch.setenv("PASSED", "on")
    monkeypatch.delenv("ABSENT", raising=False)
    assert parse_env(["A=1", "B=x=y", "C=", "PASSED", "ABSENT"]) == {"A": "1", "B": "x=y", "C": "", "PASSED": "on"}


def test_volumes():
    assert parse_volumes(["/mnt/a:/a", "/mnt/b:/b:ro"]) == {"/a": "/mnt/a", "/b": "/mnt/b:ro"}


@pytest.mark.parametrize("word", ["/a", "a:/b", "/a:b", "/a:/b:rx", ":", "/a:/b:ro:x"])
def test_bad_volumes(word):
    with pytest.raises(ValueError, match="SRC:DST"):
        parse_volumes([word])


def test_bad_env():
    with pytest.raises(ValueError, match="NAME=VALUE"):
        parse_env(["=x"])


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (80 << 30, "80.0 GiB"), (3 << 50, "3072.0 TiB")],
)
def test_sizes(count, text):
    assert format_bytes(count) == text
