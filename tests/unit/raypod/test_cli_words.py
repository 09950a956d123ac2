import pytest

from raypod.cli.lifecycle import format_pending
from raypod.cli.output import format_bytes
from raypod.cli.runs import format_codes, parse_env, parse_volumes


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


def test_exit_codes_fit_on_a_line():
    assert format_codes([0, 1, None]) == "0 1 -"
    assert format_codes([]) == ""
    assert format_codes([0] * 99_000 + [137] * 999 + [None]) == "0 x 99000, 137 x 999, - x 1"


def waiting(name, message):
    return {"namespace": "default", "name": name, "message": message}


def test_pods_that_wait_for_the_same_share_a_line():
    pods = [waiting("a", "no GPU"), *(waiting(f"b{i}", "too many pods") for i in range(3000))]
    assert format_pending(pods) == [
        "pending default/a: no GPU",
        "pending default/b0 and 2999 more: too many pods",
    ]
    assert format_pending([]) == []


def test_reasons_for_waiting_fit_on_a_screen():
    lines = format_pending([waiting(f"p{i}", f"reason {i}") for i in range(100)])
    assert (len(lines), lines[-1]) == (13, "and 88 more reasons: kubectl get pods")
