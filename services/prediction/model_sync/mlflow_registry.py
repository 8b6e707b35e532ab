"""Connects to the MLflow registry.

Apart from the rest, because nothing on the request path may import MLflow; also predictions from one bundle without a
server, for the command line."""

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
    """The platform's MLflow registry, which gives up within seconds where it is down: the follower tries
    again. Made in a follower's thread, because MLflow takes seconds to import."""
    from services.core.model_registry.client import ModelRegistry  # noqa: PLC0415

    # The follower says once that the registry is silent; the client would say it at every look.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    return ModelRegistry(settings)


def offline_prediction_service(home: VigiePaths, use_case: UseCase) -> PredictionService:
    """Answers from the champion of the registry; from the baseline where there is none.

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
