"""Sources of records over HTTP: configure them, run them, and read the reports of their runs."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request
from litestar.response.base import ASGIResponse

from federation.api.answer_links import links
from federation.api.examples import SOURCE
from federation.api.handlers import handles
from federation.api.parameters import DRY_RUN
from federation.domain.draft import read_draft
from federation.domain.errors import Conflict, Invalid, NotFound
from federation.domain.sources.kinds import KINDS
from federation.domain.sources.report import RunReport
from federation.domain.sources.source import (
    AddedSource,
    DisappearedRecord,
    ImportSource,
    SourceChange,
    SourceSettings,
)
from federation.edge.answers import JSON, NO_STORE, answer, json_answer
from federation.edge.operations import Answer, Body, Operation, Right
from federation.edge.query_parameters import is_true
from federation.edge.requests import body_of, caller_of, node_of
from federation.node import source_runs
from federation.node import sources as node_sources

READER, WRITER = Right("sources.read", caller="own"), Right("sources.write", caller="own")
SOURCES = "/v1/sources"
ONE = "/v1/sources/{source:str}"
RUNS = f"{ONE}/runs"


class SourceKind(msgspec.Struct, frozen=True):
    """A kind of sources that this node reads."""

    name: str
    about: str
    polled: bool
    """Whether it has an address; else its files are uploaded, or events are pushed."""


class SourcesView(msgspec.Struct, frozen=True):
    """Every source, by name, and the kinds that there are."""

    sources: tuple[ImportSource, ...]
    kinds: tuple[SourceKind, ...]


class SourceRuns(msgspec.Struct, frozen=True):
    """The last runs of a source, newest first, and the records that it no longer gives."""

    runs: tuple[RunReport, ...]
    disappeared: tuple[DisappearedRecord, ...]


@handles(
    Operation(
        act="sources",
        id="listSources",
        method="GET",
        path=SOURCES,
        right=READER,
        tag="sources",
        answers=(Answer(200, "The sources", {JSON: SourcesView}),),
    )
)
async def list_sources(request: Request[Any, Any, Any]) -> ASGIResponse:
    """List the sources of records, how their last runs went and when the next ones are due."""
    kinds = tuple(SourceKind(name, kind.about, kind.way != "event") for name, kind in KINDS.items())
    return json_answer(SourcesView(await node_sources.all(node_of(request)), kinds), headers=NO_STORE)


@handles(
    Operation(
        act="add_source",
        id="addSource",
        method="POST",
        path=SOURCES,
        right=WRITER,
        tag="sources",
        bodies=(Body(JSON, SourceSettings, SOURCE),),
        answers=(
            Answer(
                201,
                "Added; the secret of a source that is pushed to is shown this once",
                {JSON: AddedSource},
                links=links({"source": "$response.body#/name"}, get="getSource", remove="removeSource"),
            ),
        ),
        errors=(Invalid, Conflict),
    )
)
async def add_source(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Add a source of records: it is polled from now on, or gets a secret that events are pushed with."""
    new = read_draft(await body_of(request), SourceSettings)
    added = await node_sources.add(node_of(request), new, by=caller_of(request))
    return json_answer(added, status=201, headers=NO_STORE)


@handles(
    Operation(
        act="source",
        id="getSource",
        method="GET",
        path=ONE,
        right=READER,
        tag="sources",
        answers=(Answer(200, "The source", {JSON: ImportSource}),),
        errors=(NotFound,),
    )
)
async def get_source(request: Request[Any, Any, Any], source: str) -> ASGIResponse:
    """Get a source: its settings, how its last run went and when the next one is due."""
    return json_answer(await node_sources.find(node_of(request), source), headers=NO_STORE)


@handles(
    Operation(
        act="change_source",
        id="changeSource",
        method="PATCH",
        path=ONE,
        right=WRITER,
        tag="sources",
        bodies=(Body(JSON, SourceChange, {"state": "paused"}),),
        answers=(Answer(200, "The source as it is now", {JSON: ImportSource}),),
        errors=(Invalid, NotFound),
    )
)
async def change_source(request: Request[Any, Any, Any], source: str) -> ASGIResponse:
    """Pause or resume a source, give it another interval, or have it run as soon as possible."""
    change = read_draft(await body_of(request), SourceChange)
    changed = await node_sources.change(node_of(request), source, change, by=caller_of(request))
    return json_answer(changed, headers=NO_STORE)


@handles(
    Operation(
        act="remove_source",
        id="removeSource",
        method="DELETE",
        path=ONE,
        right=WRITER,
        tag="sources",
        answers=(Answer(204, "Removed"),),
        errors=(NotFound,),
    )
)
async def remove_source(request: Request[Any, Any, Any], source: str) -> ASGIResponse:
    """Remove a source and the reports of its runs. Its records stay."""
    await node_sources.remove(node_of(request), source, by=caller_of(request))
    return answer(b"", status=204, headers=NO_STORE)


@handles(
    Operation(
        act="source_runs",
        id="listSourceRuns",
        method="GET",
        path=RUNS,
        right=READER,
        tag="sources",
        answers=(Answer(200, "The runs", {JSON: SourceRuns}),),
        errors=(NotFound,),
    )
)
async def list_source_runs(request: Request[Any, Any, Any], source: str) -> ASGIResponse:
    """List the last runs of a source, without their lines, and the records that it no longer gives."""
    node = node_of(request)
    reports = await node_sources.runs(node, source)
    missing = await node_sources.disappeared(node, source)
    without_lines = tuple(msgspec.structs.replace(report, lines=()) for report in reports)
    return json_answer(SourceRuns(without_lines, missing), headers=NO_STORE)


@handles(
    Operation(
        act="source_run",
        id="getSourceRun",
        method="GET",
        path=f"{RUNS}/{{number:str}}",
        right=READER,
        tag="sources",
        answers=(Answer(200, "The report", {JSON: RunReport}),),
        errors=(NotFound,),
    )
)
async def get_source_run(request: Request[Any, Any, Any], source: str, number: str) -> ASGIResponse:
    """Get the report of a run: what became of each record, and what was not understood."""
    if not number.isascii() or not number.isdigit() or len(number) > 15:
        raise NotFound(
            "there is no run {number} of the source {name}", number=ascii(number)[1:41], name=source
        )
    report = await node_sources.find_run(node_of(request), source, int(number))
    return json_answer(report, headers=NO_STORE)


@handles(
    Operation(
        act="run_source",
        id="runSource",
        method="POST",
        path=RUNS,
        right=WRITER,
        tag="sources",
        parameters=(DRY_RUN,),
        answers=(Answer(200, "The report of the run", {JSON: RunReport}),),
        errors=(Invalid, NotFound, Conflict),
    )
)
async def run_source(request: Request[Any, Any, Any], source: str) -> ASGIResponse:
    """Run a polled source now, and report. With `dry_run` nothing is changed."""
    report = await source_runs.run_now(
        node_of(request), source, by=caller_of(request), dry_run=is_true(request, "dry_run")
    )
    return json_answer(report, headers=NO_STORE)


HANDLERS = (
    list_sources,
    add_source,
    get_source,
    change_source,
    remove_source,
    list_source_runs,
    get_source_run,
    run_source,
)
