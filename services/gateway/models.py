"""What the registry knows of a use case's models, by its REST API: MLflow's client would bring hundreds of megabytes
into a process that only wants to read a list."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import httpx

from services.core.errors import UnavailableError
from services.core.registry.client import Registry
from services.core.registry.version import Version, from_mlflow
from services.core.settings import Settings

SECONDS = 5.0
_AWAY = "See that it runs, and VIGIE_REGISTRY_URL and MLFLOW_TRACKING_USERNAME with its password."


def versions_of(settings: Settings, use_case: str) -> list[Version]:
    """All versions, newest first, with their aliases.

    Raises:
        UnavailableError: the registry does not answer, or not as it should.
    """
    if settings.registry_url is None:
        return Registry(settings).versions(use_case)
    user = (os.environ.get("MLFLOW_TRACKING_USERNAME", ""), os.environ.get("MLFLOW_TRACKING_PASSWORD", ""))
    try:
        with httpx.Client(
            base_url=settings.registry_url.rstrip("/") + "/api/2.0/mlflow",
            auth=user if user[0] else None,
            timeout=SECONDS,
            trust_env=False,
        ) as client:
            model = client.get("/registered-models/get", params={"name": use_case})
            if model.status_code == 404:
                return []
            aliases = model.raise_for_status().json()["registered_model"].get("aliases", [])
            found = _all_versions(client, use_case)
    except (httpx.HTTPError, ValueError, KeyError) as error:
        status = error.response.status_code if isinstance(error, httpx.HTTPStatusError) else type(error).__name__
        raise UnavailableError(f"The model registry does not answer as it should ({status}).", action=_AWAY) from None
    named: dict[str, list[str]] = {}
    for alias in aliases:
        named.setdefault(str(alias["version"]), []).append(str(alias["alias"]))
    versions = [_version(item, sorted(named.get(str(item["version"]), []))) for item in found]
    return sorted(versions, key=lambda version: -version.number)


def described(version: Version) -> dict[str, Any]:
    names = ("number", "aliases", "created", "simulated", "bundle_hash", "run_id", "metrics", "tags")
    return {name: getattr(version, name) for name in names}


def _all_versions(client: httpx.Client, use_case: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    params = {"filter": f"name = '{use_case}'", "max_results": "1000"}
    while True:
        page = client.get("/model-versions/search", params=params).raise_for_status().json()
        found += page.get("model_versions", [])
        if not page.get("next_page_token"):
            return found
        params["page_token"] = page["next_page_token"]


def _version(item: dict[str, Any], aliases: list[str]) -> Version:
    return from_mlflow(
        SimpleNamespace(
            name=item["name"],
            version=item["version"],
            run_id=item.get("run_id"),
            source=item.get("source"),
            tags={tag["key"]: tag["value"] for tag in item.get("tags", [])},
            aliases=aliases,
        )
    )
