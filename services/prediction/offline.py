"""The service's answers without the service: one bundle, loaded now, for the command line."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from services.core.home import Home
from services.core.registry.client import Registry
from services.core.registry.version import CHAMPION
from services.core.usecases.contract import UseCase
from services.prediction.answering import Answering
from services.prediction.context import own_context
from services.prediction.counters import Counters
from services.prediction.models import Model
from services.prediction.settings import settings
from services.prediction.slots import Slot
from services.prediction.store import Registered, Store


def offline_answering(home: Home, use_case: UseCase) -> Answering:
    """Answers from the champion of the registry; from the baseline where there is none.

    Raises:
        VigieError: the registry cannot be read or the champion's bundle is damaged.
    """
    chosen = settings()
    slot = Slot(chosen.prediction_confirmed_seconds)
    registry = Registry.open(home)
    champion = registry.by_alias(use_case.name, CHAMPION)
    if champion is not None:
        bundle = Store(home.serving(use_case.name)).install(
            champion.bundle_hash, lambda incoming: registry.download_unverified(champion, incoming)
        )
        slot.swap(Model(use_case, bundle, Registered.of(champion)), confirmed=True)
    context = own_context(use_case, chosen)
    context.start()
    return Answering(use_case, slot, context, Counters(CollectorRegistry()), chosen.prediction_batch_rows)
