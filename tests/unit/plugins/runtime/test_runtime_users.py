"""`user[:group]` against the image's own files."""

from __future__ import annotations

import pytest

from actors.plugins.runtime.launcher.users import resolve_user

PASSWD = b"root:x:0:0:root:/root:/bin/sh\n# a comment\nweb:x:33:34:www:/var/www:/bin/false\nbroken line\nhuge:x:4294967295:1::/:\n"
GROUP = b"root:x:0:\nweb:x:34:\nvideo:x:44:web,other\nrender:x:109:web\nbad:x:words:web\n"


@pytest.mark.parametrize(
    ("words", "extra", "found"),
    [
        ("", [], (0, 0, [], "/root")),
        ("root", [], (0, 0, [], "/root")),
        ("web", [], (33, 34, [44, 109], "/var/www")),
        ("33", [7], (33, 34, [7, 44, 109], "/var/www")),
        ("web:video", [], (33, 44, [44, 109], "/var/www")),
        ("1000", [], (1000, 0, [], "/")),
        ("1000:1000", [5, 5], (1000, 1000, [5], "/")),
        ("1000:video", [], (1000, 44, [], "/")),
    ],
)
def test_resolved(words: str, extra: list[int], found: tuple[int, int, list[int], str]) -> None:
    user = resolve_user(words, extra, PASSWD, GROUP)
    assert (user.uid, user.gid, user.groups, user.home) == found


@pytest.mark.parametrize("words", ["nobody", "web:nobody", "99999999999", "-1", "huge", "web:-5", "٣"])
def test_refused_with_a_sentence(words: str) -> None:
    with pytest.raises(ValueError, match="the image's /etc/"):
        resolve_user(words, [], PASSWD, GROUP)


def test_an_image_without_the_files() -> None:
    user = resolve_user("", [], b"", b"")
    assert (user.uid, user.gid, user.home) == (0, 0, "/")


def test_files_of_garbage() -> None:
    garbage = bytes(range(256)) * 10
    assert resolve_user("12", [], garbage, garbage).uid == 12
