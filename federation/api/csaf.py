"""The operator as a CSAF 2.0 provider: its metadata, its feeds, its advisories and VEX documents."""

from __future__ import annotations

from typing import Any, get_args

from litestar import Request
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse

from federation.api.handlers import handles
from federation.api.parameters import IF_NONE_MATCH
from federation.domain.errors import NotFound, Retracted
from federation.domain.formats.csaf_envelope import sha
from federation.domain.formats.csaf_lists import FeedLabel
from federation.edge.answers import JSON, REVALIDATE, tagged_answer
from federation.edge.operations import ANYONE, Answer, Operation, Right
from federation.edge.requests import caller_of, node_of
from federation.node import csaf, csaf_signatures

PUBLIC_SECONDS = 300
PUBLIC = {"cache-control": f"public, max-age={PUBLIC_SECONDS}"}
TEXT = "text/plain"
KEY_FILE, SIGNATURE = "application/pgp-keys", "application/pgp-signature"
"""Media types of a public key and of a detached signature (RFC 3156)."""
HASHES = ("sha256", "sha512")
"""Hash files beside each document (CSAF 2.0, 7.1.18), by the ending of their names."""
DOCUMENT = {JSON: {"type": "object"}}
NOT_MODIFIED = Answer(304, "You have it")
LABELS: dict[str, FeedLabel] = {label: label for label in get_args(FeedLabel)}
READERS = {kind.plural: Right(f"{kind.plural}.read", open=True) for kind in csaf.KINDS.values()}


@handles(
    Operation(
        act="csaf-metadata",
        id="getCsafMetadata",
        method="GET",
        path="/.well-known/csaf/provider-metadata.json",
        right=ANYONE,
        tag="exports",
        parameters=(IF_NONE_MATCH,),
        answers=(Answer(200, "The metadata (CSAF 2.0, 7.1.7)", DOCUMENT), NOT_MODIFIED),
    )
)
async def provider_metadata(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Find the CSAF documents of this operator: its advisories and VEX documents."""
    return tagged_answer(request, await csaf.metadata(node_of(request)), headers=PUBLIC)


@handles(
    Operation(
        act="csaf-service",
        id="getCsafService",
        method="GET",
        path="/.well-known/csaf/service.json",
        right=ANYONE,
        tag="exports",
        parameters=(IF_NONE_MATCH,),
        answers=(Answer(200, "The service document (RFC 8322)", DOCUMENT), NOT_MODIFIED),
    )
)
async def service_document(request: Request[Any, Any, Any]) -> ASGIResponse:
    """List the ROLIE feeds of CSAF documents."""
    return tagged_answer(request, csaf.service(node_of(request)), headers=PUBLIC)


@handles(
    Operation(
        act="csaf-key",
        id="getCsafKey",
        method="GET",
        path="/.well-known/csaf/openpgp/{file:str}",
        right=ANYONE,
        tag="exports",
        parameters=(IF_NONE_MATCH,),
        answers=(Answer(200, "The key, in ASCII armour", {KEY_FILE: {"type": "string"}}), NOT_MODIFIED),
        errors=(NotFound,),
    )
)
async def public_key(request: Request[Any, Any, Any], file: str) -> ASGIResponse:
    """Get an OpenPGP key of the CSAF documents, which their metadata names (CSAF 2.0, 7.1.20)."""
    body = await csaf_signatures.certificate(node_of(request), file)
    return tagged_answer(request, body, media_type=KEY_FILE, headers=PUBLIC)


@handles(
    Operation(
        act="csaf-feed",
        id="getCsafFeed",
        method="GET",
        path="/csaf/{label:str}/{file:str}",
        right=READERS["incidents"],
        tag="exports",
        parameters=(IF_NONE_MATCH,),
        answers=(Answer(200, "The feed (RFC 8322)", DOCUMENT), NOT_MODIFIED),
        errors=(NotFound,),
    )
)
async def rolie_feed(request: Request[Any, Any, Any], label: str, file: str) -> ASGIResponse:
    """List the CSAF documents of a label that you may see; those of TLP:WHITE without a token."""
    known = _label_of(label)
    if file != f"feed-tlp-{label}.json":
        raise NotFound("there is no such path here")
    made = await csaf.feed(node_of(request), known, by=caller_of(request))
    return tagged_answer(request, made.body, headers=PUBLIC if known == "white" else REVALIDATE)


def _document_of(plural: str) -> HTTPRouteHandler:
    kind = csaf.KINDS[plural]

    @handles(
        Operation(
            act=f"csaf-{kind.type}",
            id=f"getCsafOf{kind.__name__}",
            method="GET",
            path=f"/csaf/{{label:str}}/{plural}/{{key:str}}/{{file:str}}",
            right=READERS[plural],
            tag="exports",
            description="Get a CSAF document as the feed names it; its hash, by `.sha256` or `.sha512` after"
            " its name; or its OpenPGP signature, by `.asc`, where the node signs.",
            parameters=(IF_NONE_MATCH,),
            answers=(
                Answer(
                    200,
                    "The document, its hash or its signature",
                    {**DOCUMENT, TEXT: {"type": "string"}, SIGNATURE: {"type": "string"}},
                ),
                NOT_MODIFIED,
            ),
            errors=(NotFound, Retracted),
        )
    )
    async def document(request: Request[Any, Any, Any], label: str, key: str, file: str) -> ASGIResponse:
        known = _label_of(label)
        made = await csaf.document(node_of(request), kind, key, known, by=caller_of(request))
        headers = PUBLIC if known == "white" else REVALIDATE
        if file == made.name:
            return tagged_answer(request, made.body, headers=headers)
        name, _, algorithm = file.rpartition(".")
        if name == made.name and algorithm == "asc":
            signature = await csaf_signatures.signature(node_of(request), made.body)
            return tagged_answer(request, signature, media_type=SIGNATURE, headers=headers)
        if name != made.name or algorithm not in HASHES:
            raise NotFound("there is no such document that you may see")
        return tagged_answer(request, sha(made.body, algorithm, name), media_type=TEXT, headers=headers)

    return document


def _label_of(name: str) -> FeedLabel:
    """The feed of a path. Raises NotFound."""
    if name not in LABELS:
        raise NotFound("there is no such path here")
    return LABELS[name]


HANDLERS = (provider_metadata, service_document, public_key, rolie_feed, *map(_document_of, csaf.KINDS))
