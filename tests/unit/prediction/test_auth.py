"""The door stands open where nobody else can reach it, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from services.core.errors import VigieError


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_on_this_machine_alone_the_service_may_be_open(make_service: Callable[..., Any], host: str) -> None:
    service = make_service(settings={"prediction_access": "open", "prediction_host": host})
    assert service.predict()["source"] == "baseline"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "prediction", ""])  # noqa: S104 - refused
def test_where_others_can_reach_it_an_open_service_does_not_start(make_service: Callable[..., Any], host: str) -> None:
    with pytest.raises(VigieError, match="would answer everybody"):
        make_service(settings={"prediction_access": "open", "prediction_host": host})


@pytest.mark.parametrize("missing", ["gateway_url", "service_token"])
def test_a_service_that_could_never_learn_who_may_call_does_not_start(
    make_service: Callable[..., Any], missing: str
) -> None:
    given = {"gateway_url": "http://gateway:8600", "service_token": "s" * 32, "prediction_access": "required"}
    with pytest.raises(VigieError, match=f"VIGIE_{missing.upper()} is not set"):
        make_service(settings={**given, missing: None})
