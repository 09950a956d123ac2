import pytest

from raypod import control
from raypod.errors import ControlPlaneError


@pytest.mark.parametrize("home", ["a-file", "a-file/below", "/proc/nowhere", "x" * 300])
def test_a_home_that_cannot_be_written_is_told_in_a_sentence(monkeypatch, tmp_path, home):
    (tmp_path / "a-file").touch()
    monkeypatch.setenv("RAYPOD_HOME", str(tmp_path / home))
    for act in (control.bring_up, control.take_down):
        with pytest.raises(ControlPlaneError, match=r"name a folder that can be written in \$RAYPOD_HOME"):
            act()


def test_a_users_python_path_does_not_reach_the_control_plane(monkeypatch, tmp_path):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    assert "PYTHONPATH" not in control._environment()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    own = control._environment()["PYTHONPATH"]
    assert own != str(tmp_path)
    assert control.__file__.startswith(own)


def test_a_kubeconfig_without_certificates_beside_it_was_put_there_by_hand(monkeypatch, tmp_path):
    monkeypatch.setenv("RAYPOD_HOME", str(tmp_path))
    assert control.is_ours()
    (tmp_path / "kubeconfig").touch()
    assert not control.is_ours()
    (tmp_path / "pki").mkdir()
    assert control.is_ours()
