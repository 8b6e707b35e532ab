from __future__ import annotations

import pytest
import yaml

from services.core.settings import CHECKOUT
from tests.unit.compose.platform import Platform


@pytest.fixture(scope="session")
def platform() -> Platform:
    """docker-compose.yml as written, before variables are put in."""
    text = (CHECKOUT / "docker-compose.yml").read_text()
    return Platform(text, yaml.safe_load(text))
