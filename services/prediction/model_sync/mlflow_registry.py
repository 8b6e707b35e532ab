"""Connects to the MLflow registry.

A module of its own, because nothing on the request path may import MLflow. Also creates the prediction service that
the command line uses without a server."""

from __future__ import annotations

import logging

from prometheus_client import CollectorRegistry

from services.core.contract.use_case import UseCase
from services.core.model_registry.client import ModelRegistry
from services.core.model_registry.version import CHAMPION
from services.core.paths import VigiePaths
from services.core.settings import Settings
from services.prediction.inference.prediction_service import PredictionService
from services.prediction.inference.served_model import LoadedModel, ModelSlot, create_context_source
from services.prediction.metrics import PredictionMetrics
from services.prediction.model_sync.bundle_cache import BundleCache, CachedBundle, RegistryClient
from services.prediction.settings import settings


def connect_registry(settings: Settings) -> RegistryClient:
    """Create a client of the MLflow registry that fails within seconds if the registry is down; the watcher retries.
    Called in the watcher's thread, because importing MLflow takes seconds."""
    from services.core.model_registry.client import ModelRegistry  # noqa: PLC0415

    # The watcher logs once that the registry is unavailable; the client would log it at every poll.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    return ModelRegistry(settings)


def offline_prediction_service(home: VigiePaths, use_case: UseCase) -> PredictionService:
    """Create a prediction service with the registry's champion, or with the baseline if there is none.

    Raises:
        VigieError: the registry cannot be read or the champion's bundle is damaged.
    """
    chosen = settings()
    slot = ModelSlot(chosen.prediction_confirmed_seconds)
    registry = ModelRegistry.open(home)
    champion = registry.by_alias(use_case.name, CHAMPION)
    if champion is not None:
        bundle = BundleCache(home.serving(use_case.name)).install(
            champion.bundle_hash, lambda incoming: registry.download_unverified(champion, incoming)
        )
        slot.swap(LoadedModel(use_case, bundle, CachedBundle.of(champion)), confirmed=True)
    context = create_context_source(use_case, chosen)
    context.start()
    return PredictionService(
        use_case, slot, context, PredictionMetrics(CollectorRegistry()), chosen.prediction_batch_rows
    )
