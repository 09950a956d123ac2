"""PodExecOptions, PodAttachOptions and PodPortForwardOptions as they come in a query. Pure."""

from __future__ import annotations

import msgspec

from actors.api.errors import BadRequest
from actors.gateway.options import Query, flag_of, text_of

PORT_MAX = 65_535


class StreamOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Of a terminal there is no stderr."""

    container: str = ""
    command: tuple[str, ...] = ()
    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    tty: bool = False


def parse_exec(query: Query) -> StreamOptions:
    """Raises BadRequest. Where nothing is said of stdout and stderr there are none (core/v1 PodExecOptions)."""
    options = parse_attach(query)
    command = tuple(query.get("command", ()))
    if not command:
        raise BadRequest("you must specify at least one command for the container")
    return msgspec.structs.replace(options, command=command)


def parse_attach(query: Query) -> StreamOptions:
    """Raises BadRequest."""
    tty = flag_of(query, "tty")
    options = StreamOptions(
        container=text_of(query, "container"),
        stdin=flag_of(query, "stdin"),
        stdout=flag_of(query, "stdout"),
        stderr=flag_of(query, "stderr") and not tty,
        tty=tty,
    )
    if not (options.stdin or options.stdout or options.stderr):
        raise BadRequest("you must specify at least 1 of stdin, stdout, stderr")
    return options


def parse_ports(query: Query) -> tuple[int, ...]:
    """Of `ports=80&ports=443` or `ports=80,443`, each once or more. Raises BadRequest."""
    found = []
    for word in ",".join(query.get("ports", ())).split(",") if "ports" in query else ():
        if not (word.isascii() and word.isdigit() and len(word) <= 5 and 1 <= int(word) <= PORT_MAX):
            raise BadRequest(f'invalid port "{word[:20]}": must be between 1 and {PORT_MAX}')
        found.append(int(word))
    return tuple(found)
