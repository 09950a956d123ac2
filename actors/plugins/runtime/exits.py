"""What an exit means: exit codes and reasons as Kubernetes words them, from what the kernel reports. Pure."""

from __future__ import annotations

COMPLETED, ERROR, OOM_KILLED = "Completed", "Error", "OOMKilled"


def derive_exit_code(wait_status: int) -> int:
    """From a wait(2) status: the code, or 128 + n for death by signal n."""
    signal_number = wait_status & 0x7F
    return 128 + signal_number if signal_number else (wait_status >> 8) & 0xFF


def derive_reason(exit_code: int, oom_kills: int) -> str:
    """`oom_kills`: how often the kernel killed inside the container's memory cgroup."""
    if exit_code == 0:
        return COMPLETED
    return OOM_KILLED if oom_kills else ERROR
