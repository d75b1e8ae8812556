"""A node that does little else than have a PostgreSQL; run as a process of its own, to be killed.

    python node_process.py DIRECTORY {serve|command} [CACHE]

It prints `ready DSN`, then `kept N` for every row it has committed, until its standard input ends; then it
leaves properly and prints `left`. Refused, it prints `refused CLASS: message`.
"""

import asyncio
import os
import sys
import threading
from pathlib import Path

import asyncpg

from federation.postgres import errors, programs, server


async def main() -> None:
    directory, doing, *cache = sys.argv[1:]
    if cache:
        programs.CACHE = Path(cache[0])
    # A daemon, so that a node that is refused ends although nobody has closed its input.
    let_go = asyncio.Event()
    told = asyncio.get_running_loop().call_soon_threadsafe
    threading.Thread(target=lambda: (os.read(0, 1), told(let_go.set)), daemon=True).start()
    try:
        async with server.running(Path(directory), exclusive=doing == "serve") as dsn:
            database = await asyncpg.connect(dsn)
            await database.execute("CREATE TABLE IF NOT EXISTS kept (number bigserial)")
            print("ready", dsn, flush=True)
            while not let_go.is_set():
                try:
                    number = await database.fetchval("INSERT INTO kept DEFAULT VALUES RETURNING number")
                    print("kept", number, flush=True)
                except Exception:  # the server fell: asyncpg has many words for it, and we live on
                    database.terminate()
                    await let_go.wait()
                await asyncio.sleep(0.005)
            database.terminate()
        print("left", flush=True)
    except errors.EmbeddedError as error:
        print(f"refused {type(error).__name__}: {error}", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
