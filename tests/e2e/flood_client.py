"""Many connections that list all pods over and over until stdin ends: PORT CA TOKEN CONNECTIONS. A program of its own,
so that what it costs is not the server's. Tells the codes of the answers in the end.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections import Counter

PORT, CA, TOKEN, CONNECTIONS = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
HEAD = f"GET /api/v1/pods HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nAccept: application/json\r\n\r\n"
codes: Counter[int] = Counter()


async def read_answer(reader: asyncio.StreamReader) -> None:
    """What is left of it, of known length or in chunks."""
    length, chunked = 0, False
    while line := (await reader.readline()).strip().lower():
        if line.startswith(b"content-length:"):
            length = int(line.split()[1])
        chunked = chunked or line == b"transfer-encoding: chunked"
    while chunked:
        size = int(await reader.readline(), 16)
        await reader.readexactly(size + 2)
        chunked = size > 0
    await reader.readexactly(length)


async def flood(context: ssl.SSLContext) -> None:
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", PORT, ssl=context)
            while True:
                writer.write(HEAD.encode())
                codes[int((await reader.readline()).split()[1])] += 1
                await read_answer(reader)
        except (OSError, asyncio.IncompleteReadError, IndexError, ValueError):
            await asyncio.sleep(0.1)


async def main() -> None:
    context = ssl.create_default_context(cafile=CA)
    tasks = [asyncio.create_task(flood(context)) for _ in range(CONNECTIONS)]
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    for task in tasks:
        task.cancel()
    print(dict(codes))


if __name__ == "__main__":
    asyncio.run(main())
