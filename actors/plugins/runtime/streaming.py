"""What every runtime does alike with a process's streams."""

from __future__ import annotations

import asyncio

from actors.plugins.runtime.errors import runtime_error
from actors.plugins.runtime.port import STDERR, STDOUT, ExecResult, Streams


async def run_to_end(process: Streams, timeout_ms: int, output_bytes_max: int) -> ExecResult:
    """Raises PluginError: DeadlineExceeded."""
    outputs = {STDOUT: bytearray(), STDERR: bytearray()}
    try:
        async with asyncio.timeout(timeout_ms / 1000):
            while (found := await process.read()) is not None:
                channel, data = found
                kept = outputs[channel]
                kept += data[: max(0, output_bytes_max - len(kept))]
            code = await process.wait()
    except TimeoutError as error:
        words = f"the command did not end within {timeout_ms} ms"
        raise runtime_error("exec_sync", "DeadlineExceeded", words, retryable=False) from error
    finally:
        await process.close()
    return ExecResult(exit_code=code, stdout=bytes(outputs[STDOUT]), stderr=bytes(outputs[STDERR]))
