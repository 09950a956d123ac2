"""Where everything of a node's containers lies. Paths only; imported by runtime and launcher alike.

<root>/containers/<id>/    spec.json, exited.json, upper, work, termination     on disk: survives the machine's boot
<root>/sandboxes/<id>/     sandbox.json                                          on disk
<root>/run/                a tmpfs: what cannot outlive the boot anyway, and would cost a disk's latency
    containers/<id>/       plan.json, state.json, exit.json
    sandboxes/<id>/        state.json, mem/: a tmpfs with ns/{net,ipc,uts}, shm/, resolv.conf, hosts, hostname
    view/                  layers that hide parts of the host from containers of the host image
<root>/{launcher.sock,launcher.lock,launcher.log,staging,trash}
"""

from __future__ import annotations


class Layout:
    __slots__ = ("root", "run")

    def __init__(self, root: str) -> None:
        self.root, self.run = root, f"{root}/run"

    def container(self, container_id: str) -> str:
        return f"{self.root}/containers/{container_id}"

    def container_run(self, container_id: str) -> str:
        return f"{self.run}/containers/{container_id}"

    def sandbox(self, sandbox_id: str) -> str:
        return f"{self.root}/sandboxes/{sandbox_id}"

    def sandbox_run(self, sandbox_id: str) -> str:
        return f"{self.run}/sandboxes/{sandbox_id}"

    def namespace(self, sandbox_id: str, kind: str) -> str:
        return f"{self.sandbox_mem(sandbox_id)}/ns/{kind}"

    def sandbox_mem(self, sandbox_id: str) -> str:
        """Mounts of namespaces are inside this mount: one unmount, which waits for the whole kernel, takes all."""
        return f"{self.run}/sandboxes/{sandbox_id}/mem"

    @property
    def socket(self) -> str:
        return f"{self.root}/launcher.sock"

    @property
    def staging(self) -> str:
        """An empty directory: each container's root is attached here in its own mount namespace."""
        return f"{self.root}/staging"

    @property
    def view(self) -> str:
        """Layers over the node's own root that hide what containers of the host image must not see.

        On the tmpfs, for overlayfs refuses a lower layer that lies inside another.
        """
        return f"{self.run}/view"

    @property
    def trash(self) -> str:
        return f"{self.root}/trash"
