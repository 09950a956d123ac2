"""Who a container runs as: `user[:group]` of an image or a pod against the image's own /etc/passwd and /etc/group.

Pure; the rules are those of moby's user.GetExecUser, supplementary groups as Kubernetes' policies Merge and Strict.
"""

from __future__ import annotations


class User:
    __slots__ = ("gid", "groups", "home", "uid")

    def __init__(self, uid: int, gid: int, groups: list[int], home: str) -> None:
        self.uid, self.gid, self.groups, self.home = uid, gid, groups, home


ID_MAX = 0x7FFFFFFF


def resolve_user(words: str, extra_groups: list[int], passwd: bytes, group: bytes, *, strict: bool = False) -> User:
    """`strict`: of no other groups than `extra_groups`. Raises ValueError with a sentence when a name is not in the
    image."""
    user_word, _, group_word = words.partition(":")
    name, uid, gid, home = _find_user(user_word or "0", passwd)
    entries = _entries(group, 4)
    if group_word:
        gid = _find_group(group_word, entries)
    joined = [] if strict else entries
    member_of = [_number(entry[2]) for entry in joined if name and name in entry[3].split(",")]
    groups = sorted({number for number in member_of if 0 <= number <= ID_MAX} | set(extra_groups))
    return User(uid, gid, groups, home or "/")


def _find_user(word: str, passwd: bytes) -> tuple[str, int, int, str]:
    number = _number(word)
    for entry in _entries(passwd, 7):
        if entry[0] == word or (number >= 0 and _number(entry[2]) == number):
            uid, gid = _number(entry[2]), _number(entry[3])
            if not (0 <= uid <= ID_MAX and 0 <= gid <= ID_MAX):
                raise ValueError(f"user {word!r} has an impossible id in the image's /etc/passwd")
            return entry[0], uid, gid, entry[5]
    if not 0 <= number <= ID_MAX:
        raise ValueError(f"unable to find user {word}: no matching entries in the image's /etc/passwd")
    return "", number, 0, ""


def _find_group(word: str, entries: list[list[str]]) -> int:
    number = _number(word)
    for entry in entries:
        if entry[0] == word and 0 <= _number(entry[2]) <= ID_MAX:
            return _number(entry[2])
    if not 0 <= number <= ID_MAX:
        raise ValueError(f"unable to find group {word}: no matching entries in the image's /etc/group")
    return number


def _entries(text: bytes, fields: int) -> list[list[str]]:
    lines = text.decode("utf-8", "replace").splitlines()
    split = [line.split(":") for line in lines if line and not line.startswith("#")]
    return [entry for entry in split if len(entry) >= fields]


def _number(word: str) -> int:
    """-1 for what is no plain decimal number."""
    return int(word) if word.isascii() and word.isdigit() and len(word) <= 12 else -1
