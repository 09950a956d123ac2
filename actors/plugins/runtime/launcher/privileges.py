"""What a process may do: seccomp, capabilities, user and groups, in the order in which each is still allowed.

A filter without no_new_privs needs CAP_SYS_ADMIN, so it goes first; the default profile allows all that follows.
"""

from __future__ import annotations

import os

from actors.plugins.runtime.launcher import syscalls as sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from actors.plugins.runtime.launcher.plan import Plan
    from actors.plugins.runtime.launcher.users import User


def read_last_capability() -> int:
    with open("/proc/sys/kernel/cap_last_cap", encoding="ascii") as file:
        return int(file.read())


def apply_privileges(plan: Plan, user: User, last_capability: int, permitted: int) -> None:
    """Irrevocable. A user other than root keeps none of the capabilities across exec, as under Docker."""
    if plan["no_new_privileges"]:
        sys.prctl(sys.PR_SET_NO_NEW_PRIVS, 1)
    if plan["seccomp"]:
        sys.load_seccomp(bytes.fromhex(plan["seccomp"]))
    wanted = plan["capabilities"]
    for number in range(last_capability + 1):
        if not wanted >> number & 1:
            sys.prctl(sys.PR_CAPBSET_DROP, number)
    os.setgroups(user.groups)
    os.setresgid(user.gid, user.gid, user.gid)
    os.setresuid(user.uid, user.uid, user.uid)
    if user.uid == 0:
        held = wanted & permitted
        sys.capset(held, held)


def read_permitted() -> int:
    """The capabilities this process holds: the host may have taken some from us."""
    with open("/proc/self/status", encoding="ascii") as file:
        line = next(line for line in file if line.startswith("CapPrm:"))
    return int(line.split()[1], 16)
