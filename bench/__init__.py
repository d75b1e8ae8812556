"""`make bench`: the node beside the limit, and beside what one would build or pick instead, in one run.

    __main__.py    the command line
    measuring.py   series, figures, and how noisy the machine was
    report.py      the table, the JSON, the plot, the page in docs/benchmarks
    records.py     realistic records
    sites.py       nodes: real processes over real PostgreSQL; peers of one another
    servers.py     every other process: PostgreSQL that replicates, applications to compare with
    load.py        the load generator, a process of its own
    bare.py        to compare with: ASGI and asyncpg, and nothing else
    usual.py       to compare with: Litestar, SQLAlchemy ORM and structs
    sync.py reading.py writing.py growth.py products.py    the parts

What is compared takes turns: node, other, node, other. A ratio is made within a turn, so that a machine
that is slow for a while is slow for both, and is told with its spread. Nothing here is a test.
"""
