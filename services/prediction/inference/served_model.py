"""What a request is answered from.

The loaded and warmed model with its input checks, the slot that a swap replaces, and outside context."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import structlog

from services.core.bundle.manifest import VerifiedBundle
from services.core.bundle.predictor import Predictor, to_scalars
from services.core.contract.columns import column_types, from_rows, image_fields
from services.core.contract.image_decoding import decode_fields
from services.core.contract.use_case import Columns, ContextSource, TargetPrediction, UseCase, example_request
from services.core.errors import VigieError
from services.core.settings import Settings
from services.prediction.api.schemas import PredictionSource, finite_model
from services.prediction.inference.explainer import Explainer, OutputAttribution
from services.prediction.inference.response_builder import ResponseBuilder
from services.prediction.model_sync.bundle_cache import CachedBundle


class NoContext:
    """The source of use cases that need nothing from outside."""

    _EMPTY: Mapping[str, Any] = {}

    def start(self) -> None:
        """Nothing to begin with."""

    def stop(self) -> None:
        """Nothing to end."""

    def snapshot(self) -> Mapping[str, Any]:
        return self._EMPTY

    def warning(self) -> str | None:
        return None


class FailedContext(NoContext):
    """The source of a use case whose own one cannot be made: it is answered without, and every answer says so."""

    def warning(self) -> str | None:
        return "What this use case learns from outside is not known: its context cannot be loaded."


def create_context_source(use_case: UseCase, settings: Settings) -> ContextSource:
    """The use case's own source, nothing where it has none. A broken one must not keep the others from starting."""
    try:
        return use_case.context_source(settings) or NoContext()
    except Exception as error:  # noqa: BLE001 - theirs to raise what they like
        reason = f"{type(error).__name__}: {error}"
        structlog.get_logger().error("context cannot be loaded", use_case=use_case.name, reason=reason)
        return FailedContext()


class InputChecks:
    """``inputs`` maps a request field to ``{"min": …, "max": …}`` (numbers: the training rows' range)
    or ``{"words": […]}`` (categories and texts: the values that occurred)."""

    def __init__(self, use_case: UseCase, inputs: Mapping[str, Mapping[str, Any]]) -> None:
        used = {field for fields in use_case.features.FEATURE_INPUTS.values() for field in fields}
        of = column_types(use_case.request)
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
            for name, info in use_case.request.model_fields.items()
            if name in used and not info.is_required() and info.default is None and _seen_in_training(inputs.get(name))
        ]

    def __call__(self, fields: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The warnings of one validated request."""
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
    """Whether any training row had the field: what none had cannot make an answer surer."""
    return known is None or known.get("missing", 0.0) < 1.0


def _warning(code: str, field: str, message: str) -> dict[str, Any]:
    return {"code": code, "field": field, "message": message}


WARM_ROWS = 64

RowPrediction = tuple[dict[str, TargetPrediction], dict[str, Any]]
"""One row's values by target and its facts, as Python scalars."""


class LoadedModel:
    """Immutable once made but for its explainer, which is loaded later and once; threads share it.
    ``registered`` is what the registry said about the bundle.

    Raises:
        VigieError: the bundle was trained on other features than this code makes.
    """

    def __init__(self, use_case: UseCase, bundle: VerifiedBundle, registered: CachedBundle) -> None:
        self.use_case = use_case
        self.folder = bundle.folder
        self.version = registered.version
        self.metrics = registered.metrics
        self.request = finite_model(use_case.request)
        self.predictor = Predictor(use_case, bundle)
        self.hash = self.predictor.hash
        self.created = self.predictor.manifest.created
        self.simulated = self.predictor.manifest.simulated
        self.checks = InputChecks(use_case, self.predictor.inputs)
        self._explainer: Explainer | None = None
        self._explainer_lock = threading.Lock()

    def warm(self) -> None:
        """Answer the example request, alone and among others, before any caller does.

        Raises:
            VigieError: the answer is not one that the use case declares.
        """
        fields = self.request.model_validate(example_request(self.request)).__dict__
        decode_fields(image_fields(self.request), fields)
        one, many = from_rows(self.request, [fields]), from_rows(self.request, [fields] * WARM_ROWS)
        build = ResponseBuilder(self.use_case).body
        alone = build(*self.predict_each(one, {})[0], fields)
        among = build(*self.predict_each(many, {})[-1], fields)
        try:
            finite_model(self.use_case.answer).model_validate(alone["answer"])
            json.dumps(alone["predictions"], allow_nan=False)
        except (ValueError, TypeError) as error:
            raise VigieError(f"The bundle {self.hash[:12]} gives an answer out of form: {error}") from error
        if alone != among:
            raise VigieError(f"The bundle {self.hash[:12]} answers one row and a batch differently.")

    def predict_each(self, columns: Columns, context: Mapping[str, Any]) -> list[RowPrediction]:
        """Values and facts of each validated request: one prediction for all rows of ``columns``."""
        prediction = self.predictor.predict(columns, context)
        return [to_scalars(prediction, index) for index in range(len(next(iter(columns.values()))))]

    def explain_row(
        self, columns: Columns, context: Mapping[str, Any]
    ) -> dict[str, tuple[str, list[OutputAttribution]]]:
        """Target -> unit and what each request field adds to its outputs, for the one row of ``columns``."""
        return self.explainer().explain(columns, context)

    @property
    def importance(self) -> dict[str, dict[str, float]] | None:
        """Target -> request field -> share of the gain; None until the native boosters are loaded."""
        return None if self._explainer is None else self._explainer.importance

    def explainer(self) -> Explainer:
        """The native boosters, loaded on first use. Takes seconds then: never on the event loop."""
        with self._explainer_lock:
            if self._explainer is None:
                self._explainer = Explainer(self.predictor)
            return self._explainer


Clock = Callable[[], float]

BASELINE = "baseline"


@dataclass(frozen=True, slots=True)
class ServedModel:
    """Everything that one answer is made from. A request takes it once and never looks again, so that
    no answer mixes two versions."""

    model: LoadedModel | None = None
    confirmed_at: float | None = None
    """When the registry last said that this version is the champion (the slot's clock)."""

    @property
    def version(self) -> str:
        return BASELINE if self.model is None else self.model.version

    @property
    def simulated(self) -> bool:
        return self.model is not None and self.model.simulated


class ModelSlot:
    """Holds one use case's ``ServedModel``. Written by its follower alone, read by every request."""

    def __init__(self, confirmed_seconds: float, clock: Clock = time.monotonic) -> None:
        self._confirmed_seconds = confirmed_seconds
        self._clock = clock
        self.serving = ServedModel()

    def swap(self, model: LoadedModel, *, confirmed: bool) -> None:
        """Serve ``model`` from now on: one assignment."""
        self.serving = ServedModel(model, self._clock() if confirmed else None)

    def mark_confirmed(self) -> None:
        """The registry said that what is served is the champion."""
        self.serving = replace(self.serving, confirmed_at=self._clock())

    def source(self, serving: ServedModel) -> PredictionSource:
        """Where an answer of ``serving`` comes from at this moment."""
        if serving.model is None:
            return "baseline"
        confirmed_at = serving.confirmed_at
        if confirmed_at is None or self._clock() - confirmed_at > self._confirmed_seconds:
            return "cached"
        return "champion"
