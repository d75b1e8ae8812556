"""Clients generated from the OpenAPI document of a running node, unedited, and one story for each.

    python -m tests.clients                         all six, as far as this machine can
    python -m tests.clients python go               a family, or a client by its name
    python -m tests.clients --strict --install      all six; installs Node.js, Java and Go where missing

Each client is generated, type-checked strictly together with its story, and runs it:

    token       get an access token (client credentials)
    publish     a solution, a deployment, an operator, a group, a membership and an incident, with typed
                values and moments of an offset (``+02:00`` or ``+00:00``, as the client writes them)
    bulk        five more solutions in one request, as a JSON array
    list        read all solutions to the end, page by page
    patch       the incident's severity, if it is at the state that was published
    412         the same patch again, for the state that is gone
    update      append a line to the incident's timeline
    changes     follow all changes from the beginning, page by page
    exposure    the incident affects the deployment, and nobody has answered
    statement   answer; then the exposure has the answer

Afterwards ``stored.py`` reads the records without any generated client and compares values and moments.
"""
