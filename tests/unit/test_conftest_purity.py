"""The guard itself: pure tests cannot reach the world."""

import socket
import subprocess
import sys

import pytest


def test_a_socket_is_refused():
    with pytest.raises(AssertionError, match="touches no Ray"):
        socket.create_connection(("127.0.0.1", 9))


def test_a_process_is_refused():
    with pytest.raises(AssertionError, match="a process started"):
        subprocess.run([sys.executable, "-c", ""], check=False)


def test_ray_is_refused():
    import ray

    with pytest.raises(Exception, match=r"touches no Ray|forbidden|address|resolve"):
        ray.init()
