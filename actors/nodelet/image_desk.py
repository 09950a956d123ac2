"""Answers the image verbs of users on one node. A pull or load goes on between questions.

Asked again with the same words, it tells how far it is. Run by the nodelet's shell over the port that pods use.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import msgspec

from actors.api.errors import ApiError, BadRequest, NotFound, Unavailable
from actors.api.images import ImageProgress, ImageReply, ImageRequest, ImageSummary
from actors.plugins.errors import PluginError
from actors.plugins.image.port import Auth, Image, ImagePort, Progress

_Job = tuple[str, str, str, str, str]


class _Work(msgspec.Struct):
    """A pull or load under way."""

    task: asyncio.Task[list[Image]]
    progress: Progress


class ImageDesk:
    def __init__(self, images: ImagePort) -> None:
        self._images = images
        self._work: dict[_Job, _Work] = {}

    async def answer(self, request: ImageRequest) -> ImageReply:
        """Raises NotFound, BadRequest (trying again does not help), Unavailable (it may)."""
        try:
            match request.verb:
                case "list":
                    return ImageReply(images=_summaries(await self._images.list_images()))
                case "remove":
                    return await self._remove(request.reference)
                case _:
                    return await self._long(request)
        except PluginError as error:
            raise _as_api_error(error) from error

    async def close(self) -> None:
        tasks = [work.task for work in self._work.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _remove(self, reference: str) -> ImageReply:
        image = await self._images.image_status(reference)
        if image is None:
            raise NotFound(f'there is no image "{reference}" on this node')
        await self._images.remove_image(reference)
        return ImageReply(images=_summaries([image]))

    async def _long(self, request: ImageRequest) -> ImageReply:
        job = (request.verb, request.reference, request.path, request.username, request.password)
        work = self._work.get(job) or self._begin(job, request)
        done, _ = await asyncio.wait({work.task}, timeout=request.wait_ms / 1_000)
        if not done:
            return ImageReply(done=False, progress=ImageProgress(**msgspec.structs.asdict(work.progress)))
        self._work.pop(job, None)
        return ImageReply(images=_summaries(work.task.result()))

    def _begin(self, job: _Job, request: ImageRequest) -> _Work:
        work = _Work(asyncio.create_task(self._carry_out(request, job)), Progress("resolving"))
        self._work[job] = work
        return work

    def _carry_out(self, request: ImageRequest, job: _Job) -> Coroutine[Any, Any, list[Image]]:
        def note(progress: Progress) -> None:
            if job in self._work:
                self._work[job].progress = progress

        if request.verb == "load":
            return self._images.load_image(request.path, note)
        return self._pull(request, note)

    async def _pull(self, request: ImageRequest, note: Any) -> list[Image]:
        auth = Auth(request.username, request.password) if request.username else None
        return [await self._images.pull_image(request.reference, auth, note)]


def _summaries(images: list[Image]) -> tuple[ImageSummary, ...]:
    return tuple(
        ImageSummary(id=i.id, tags=i.tags, digests=i.digests, size_bytes=i.size_bytes, pulled_at_ms=i.pulled_at_ms)
        for i in images
    )


def _as_api_error(error: PluginError) -> ApiError:
    return Unavailable(error.message) if error.retryable else BadRequest(error.message)
