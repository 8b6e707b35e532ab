"""The tiny use case as one of the platform's."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from services.core import use_case_registry
from services.core.contract.use_case import UseCase


@contextlib.contextmanager
def toy_declared() -> Iterator[UseCase]:
    """Until the end the registry, and every process that is started, knows the toy use case."""
    with contextlib.ExitStack() as stack:
        stack.callback(_forget)
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("VIGIE_EXTRA_USE_CASES", "tests.toy")
        _forget()
        yield use_case_registry.get("toy")


def _forget() -> None:
    use_case_registry.packages.cache_clear()
    use_case_registry.get.cache_clear()
