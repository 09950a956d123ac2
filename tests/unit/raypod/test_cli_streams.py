import sys

import pytest

from raypod import cli


def told(monkeypatch, stdout, stderr):
    monkeypatch.setattr(sys, "argv", ["raypod", "kubeconfig"])
    monkeypatch.setattr(sys, "stdout", stdout)
    monkeypatch.setattr(sys, "stderr", stderr)
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    (tmp_path / "kubeconfig").touch()
    monkeypatch.setenv("RAYPOD_HOME", str(tmp_path))


def test_closed_streams_are_no_failure(monkeypatch):
    assert told(monkeypatch, None, None) in (0, None)


def test_a_full_disk_below_stdout_is_told_in_a_sentence(monkeypatch, tmp_path):
    with (tmp_path / "stderr").open("w+") as stderr:
        assert told(monkeypatch, open("/dev/full", "w", buffering=1), stderr) == 1  # noqa: SIM115
        stderr.seek(0)
        assert stderr.read() == "raypod: No space left on device\n"
