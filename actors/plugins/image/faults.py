"""What goes wrong with an image, and how it becomes the port's PluginError.

ImageFault
  InvalidName    InvalidImageName      not retryable
  NotPullable    ErrImagePull          not retryable: no such image, not authorized, switched off, wrong platform
  Corrupt        ErrImagePull          not retryable: a digest, a size or a tar is not what it must be
  Unreachable    RegistryUnavailable   retryable
  NoSpace        ErrImagePull          retryable: the disk is full
  Damaged        ImageStoreDamaged     not retryable: the files of the store itself
  NotPresent     ImageNotFound         not retryable
  InUse          ImageInUse            retryable
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from actors.plugins.errors import PluginError


class ImageFault(Exception):
    """The message is for users: it names what was asked for and what to do."""

    reason: ClassVar[str] = "ErrImagePull"
    retryable: ClassVar[bool] = False


class InvalidName(ImageFault):
    reason = "InvalidImageName"


class NotPullable(ImageFault):
    pass


class Corrupt(ImageFault):
    pass


class Unreachable(ImageFault):
    reason = "RegistryUnavailable"
    retryable = True


class NoSpace(ImageFault):
    retryable = True


class Damaged(ImageFault):
    reason = "ImageStoreDamaged"


class NotPresent(ImageFault):
    reason = "ImageNotFound"


class InUse(ImageFault):
    reason = "ImageInUse"
    retryable = True


@contextmanager
def as_plugin_error(verb: str) -> Iterator[None]:
    """Faults and the system's errors leave the block as PluginError("image", verb)."""
    try:
        yield
    except ImageFault as fault:
        raise PluginError("image", verb, fault.reason, str(fault), retryable=fault.retryable) from fault
    except OSError as error:
        raise PluginError("image", verb, "ErrImagePull", describe(error)) from error


def describe(error: OSError) -> str:
    """A sentence for users."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk of the image store is full ({error}): free space or remove images with `raypod image rm`"
    return f"the image store cannot be used: {error}"
