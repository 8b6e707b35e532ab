"""Polls the registry's ``champion`` alias of one use case in a background thread.

A new champion is downloaded, verified, warmed up and swapped in."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable
from datetime import datetime

import structlog

from services.core.background import PeriodicThread
from services.core.bundle.manifest import VerifiedBundle
from services.core.contract.use_case import UseCase
from services.core.headers import TRAFFIC_TYPES
from services.core.model_registry.version import CHAMPION
from services.prediction.inference.served_model import LoadedModel, ModelSlot
from services.prediction.metrics import PredictionMetrics
from services.prediction.model_sync.bundle_cache import (
    BundleCache,
    CachedBundle,
    RegistryClient,
    RegistryClientFactory,
    RegistryVersion,
)

log = structlog.get_logger(__name__)

MIN_RETRY_SECONDS, MAX_RETRY_SECONDS = 5.0, 300.0

ModelLoader = Callable[[UseCase, VerifiedBundle, CachedBundle], LoadedModel]


class ModelWatcher:
    """``start`` loads the last good bundle from disk and then polls; ``poll`` checks the alias once."""

    def __init__(
        self,
        use_case: UseCase,
        slot: ModelSlot,
        store: BundleCache,
        champions: RegistryClientFactory,
        counters: PredictionMetrics,
        *,
        seconds: float,
        load: ModelLoader = LoadedModel,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._use_case = use_case
        self._slot = slot
        self._store = store
        self._make_champions = champions
        self._champions: RegistryClient | None = None
        self._counters = counters
        self._load = load
        self._clock = clock
        self._disk_done = threading.Event()
        self._registry_unavailable = False
        self._prepared: LoadedModel | None = None
        for origin in ("disk", "registry", "explainer"):  # at zero, so that the first failure is an increase
            counters.load_failures.labels(use_case.name, origin)
        for counter in (counters.swaps, counters.swap_seconds, counters.registry_failures):
            counter.labels(use_case.name)
        self._refused: dict[str, tuple[int, float]] = {}
        """Version -> number of failed loads, and time of the next attempt."""
        self._thread = PeriodicThread(f"champion-{use_case.name}", self._turn, seconds)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end; a registry call in progress is not waited for."""
        self._thread.stop()

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)

    def wait_for_disk(self, seconds: float) -> bool:
        """Wait up to ``seconds``; True once the bundle on disk is loaded or known to be unusable or absent."""
        return self._disk_done.wait(seconds)

    def _turn(self) -> None:
        if not self._disk_done.is_set():
            try:
                self.load_from_disk()
            finally:
                self._disk_done.set()
        before = self._prepared
        self.poll()
        if self._prepared is not before:
            # Models and libraries are permanent: exclude them from garbage collection.
            gc.freeze()

    def load_from_disk(self) -> None:
        """Serve the newest valid bundle on disk."""
        for kept in self._kept():
            try:
                model = self._loaded(self._store.verified(kept.hash), kept)
            except Exception as error:  # noqa: BLE001 - whatever is wrong with it, the next one may be valid
                self._refuse("disk", kept.version, error)
                continue
            self._serve(model, confirmed=False)
            return

    def poll(self) -> None:
        """Check the alias once. Never raises: failures are logged, counted and retried."""
        try:
            if self._champions is None:
                self._champions = self._make_champions()
            version = self._champions.by_alias(self._use_case.name, CHAMPION)
        except Exception as error:  # noqa: BLE001 - any registry failure: continue with the current model
            self._counters.registry_failures.labels(self._use_case.name).inc()
            if not self._registry_unavailable:
                log.warning("registry silent", use_case=self._use_case.name, error=_error_text(error))
            self._registry_unavailable = True
        else:
            self._handle_version(version)
        self._report()
        self._prepare()

    def _handle_version(self, version: RegistryVersion | None) -> None:
        if self._registry_unavailable:
            log.info("registry answers again", use_case=self._use_case.name)
        self._registry_unavailable = False
        if version is not None:
            number = str(version.number)
            model = self._slot.serving.model
            if model is not None and model.hash == version.bundle_hash and model.version == number:
                self._slot.mark_confirmed()
            elif self._retry_allowed(number):
                self._follow(version)

    def _prepare(self) -> None:
        """Load the explainer of the served model, once."""
        model = self._slot.serving.model
        if model is None or model is self._prepared:
            return
        self._prepared = model
        try:
            model.explainer()
        except Exception as error:  # noqa: BLE001 - predictions do not need the explainer
            self._counters.load_failures.labels(self._use_case.name, "explainer").inc()
            log.error("no explanations", use_case=self._use_case.name, version=model.version, error=_error_text(error))

    def _follow(self, version: RegistryVersion) -> None:
        """Download, verify, load, warm up and swap. The old model serves until the swap."""
        began = time.perf_counter()
        number = str(version.number)
        champions = self._champions
        assert champions is not None
        try:
            registered = CachedBundle.of(version)
            bundle = self._store.install(registered.hash, lambda folder: champions.download_unverified(version, folder))
            model = self._loaded(bundle, registered)
        except Exception as error:  # noqa: BLE001 - a bundle can fail in any way; the old model stays
            times = self._refused.get(number, (0, 0.0))[0]
            wait = min(MIN_RETRY_SECONDS * 2**times, MAX_RETRY_SECONDS)
            self._refused[number] = (times + 1, self._clock() + wait)
            self._refuse("registry", number, error)
            return
        self._refused.clear()
        self._serve(model, confirmed=True)
        self._counters.swap_seconds.labels(self._use_case.name).observe(time.perf_counter() - began)
        try:
            self._store.commit(registered)
        except OSError as error:
            log.error("cannot remember the bundle on disk", use_case=self._use_case.name, error=_error_text(error))

    def _loaded(self, bundle: VerifiedBundle, registered: CachedBundle) -> LoadedModel:
        model = self._load(self._use_case, bundle, registered)
        model.warm()
        return model

    def _serve(self, model: LoadedModel, *, confirmed: bool) -> None:
        for kind in TRAFFIC_TYPES:  # at zero, so that the first failure is an increase
            self._counters.failures.labels(self._use_case.name, model.version, kind)
        self._slot.swap(model, confirmed=confirmed)
        self._counters.swaps.labels(self._use_case.name).inc()
        log.info(
            "model in service",
            use_case=self._use_case.name,
            version=model.version,
            bundle=model.hash[:12],
            origin="registry" if confirmed else "disk",
        )

    def _kept(self) -> list[CachedBundle]:
        try:
            return self._store.kept()
        except OSError as error:
            log.error("cannot read the bundles on disk", use_case=self._use_case.name, error=_error_text(error))
            return []

    def _retry_allowed(self, number: str) -> bool:
        return self._clock() >= self._refused.get(number, (0, 0.0))[1]

    def _refuse(self, origin: str, version: str, error: Exception) -> None:
        self._counters.load_failures.labels(self._use_case.name, origin).inc()
        log.error(
            "bundle refused", use_case=self._use_case.name, version=version, origin=origin, error=_error_text(error)
        )

    def _report(self) -> None:
        serving = self._slot.serving
        name = self._use_case.name
        self._counters.registry_confirmed.labels(name).set(self._slot.source(serving) == "champion")
        if serving.model is not None:
            created = datetime.fromisoformat(serving.model.created).timestamp()
            self._counters.model_created.labels(name).set(created)
            self._counters.model_age.labels(name).set(max(0.0, time.time() - created))


def _error_text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:500]
