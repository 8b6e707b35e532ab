"""The toy use case."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.core.contract.use_case import UseCase
from tests.toy.declared import toy_declared


@pytest.fixture(autouse=True)
def toy() -> Iterator[UseCase]:
    with toy_declared() as use_case:
        yield use_case
