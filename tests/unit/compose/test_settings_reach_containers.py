"""What can be set in .env reaches the containers: Compose passes on exactly what each service's settings know."""

from __future__ import annotations

import importlib
import sys

import pytest
from pydantic_settings import BaseSettings

from services.core.settings import CHECKOUT
from services.drift.settings import DriftSettings
from services.gateway.settings import GatewaySettings
from services.ingestion.service import IngestionSettings
from services.prediction.settings import PredictionSettings
from services.preprocessing.service import PreprocessingSettings
from services.registry.server import ServerSettings
from services.simulator.settings import SimulatorSettings
from services.training.service import TrainingSettings
from tests.unit.compose.platform import Platform

sys.path.append(str(CHECKOUT / "airflow" / "plugins"))
orchestration = importlib.import_module("vigie_orchestration.settings")
AirflowSettings, OrchestrationSettings = orchestration.AirflowSettings, orchestration.OrchestrationSettings

READ_BY: dict[str, tuple[type[BaseSettings], ...]] = {
    "prediction": (PredictionSettings,),
    "gateway": (GatewaySettings,),
    "ingestion": (IngestionSettings,),
    "preprocessing": (PreprocessingSettings,),
    "training": (TrainingSettings,),
    "drift": (DriftSettings,),
    "simulator": (SimulatorSettings,),
    "registry": (ServerSettings,),
    "airflow-api": (AirflowSettings,),
    "airflow-scheduler": (AirflowSettings, OrchestrationSettings),
    "airflow-triggerer": (AirflowSettings, OrchestrationSettings),
    "airflow-dag-processor": (AirflowSettings, OrchestrationSettings),
}
FIXED = {
    "VIGIE_HOME",  # the image says where
    "VIGIE_PREDICTION_ACCESS",  # always required here
    "VIGIE_REGISTRY_AUTH_BACKEND",  # in the registry's own database
}
"""Nobody sets these here. Ports are the images' own as well."""
FOR_ITS_API_SERVER = {"VIGIE_AIRFLOW_USER", "VIGIE_AIRFLOW_PASSWORD", "VIGIE_AIRFLOW_OPERATOR_PASSWORD"}


def known(settings: type[BaseSettings]) -> set[str]:
    prefix = settings.model_config.get("env_prefix") or ""
    names = {str(info.validation_alias or f"{prefix}{name.upper()}") for name, info in settings.model_fields.items()}
    return {name for name in names - FIXED if not name.endswith("_PORT")}


@pytest.mark.parametrize("name", READ_BY)
def test_every_setting_of_a_service_is_given_or_passed_on(platform: Platform, name: str) -> None:
    given = set(platform.services[name]["environment"])
    settings = set().union(*map(known, READ_BY[name]))
    if name.startswith("airflow") and name != "airflow-api":
        settings -= FOR_ITS_API_SERVER
    assert settings - given == set()
