"""Who may do what with the registry, called by MLflow for each request (``authorization_function``).

MLflow lets every user make experiments and models, whatever permission is the default. The reader
may not: only requests that read are his.
"""

from __future__ import annotations

import re
from typing import Any

from flask import make_response, request
from mlflow.server.auth import authenticate_request_basic_auth
from werkzeug.datastructures import Authorization

from services.registry.server import READER

_SEARCH = re.compile(r".*/(ajax-)?api/\d\.\d/mlflow/[a-z/-]+/search|.*/graphql")
"""Where MLflow reads by POST. Its GraphQL has no mutation that writes."""


def authenticate() -> Any:
    """MLflow's own check of name and password; then the reader's limits."""
    caller = authenticate_request_basic_auth()
    if isinstance(caller, Authorization) and caller.username == READER and not reads(request.method, request.path):
        return make_response("This user may only read.", 403)
    return caller


def reads(method: str, path: str) -> bool:
    return method in {"GET", "HEAD", "OPTIONS"} or (method == "POST" and bool(_SEARCH.fullmatch(path)))
