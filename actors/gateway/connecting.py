"""What admission is shown of a connection (exec, attach, port-forward, proxy): its options, as an object. Pure.

core/v1 PodExecOptions and their like, as they come in the path and the query of the request.
"""

from __future__ import annotations

from actors.admission.request import shape_of
from actors.api.codec import Object
from actors.api.kinds import Kind
from actors.gateway.options import Query, flag_of, text_of
from actors.gateway.target import Target

#: Subresources that are connected to, whatever the method is.
CONNECTIONS = frozenset({"attach", "exec", "portforward", "proxy"})
_FLAGS = ("stdin", "stdout", "stderr", "tty")


def connection_options(kind: Kind, target: Target, query: Query) -> Object:
    options: Object = {"kind": shape_of(kind, target.subresource).kind, "apiVersion": "v1"}
    match target.subresource:
        case "exec" | "attach":
            options |= {name: True for name in _FLAGS if flag_of(query, name)}
            if container := text_of(query, "container"):
                options["container"] = container
            if command := query.get("command"):
                options["command"] = list(command)
        case "portforward":
            words = ",".join(query.get("ports", ())).split(",")
            if ports := [int(word) for word in words if word.isascii() and word.isdigit()]:
                options["ports"] = ports
        case "proxy":
            _, _, rest = target.path.partition("/proxy")
            options["path"] = rest or "/"
    return options
