"""A node that answers its peers and follows none: the processor time of a moment is that of its answers.

    python -m bench.answering_node

The settings are those of ``federation serve``, and so is everything but the sync loop. Following hundreds of
peers takes as much processor time in half a second as telling all of them a record, and not always the same.
"""

from __future__ import annotations

import asyncio
import os

from federation.domain.exposure.coverage import read_register
from federation.server.app import application
from federation.server.local_node import database
from federation.server.serve import collect_less, listening_server
from federation.settings import environment
from federation.store import schema


async def _main() -> None:
    settings = environment.read(os.environ)
    async with database(settings, exclusive=True) as dsn:
        await schema.check(dsn, settings.operator)
        app = application(settings, dsn, sync=False)
        read_register()
        collect_less()
        await listening_server(app, settings).serve()


if __name__ == "__main__":
    asyncio.run(_main())
