"""The served model: loaded and warmed bundle, input checks, swap slot and context source."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

import structlog

from services.core.auth.snapshot import Withdrawal
from services.core.bundle.manifest import VerifiedBundle
from services.core.bundle.predictor import Predictor, to_scalars
from services.core.contract.columns import column_types, from_rows
from services.core.contract.fields import image_fields, is_ahead
from services.core.contract.image_decoding import decode_fields
from services.core.contract.use_case import Columns, ContextSource, TargetPrediction, UseCase, example_request
from services.core.errors import VigieError
from services.core.settings import Settings
from services.prediction.api.schemas import PredictionSource, finite_model
from services.prediction.inference.explainer import Explainer, OutputAttribution
from services.prediction.inference.response_builder import ResponseBuilder, Stop
from services.prediction.model_sync.bundle_cache import CachedBundle


class NoContext:
    """Context source of use cases without context."""

    _EMPTY: Mapping[str, Any] = {}

    def start(self) -> None:
        """Nothing to start."""

    def stop(self) -> None:
        """Nothing to stop."""

    def snapshot(self) -> Mapping[str, Any]:
        return self._EMPTY

    def warning(self) -> str | None:
        return None


class FailedContext(NoContext):
    """Replaces a context source that cannot be created: the use case predicts without, and answers say so."""

    def warning(self) -> str | None:
        return "What this use case learns from outside is not known: its context cannot be loaded."


def create_context_source(use_case: UseCase, settings: Settings) -> ContextSource:
    """The use case's own context source, or ``NoContext``. A broken one does not keep other use cases from starting."""
    try:
        return use_case.context_source(settings) or NoContext()
    except Exception as error:  # noqa: BLE001 - use-case code may raise anything
        reason = f"{type(error).__name__}: {error}"
        structlog.get_logger().error("context cannot be loaded", use_case=use_case.name, reason=reason)
        return FailedContext()


class InputChecks:
    """Warns about inputs outside the training data. ``inputs`` maps a request field to ``{"min": …, "max": …}``
    (numbers: range of the training rows) or ``{"words": […]}`` (categories and texts: values that occurred)."""

    def __init__(self, use_case: UseCase, inputs: Mapping[str, Mapping[str, Any]]) -> None:
        used = {field for fields in use_case.features.FEATURE_INPUTS.values() for field in fields}
        of = column_types(use_case.serving.request)
        self._ranges: list[tuple[str, float, float, dict[str, Any]]] = []
        self._words: list[tuple[str, frozenset[str], dict[str, Any]]] = []
        for name, known in inputs.items():
            if of.get(name) == "number" and known.get("min") is not None and known.get("max") is not None:
                low, high = float(known["min"]), float(known["max"])
                text = f"{name} lies outside {low:g} to {high:g}, the range that the model learned from."
                self._ranges.append((name, low, high, _warning("outside_training_range", name, text)))
            elif of.get(name) in {"category", "text"} and known.get("words") is not None:
                text = f"{name} has a value that the model has not learned from."
                self._words.append((name, frozenset(known["words"]), _warning("unseen_value", name, text)))
        self._optional = [
            (name, _warning("missing_field", name, f"{name} is missing: the answer is less sure than it could be."))
            for name, info in use_case.serving.request.model_fields.items()
            if name in used and not info.is_required() and info.default is None and _seen_in_training(inputs.get(name))
        ]

    def __call__(self, fields: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Warnings for one validated request."""
        found = [warned for name, warned in self._optional if fields[name] is None]
        for name, low, high, warned in self._ranges:
            value = fields[name]
            if value is not None and not low <= value <= high:
                found.append(warned)
        for name, words, warned in self._words:
            value = fields[name]
            if value and value not in words:
                found.append(warned)
        return found


def _seen_in_training(known: Mapping[str, Any] | None) -> bool:
    """Whether any training row had a value in the field; if none had, a value cannot make the answer more certain."""
    return known is None or known.get("missing", 0.0) < 1.0


class RequestWarnings:
    """Warns about what a request says of itself, whatever model answers: a time after its arrival, and what the use
    case finds contradictory."""

    def __init__(self, use_case: UseCase) -> None:
        self._time = use_case.serving.time_field
        self._contradictions = use_case.serving.contradictions
        text = f"{self._time} lies after the arrival of the call, whose time counts in its place."
        self._ahead = _warning("implausible_time", self._time or "", text)

    def __call__(self, fields: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Warnings for one validated request."""
        found = []
        if self._time is not None and is_ahead(fields[self._time], datetime.now(UTC)):
            found.append(self._ahead)
        if self._contradictions is not None:
            found += [_warning("contradiction", field, text) for field, text in self._contradictions(fields)]
        return found


def _warning(code: str, field: str, message: str) -> dict[str, Any]:
    return {"code": code, "field": field, "message": message}


WARM_ROWS = 64

RowPrediction = tuple[dict[str, TargetPrediction], dict[str, Any]]
"""One row's prediction by target and its facts, as Python scalars."""


class LoadedModel:
    """A loaded bundle; shared by threads. Immutable but for its explainer, which is loaded later, once.
    ``registered`` is the registry's record of the bundle.

    Raises:
        VigieError: the bundle was trained on other features than this code computes.
    """

    def __init__(self, use_case: UseCase, bundle: VerifiedBundle, registered: CachedBundle) -> None:
        self.use_case = use_case
        self.folder = bundle.folder
        self.version = registered.version
        self.metrics = registered.metrics
        self.request = finite_model(use_case.serving.request)
        self.predictor = Predictor(use_case, bundle)
        self.hash = self.predictor.hash
        self.created = self.predictor.manifest.created
        self.simulated = self.predictor.manifest.simulated
        self.checks = InputChecks(use_case, self.predictor.inputs)
        self._explainer: Explainer | None = None
        self._explainer_lock = threading.Lock()

    def warm(self) -> None:
        """Predict the example request, alone and in a batch, before the first caller does.

        Raises:
            VigieError: the answer does not match the use case's declaration.
        """
        fields = self.request.model_validate(example_request(self.request)).__dict__
        if images := image_fields(self.request):
            decode_fields(images, fields)
        one, many = from_rows(self.request, [fields]), from_rows(self.request, [fields] * WARM_ROWS)
        build = ResponseBuilder(self.use_case).body
        alone = build(*self.predict_each(one, {})[0], fields)
        among = build(*self.predict_each(many, {})[-1], fields)
        try:
            finite_model(self.use_case.serving.answer).model_validate(alone["answer"])
            json.dumps(alone["predictions"], allow_nan=False)
        except (ValueError, TypeError) as error:
            raise VigieError(f"The bundle {self.hash[:12]} gives an answer out of form: {error}") from error
        if alone != among:
            raise VigieError(f"The bundle {self.hash[:12]} answers one row and a batch differently.")

    def predict_each(self, columns: Columns, context: Mapping[str, Any]) -> list[RowPrediction]:
        """Predictions and facts of each validated request: one model call for all rows of ``columns``."""
        prediction = self.predictor.predict(columns, context)
        return [to_scalars(prediction, index) for index in range(len(next(iter(columns.values()))))]

    def explain_row(
        self, columns: Columns, context: Mapping[str, Any]
    ) -> dict[str, tuple[str, list[OutputAttribution]]]:
        """Target -> unit and attribution to the request fields, for the single row of ``columns``."""
        return self.explainer().explain(columns, context)

    @property
    def importance(self) -> dict[str, dict[str, float]] | None:
        """Target -> request field -> share of the total gain; None until the native boosters are loaded."""
        return None if self._explainer is None else self._explainer.importance

    def explainer(self) -> Explainer:
        """The explainer, loaded on first use. That takes seconds: never on the event loop."""
        with self._explainer_lock:
            if self._explainer is None:
                self._explainer = Explainer(self.predictor)
            return self._explainer


Clock = Callable[[], float]

BASELINE = "baseline"


@dataclass(frozen=True, slots=True)
class ServedModel:
    """Everything that an answer depends on. A request reads it from the slot once, so that no answer mixes two
    versions."""

    model: LoadedModel | None = None
    confirmed_at: float | None = None
    """When the registry last confirmed this version as champion (the slot's clock)."""
    stop: Stop | None = None
    """What an emergency stop takes out of the answers."""

    @property
    def version(self) -> str:
        return BASELINE if self.model is None else self.model.version

    @property
    def simulated(self) -> bool:
        return self.model is not None and self.model.simulated


class ModelSlot:
    """Holds one use case's ``ServedModel``. Written by the model watcher only, read by every request; ``withdrawn``,
    the active emergency stops, is written by the thread that follows the gateway."""

    def __init__(
        self,
        confirmed_seconds: float,
        clock: Clock = time.monotonic,
        figures: Literal["baseline", "none"] = "baseline",
    ) -> None:
        self._confirmed_seconds = confirmed_seconds
        self._clock = clock
        self._figures = figures
        self.serving = ServedModel()
        self.withdrawn: Sequence[Withdrawal] = ()

    def current(self, use_case: UseCase, serving: ServedModel | None = None) -> ServedModel:
        """What answers now: the served model (or ``serving``) without the advice that is withdrawn."""
        serving, withdrawn = serving or self.serving, self.withdrawn
        if not withdrawn or (stop := Stop.of(use_case, withdrawn, serving.version, self._figures)) is None:
            return serving
        return ServedModel(stop=stop) if stop.whole else replace(serving, stop=stop)

    def swap(self, model: LoadedModel, *, confirmed: bool) -> None:
        """Serve ``model`` from now on, by one atomic assignment."""
        self.serving = ServedModel(model, self._clock() if confirmed else None)

    def mark_confirmed(self) -> None:
        """Record that the registry confirmed the served model as champion."""
        self.serving = replace(self.serving, confirmed_at=self._clock())

    def source(self, serving: ServedModel) -> PredictionSource:
        """Source of an answer of ``serving`` at this moment: champion, cached, baseline or withdrawn."""
        if serving.stop is not None and serving.stop.whole:
            return "withdrawn"
        if serving.model is None:
            return "baseline"
        confirmed_at = serving.confirmed_at
        if confirmed_at is None or self._clock() - confirmed_at > self._confirmed_seconds:
            return "cached"
        return "champion"
