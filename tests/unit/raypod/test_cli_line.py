"""The command line itself: help, version, and one sentence for a mistake."""

import sys
from importlib.metadata import version

import pytest

from raypod import cli


@pytest.fixture
def say(monkeypatch, capsys, tmp_path):
    """Exit code, stdout, stderr."""
    monkeypatch.setenv("RAYPOD_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "80")

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["raypod", *words])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return end.value.code, *capsys.readouterr()

    return run


@pytest.mark.parametrize("words", [[], ["run"], ["image"], ["image", "pull"], ["history"]], ids=" ".join)
def test_help_is_short_or_long(say, words):
    short = say(*words, "-h")
    assert short == say(*words, "--help")
    assert (short[0], short[1].startswith("Usage: raypod"), short[2]) == (0, True, "")


@pytest.mark.parametrize("words", [[], ["image"]], ids=" ".join)
def test_commands_are_told_whole(say, words):
    """Without a command, too."""
    code, out, _ = say(*words, "-h")
    listed = out.partition("Commands:")[2]
    assert (code, "..." in listed, len(listed.splitlines()) > 4) == (0, False, True)
    code, out, err = say(*words)
    assert (code, out) == (2, "")
    assert listed in err


def test_the_version(say):
    assert say("--version") == (0, f"raypod {version('raypod')}\n", "")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["ps", "-o", "yamll"], "Invalid value for '-o' / '--output': 'yamll' is not one of 'table', 'json'"),
        (["run", "--gpus", "x", "host"], "Invalid value for '--gpus': 'x' is not a valid int"),
        (["run"], "Missing argument 'image'"),
        (["frob"], "No such command 'frob'"),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else "",
)
def test_a_mistake_is_one_sentence(say, words, told):
    code, out, err = say(*words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"raypod: {told}; `raypod")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["image", "load", ""], "name an archive"),
        (["image", "pull", "http://host:5000/a:1"], "an image reference has no scheme: write 'host:5000/a:1'"),
        (["image", "pull", "docker://a/b"], "an image reference has no scheme: write 'a/b'"),
        (["run", "host", "--timeout", "-1"], "--timeout: seconds, not -1"),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else "",
)
def test_what_cannot_be_is_refused_before_a_cluster_is_asked(say, words, told):
    code, out, err = say(*words)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert told in err
