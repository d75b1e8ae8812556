"""A process that writes to the audit trail, to be killed; it prints how many transactions it committed.

python -m tests.audit.writer_process DSN NAME
"""

from __future__ import annotations

import asyncio
import sys

from federation.node import audit
from tests.nodes import a_node


async def main(dsn: str, name: str) -> None:
    async with a_node("arnia", dsn) as node:
        done = 0
        while True:
            async with node.store.write() as tx:
                for part in range(2):
                    await tx.audit.note(
                        "client.added", actor="operator", subject=name, detail={"i": 2 * done + part}
                    )
            done += 1
            print(done, flush=True)
            if done % 5 == 0:
                await audit.sign_audit_checkpoint(node)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
