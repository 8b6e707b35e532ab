"""Authorizes requests to the registry; called by MLflow for each of them (``authorization_function``).

MLflow lets every user create experiments and models, whatever the default permission is. The reader
may not: only read requests are allowed. Nobody chooses where an experiment's files lie on this machine.
"""

from __future__ import annotations

import re
from typing import Any

from flask import make_response, request
from mlflow.server.auth import authenticate_request_basic_auth
from werkzeug.datastructures import Authorization

from services.core.settings import settings
from services.registry.server import READER, places_well

_SEARCH = re.compile(r".*/(ajax-)?api/\d\.\d/mlflow/[a-z/-]+/search|.*/graphql")
"""Paths that read by POST. MLflow's GraphQL has no mutations that write."""
_CREATE_EXPERIMENT = re.compile(r".*/(ajax-)?api/\d\.\d/mlflow/experiments/create")


def authenticate() -> Any:
    """Run MLflow's check of user name and password, then the reader's restrictions."""
    caller = authenticate_request_basic_auth()
    if isinstance(caller, Authorization) and caller.username == READER and not reads(request.method, request.path):
        return make_response("This user may only read.", 403)
    if (
        request.method == "POST"
        and _CREATE_EXPERIMENT.fullmatch(request.path)
        and not places_well(settings().home, _location())
    ):
        return make_response("The registry itself chooses where an experiment's files lie.", 403)
    return caller


def _location() -> str:
    found = request.get_json(force=True, silent=True)
    return str(found.get("artifact_location") or "") if isinstance(found, dict) else ""


def reads(method: str, path: str) -> bool:
    return method in {"GET", "HEAD", "OPTIONS"} or (method == "POST" and bool(_SEARCH.fullmatch(path)))
