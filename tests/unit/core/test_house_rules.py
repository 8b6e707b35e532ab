"""Rules of the house that no linter knows."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from pydantic import ValidationError
from pydantic_settings import BaseSettings

from services.core import use_case_registry
from services.core.settings import CHECKOUT, Settings
from services.dashboard.settings import DashboardSettings
from services.drift.settings import DriftSettings
from services.gateway.platform.service import PlatformSettings
from services.gateway.settings import GatewaySettings
from services.ingestion.service import IngestionSettings
from services.prediction.settings import PredictionSettings
from services.preprocessing.service import PreprocessingSettings
from services.registry.server import ServerSettings
from services.simulator.settings import SimulatorSettings
from services.training.service import TrainingSettings
from vigie_orchestration.settings import AirflowSettings, OrchestrationSettings

SETTINGS: tuple[type[BaseSettings], ...] = (
    Settings,
    AirflowSettings,
    OrchestrationSettings,
    GatewaySettings,
    DashboardSettings,
    PlatformSettings,
    IngestionSettings,
    PredictionSettings,
    PreprocessingSettings,
    ServerSettings,
    SimulatorSettings,
    TrainingSettings,
    DriftSettings,
)
SERVICES = CHECKOUT / "services"
NAMES = set(use_case_registry.names())


def _generic_sources() -> list[Path]:
    packages = {SERVICES / "use_cases" / name for name in NAMES}
    return [path for path in sorted(SERVICES.rglob("*.py")) if not packages & set(path.parents)]


@pytest.mark.parametrize("path", _generic_sources(), ids=lambda path: path.relative_to(SERVICES).as_posix())
def test_generic_code_names_no_use_case(path: Path) -> None:
    tree = ast.parse(path.read_text())
    named = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and node.value in NAMES]
    assert named == [], f"{path.name} names {named}: what is special about a use case belongs into its package"


def test_every_setting_is_explained_in_the_example_file_with_its_default() -> None:
    lines = (CHECKOUT / ".env.example").read_text()
    explained = dict(re.findall(r"^(?:# )?(VIGIE_[A-Z_]+)=(.*)$", lines, flags=re.MULTILINE))
    declared = {
        _variable(settings, name): _written(info.default)
        for settings in SETTINGS
        for name, info in settings.model_fields.items()
    }
    declared["VIGIE_HOME"] = ""  # its default is a folder of this checkout
    declared["VIGIE_EXTRA_USE_CASES"] = ""
    for_compose_alone = _compose_variables() - declared.keys()  # held by tests/unit/compose
    assert {name: value for name, value in explained.items() if name not in for_compose_alone} == declared


@pytest.mark.parametrize("settings", [item for item in SETTINGS if item is not ServerSettings])
def test_an_empty_variable_is_an_unset_one(settings: type[BaseSettings], monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose hands an unset variable on as an empty one."""
    for name in settings.model_fields:
        monkeypatch.delenv(_variable(settings, name), raising=False)
    unset = settings(_env_file=None)  # type: ignore[call-arg]
    for name in settings.model_fields:
        monkeypatch.setenv(_variable(settings, name), "")
    assert settings(_env_file=None) == unset  # type: ignore[call-arg]


def test_an_empty_password_of_the_registry_does_not_open_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIGIE_REGISTRY_ADMIN_PASSWORD", "")
    with pytest.raises(ValidationError):
        ServerSettings(_env_file=None)  # type: ignore[call-arg]


def _compose_variables() -> set[str]:
    files = (CHECKOUT / "docker-compose.yml", CHECKOUT / "deploy" / "edge" / "domain.yml")
    return {name for file in files for name in re.findall(r"\$\{(\w+)", file.read_text())}


def _variable(settings: type[BaseSettings], name: str) -> str:
    alias = settings.model_fields[name].validation_alias
    return str(alias or f"{settings.model_config.get('env_prefix')}{name.upper()}")


def _written(default: object) -> str:
    return "" if default is None else str(default)


def test_no_file_outgrows_400_lines() -> None:
    long = {
        path.relative_to(CHECKOUT).as_posix(): lines
        for path in SERVICES.rglob("*.py")
        if (lines := path.read_text().count("\n")) > 400
    }
    assert long == {}
