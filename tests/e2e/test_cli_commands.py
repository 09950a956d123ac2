"""A user's shell: every command of `raypod`, its tables and its JSON, its exit codes, and what Ctrl-C does."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest
from registry import Registry, host_programs
from whole_cluster import BIN, TICKING, WholeCluster

pytestmark = [pytest.mark.root, pytest.mark.timeout(150)]


def test_up_again_changes_nothing(whole: WholeCluster) -> None:
    before = whole.kubeconfig.read_bytes()
    said = whole.raypod("up")
    assert said.code == 0, said
    assert said.out.startswith("raypod was up already: https://127.0.0.1:")
    assert whole.kubeconfig.read_bytes() == before
    assert whole.raypod("up", "-o", "json").json["already"] is True


def test_kubeconfig(whole: WholeCluster) -> None:
    assert whole.raypod("kubeconfig").out == f"{whole.kubeconfig}\n"
    assert whole.raypod("kubeconfig", "-o", "json").json == {"path": str(whole.kubeconfig)}
    assert whole.kubeconfig.stat().st_mode & 0o077 == 0, "it holds the administrator's key"


def test_status_is_one_screen(whole: WholeCluster) -> None:
    said = whole.raypod("status")
    assert said.code == 0, said
    assert said.rows[0] == ["NODE", "STATUS", "ADDRESS", "PODS", "CPUS", "MEMORY", "GPUS"]
    assert said.rows[1][:2] == [whole.node, "Ready"]
    assert said.out.endswith("healthy\n")
    assert len(said.rows) < 50
    actors = whole.raypod("status", "-o", "json").json["actors"]
    assert {actor["name"] for actor in actors} >= {"raypod-store", "raypod-gateway", f"raypod-nodelet-{whole.node}"}
    assert all(actor["alive"] for actor in actors)


@pytest.mark.parametrize(
    ("words", "code", "out", "told"),
    [
        (["echo", "hello"], 0, "hello\n", ""),
        (["sh", "-c", "echo out; echo err >&2; exit 7"], 7, "err\nout\n", "exited with code 7"),
        (["no-such-command"], 127, "", "executable file not found in $PATH"),
        (["/etc/hostname"], 126, "", "permission denied"),
    ],
    ids=["zero", "seven", "no such command", "no permission"],
)
def test_run_exits_as_the_container_did(whole: WholeCluster, words: list[str], code: int, out: str, told: str) -> None:
    said = whole.raypod("run", "host", "--", *words)
    assert (said.code, "".join(sorted(said.out.splitlines(keepends=True)))) == (code, out), said
    assert told in said.err
    assert "Traceback" not in said.err


def test_run_with_every_option(whole: WholeCluster, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("text")
    script = "echo $GREETING $PASSED $(pwd) $(cat /data/in); touch /data/x 2>/dev/null || echo read-only"
    said = whole.raypod(
        *("run", "host", "--name", "all-options", "--replicas", "2", "--cpus", "0.1", "--memory", "64Mi"),
        *("-e", "GREETING=hi", "-e", "PASSED", "-v", f"{tmp_path}:/data:ro", "-w", "/usr", "-o", "json"),
        *("--", "sh", "-c", script),
        env={"PASSED": "through"},
    )
    assert said.code == 0, said
    *lines, end = (json.loads(line) for line in said.out.splitlines())
    assert (end["name"], end["phase"], end["exit_codes"]) == ("all-options", "Succeeded", [0, 0])
    each = ["hi through /usr text", "read-only"]
    assert sorted(line["line"] for line in lines) == sorted(f"[{i}] {line}" for i in range(2) for line in each)
    rows = {row[0]: row for row in whole.raypod("ps").rows}
    assert rows["all-options"][1:6] == ["host", "Succeeded", "2/2", "0", "0"]


def test_detach_follow_and_stop(whole: WholeCluster) -> None:
    said = whole.raypod("run", "host", "--detach", "--name", "detached", "--", "sh", "-c", TICKING)
    assert (said.code, said.out) == (0, "detached\n")
    with whole.started("raypod", "logs", "-f", "detached") as following:
        assert following.stdout is not None
        assert [following.stdout.readline() for _ in range(3)] == ["tick 0\n", "tick 1\n", "tick 2\n"]
        assert whole.raypod("stop", "detached").out == "detached\n"
        assert following.wait(20) in (0, 1)
        assert following.stderr is not None
        assert "Traceback" not in following.stderr.read()
    assert "detached" not in whole.raypod("ps").out
    named = whole.raypod("run", "host", "-d", "-o", "json", "--", "true").json["name"]
    lines = whole.raypod("logs", "-f", "-o", "json", named).out
    assert [json.loads(line) for line in lines.splitlines()] == []
    assert whole.raypod("stop", "-o", "json", named).json == {"stopped": [named]}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_stops_the_run_and_leaves_nothing(whole: WholeCluster, number: signal.Signals) -> None:
    name = f"stopped-by-{number.value}"
    with whole.started("raypod", "run", "host", "--replicas", "2", "--name", name, "--", "sh", "-c", TICKING) as run:
        assert run.stdout is not None
        assert "tick 0" in run.stdout.readline()
        run.send_signal(number)
        _, told = run.communicate(timeout=50)
    assert (run.returncode, "Traceback" in told) == (130, False), told
    assert f"stopping {name}" in told
    assert whole.pods(f"raypod.io/run={name}") == []
    assert name not in whole.raypod("ps").out


def test_ctrl_c_stops_what_has_not_begun(whole: WholeCluster) -> None:
    with whole.started("raypod", "run", "host", "--gpus", "1", "--name", "never", "--", "true") as run:
        assert run.stderr is not None
        told = run.stderr.readline()
        assert "never is pending: 0/1 nodes are available: 1 Insufficient nvidia.com/gpu" in told
        shown = whole.raypod("status").out
        assert "pending default/never-0-" in shown
        assert "Insufficient nvidia.com/gpu" in shown
        run.send_signal(signal.SIGINT)
        assert run.wait(30) == 130
    assert whole.pods("raypod.io/run=never") == []


def test_a_reader_that_goes_away_is_no_failure_of_ours(whole: WholeCluster) -> None:
    whole.raypod("run", "host", "--name", "long", "--", "seq", "50000")
    shell = f"{BIN}/raypod logs long | head -2"
    done = subprocess.run(
        ["bash", "-c", shell], env=whole.environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == ("1\n2\n", "")
    lines = whole.raypod("logs", "long").out.splitlines()
    assert (len(lines), lines[-1]) == (50_000, "50000")


def test_a_run_whose_reader_goes_away_goes_on_and_says_so(whole: WholeCluster) -> None:
    shell = f"{BIN}/raypod run host --name unread -- sh -c '{TICKING}' | head -1"
    done = subprocess.run(
        ["bash", "-c", shell], env=whole.environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr == (
        "raypod: nobody reads its output; it goes on: `raypod logs -f unread`, `raypod stop unread`\n"
    )
    assert whole.raypod("stop", "unread").code == 0


def test_a_kubeconfig_that_was_copied_here_leads_to_its_cluster(whole: WholeCluster, tmp_path: Path) -> None:
    (tmp_path / "kubeconfig").write_bytes(whole.kubeconfig.read_bytes())
    said = whole.raypod("status", env={"RAYPOD_HOME": str(tmp_path)})
    assert said.out.endswith("healthy\n"), said


def test_images_are_pulled_listed_loaded_and_removed(whole: WholeCluster, images: Registry, tmp_path: Path) -> None:
    reference = images.push("cli", files={**host_programs("sh", "cat"), "etc/motd": b"welcome"})
    said = whole.raypod("image", "pull", reference)
    assert said.out == f"{whole.node}: pull {reference} done\n"
    assert reference in whole.raypod("image", "ls").out
    listed = whole.raypod("image", "ls", "-o", "json", "--node", whole.node).json[whole.node]
    assert reference in [tag for image in listed for tag in image["tags"]]
    assert whole.raypod("run", reference, "--", "cat", "/etc/motd").out == "welcome\n"

    archive = tmp_path / "saved.tar"
    copy = [
        "skopeo",
        "copy",
        "-q",
        "--src-tls-verify=false",
        f"docker://{reference}",
        f"oci-archive:{archive}:loaded:1",
    ]
    subprocess.run(copy, check=True, timeout=60)
    assert whole.raypod("image", "load", str(archive), "-o", "json").json[whole.node]
    assert whole.raypod("image", "rm", reference).code == 0
    assert reference not in whole.raypod("image", "ls").out
    told = whole.raypod("image", "rm", reference).complaint
    assert told == f'{whole.node}: there is no image "{reference}" on this node'


@pytest.mark.parametrize(
    "words",
    [["no-such"], ["run"], ["run", "host", "--replicas", "many"], ["run", "--no-such", "host"], ["stop"],
     ["status", "-o", "xml"]],
    ids=" ".join,
)  # fmt: skip
def test_a_wrong_command_line_is_answered_in_a_sentence(whole: WholeCluster, words: list[str]) -> None:
    said = whole.raypod(*words)
    assert (said.code, said.out, len(said.err.splitlines())) == (2, "", 1), said
    assert said.err.startswith("raypod: ")
    assert "Value error" not in said.err


def test_json_lines_come_as_they_are_written(whole: WholeCluster) -> None:
    with whole.started("raypod", "run", "host", "-o", "json", "--", "sh", "-c", TICKING) as running:
        assert running.stdout is not None
        assert [json.loads(running.stdout.readline()) for _ in range(2)] == [{"line": "tick 0"}, {"line": "tick 1"}]
        assert running.poll() is None
        running.send_signal(signal.SIGINT)
        assert running.wait(60) == 130


def test_an_image_that_never_comes_is_given_up(whole: WholeCluster) -> None:
    words = ("run", "127.0.0.1:9/no-such:1", "--name", "never", "--timeout", "2")
    for more in ((), ("--detach",)):
        said = whole.raypod(*words, *more, "--", "true")
        assert (said.code, said.out) == (124, ""), said
        assert "raypod: run never has not started after 2 s: " in said.err
        assert "127.0.0.1:9 cannot be reached" in said.err
        assert "it is stopped" in said.err
        assert said.seconds < 30
        assert "never" not in whole.raypod("ps").out


def test_a_run_that_starts_in_time_goes_on_after_it(whole: WholeCluster) -> None:
    said = whole.raypod("run", "host", "--timeout", "20", "--", "sh", "-c", "echo begun; exit 5")
    assert (said.code, said.out) == (5, "begun\n"), said
    began = whole.raypod("run", "host", "--timeout", "20", "-d", "--name", "in-time", "--", "sleep", "100")
    assert (began.code, began.out) == (0, "in-time\n"), began
    assert whole.cluster.get("in-time").status.phase == "Running"
    assert whole.raypod("stop", "in-time").code == 0


@pytest.mark.parametrize("command", ["up", "down", "status", "run", "ps", "logs", "stop", "kubeconfig"])
def test_every_command_explains_itself(whole: WholeCluster, command: str) -> None:
    said = whole.raypod(command, "--help")
    assert (said.code, said.out.startswith(f"Usage: raypod {command}")) == (0, True)
