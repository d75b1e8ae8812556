"""The checks that every request passes before its handler, and before anything of its body is decoded.

The right, the types of body and the bound of each operation are in its declaration (``edge/operations.py``).
"""

from __future__ import annotations

from typing import Any

from litestar.datastructures import Headers, State

from federation.api.caller import Presented, Tokens
from federation.api.requests import asks_to_wait
from federation.domain.errors import (
    Forbidden,
    MissingScope,
    Unauthenticated,
)
from federation.domain.visibility import Caller, anonymous
from federation.edge.limits import Limits
from federation.edge.operations import Operation
from federation.edge.query_parameters import read_parameters
from federation.edge.requests import check_size
from federation.edge.shares import Shares


async def admit(operation: Operation, state: State, scope: Any, headers: Headers) -> Caller:
    """Check caller, rate, form, size and right of a request. Raises an error of the domain."""
    tokens: Tokens = state.tokens
    limits: Limits = state.limits
    right = operation.right
    authorization = headers.get("authorization")
    scope["caller"] = caller = anonymous(tokens.operator)
    if right.scope is not None and authorization is not None:
        proofs = tuple(headers.getall("dpop", ()))
        try:
            if operation.waits and asks_to_wait(headers):
                # Before the work of a proof: whoever waits too often already is refused at once.
                shares: Shares = state.shares
                holder = await tokens.holder_again(authorization)
                shares.waits.check_share(limits.caller_name(holder, scope))
            method = scope.get("asked_method", scope["method"])
            caller = await tokens.caller(Presented(authorization, proofs, method, scope["path"]))
            if not operation.reads_groups:
                caller = await tokens.with_groups(caller)
        except Unauthenticated:
            limits.count(caller, scope)  # as of somebody without a token
            raise
        scope["caller"] = caller
    match right.counted:
        case "caller":
            limits.count(caller, scope)
        case "credentials":
            limits.count_credentials(authorization, scope)
    check_size(operation, scope, headers)
    if right.scope is not None:
        if authorization is None and not right.open:
            raise Unauthenticated(
                "a token with the scope {scope} is needed", presented=False, scope=right.scope
            )
        if authorization is not None and right.scope not in caller.scopes:
            raise MissingScope("the token does not carry the scope {scope}", scope=right.scope)
    if right.caller == "own" and not caller.own:
        raise Forbidden("only the operator's own clients may do this")
    if right.caller == "peer" and (caller.own or caller.operator is None):
        raise Forbidden("only a peer may do this")
    read_parameters(operation, scope)
    return caller
