import base64
import io
import sys
import zipfile
from contextlib import redirect_stdout

import pytest

from raypod import call_runner, calls
from raypod.errors import CallError
from raypod.manifests import job_manifest


def carried(tmp_path, fn, *args, version=None, **kwargs):
    """Pack, write the files as the volume would, run, find the result in what was printed."""
    path = list(sys.path)
    for secret in calls.secrets_of("c", calls.pack(fn, args, kwargs)):
        for name, text in secret["data"].items():
            (tmp_path / name).write_bytes(base64.b64decode(text))
    printed = io.StringIO()
    try:
        with redirect_stdout(printed):
            code = call_runner.main(str(tmp_path), version or f"{sys.version_info.major}.{sys.version_info.minor}")
    finally:
        sys.path[:] = path
    result = calls.find_result(printed.getvalue().splitlines())
    assert result is not None
    return code, result


def test_a_result_comes_back(tmp_path):
    code, result = carried(tmp_path, lambda a, b=1: {"sum": a + b}, 2, b=3)
    assert (code, calls.unpack(result)) == (0, {"sum": 5})


def test_a_large_call_travels_in_parts(tmp_path):
    code, result = carried(tmp_path, len, b"x" * 2_000_000)
    assert (code, calls.unpack(result)) == (0, 2_000_000)
    assert len(list(tmp_path.glob("payload-*"))) == 3


def test_printing_does_not_disturb_the_result(tmp_path):
    _, result = carried(tmp_path, lambda: print("no line feed", end="") or 7)
    assert calls.unpack(result) == 7


def test_an_exception_comes_back_as_it_is_with_its_place(tmp_path):
    def fail():
        raise KeyError("missing")

    code, result = carried(tmp_path, fail)
    assert code == 1
    with pytest.raises(KeyError, match="missing") as caught:
        calls.unpack(result)
    assert "in fail" in str(caught.value.__cause__)


def test_sys_exit_is_an_exception_like_any_other(tmp_path):
    _, result = carried(tmp_path, sys.exit, 3)
    with pytest.raises(SystemExit):
        calls.unpack(result)


def test_another_python_is_refused_in_words(tmp_path):
    _, result = carried(tmp_path, len, "x", version="2.7")
    with pytest.raises(CallError, match=r"the caller's is 2\.7"):
        calls.unpack(result)


def test_a_result_that_cannot_be_sent(tmp_path):
    _, result = carried(tmp_path, lambda: (i for i in ()))
    with pytest.raises(CallError, match="cannot be sent back"):
        calls.unpack(result)


def test_a_function_that_cannot_be_sent():
    with pytest.raises(CallError, match="cannot be sent"):
        calls.pack(len, [(i for i in ())], {})


def test_no_result_without_its_end():
    assert calls.find_result(["hello"]) is None
    assert calls.find_result([calls.MARK + "AAAA"]) is None


def test_the_payload_is_one_read_only_folder():
    manifest = job_manifest("c", "host", command=calls.command("host", ""))
    calls.mount_payload(manifest, "c", 10)
    pod = manifest["spec"]["template"]["spec"]
    assert pod["volumes"][0]["projected"]["sources"] == [{"secret": {"name": "c-0"}}, {"secret": {"name": "c-1"}}]
    assert pod["containers"][0]["volumeMounts"][0]["readOnly"] is True
    assert pod["containers"][0]["command"][0] == sys.executable
    assert calls.command("python:3", "")[0] == "python3"


@pytest.fixture(autouse=True)
def _a_users_process(monkeypatch):
    """The modules of this suite, once all are loaded, are more than go along with a call."""
    for name, module in list(sys.modules.items()):
        if "/tests/" in (getattr(module, "__file__", None) or "") and name != __name__:
            monkeypatch.delitem(sys.modules, name)


def test_the_users_modules_go_along_and_nobody_elses(tmp_path, monkeypatch):
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "__init__.py").write_text("")
    (tmp_path / "ours" / "shapes.py").write_text("class Square: side = 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    import ours.shapes  # type: ignore[import-not-found]

    runner = next(calls.secrets_of("c", b""))["data"]
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(runner["modules.zip"]))) as archive:
        names = set(archive.namelist())
    assert {"ours/__init__.py", "ours/shapes.py"} <= names
    assert not [name for name in names if name.startswith(("raypod", "actors", "pytest", "json"))]
    for name in ("ours", "ours.shapes"):
        monkeypatch.delitem(sys.modules, name)
    assert ours.shapes.Square.side == 3


class Picky(Exception):
    def __init__(self, code, why):
        super().__init__(why)
        self.code = code


def test_an_exception_that_cannot_be_made_again_comes_back_as_its_traceback(tmp_path):
    def fail():
        raise Picky(3, "the disk is on fire")

    code, result = carried(tmp_path, fail)
    assert code == 1
    with pytest.raises(CallError, match="what the function raised cannot be sent back") as refused:
        calls.unpack(result)
    assert "the disk is on fire" in str(refused.value)


def test_output_is_passed_on_without_the_marks_and_their_line_feed(capsys):
    output = calls.Output()
    for line in ["a", "", "", "b", "", calls.MARK + "x", calls.MARK + "end"]:
        output.write_stdout(line)
    output.write_stderr("e")
    assert capsys.readouterr() == ("a\n\n\nb\n", "e\n")
    assert output.marked == [calls.MARK + "x", calls.MARK + "end"]
    assert list(output.last) == ["a", "", "", "b", "e"]


@pytest.mark.parametrize("there", [True, False], ids=["the folder is there", "only its sources are"])
def test_a_users_module_wins_over_an_installed_one(tmp_path, monkeypatch, there):
    """As it does for the caller, also where the container has another /tmp."""
    users, installed, folder = (tmp_path / name for name in ("users", "installed", "call"))
    for place in (users, installed, folder):
        place.mkdir()
        (place / "twice_there.py").write_text(f"place = {place.name!r}\n")
    monkeypatch.setattr(sys, "path", [str(users), *sys.path, str(installed)])
    path = list(sys.path)
    import twice_there  # it is among the sources that come along then

    for secret in calls.secrets_of("c", calls.pack(lambda: __import__("twice_there").place, (), {})):
        for name, text in secret["data"].items():
            (folder / name).write_bytes(base64.b64decode(text))
    monkeypatch.delitem(sys.modules, twice_there.__name__)
    if not there:
        (users / "twice_there.py").unlink()
        users.rmdir()
    (folder / "twice_there.py").unlink()
    monkeypatch.setattr(sys, "path", path[1:])
    printed = io.StringIO()
    with redirect_stdout(printed):
        call_runner.main(str(folder), f"{sys.version_info.major}.{sys.version_info.minor}")
    monkeypatch.delitem(sys.modules, "twice_there", raising=False)
    assert calls.unpack(calls.find_result(printed.getvalue().splitlines())) == "users"
