import sys

import pytest

from actors.sim import __main__ as command


@pytest.mark.parametrize("seeds", ["0", "-1"])
def test_no_seeds_are_no_success(monkeypatch, capsys, seeds):
    monkeypatch.setattr(sys, "argv", ["sim", "--seeds", seeds])
    with pytest.raises(SystemExit, match="2"):
        command.main()
    assert f"1 or more, not {seeds}" in capsys.readouterr().err
