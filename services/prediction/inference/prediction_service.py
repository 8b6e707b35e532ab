"""Predicts for one use case: from validated requests to response bytes.

Hot path: no disk, no registry, no pandas; each response comes from one ``ServedModel``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import structlog
from pydantic_core import to_json

from services.core.contract.columns import from_rows, select_rows
from services.core.contract.modules import compute_drift_features, drift_features_as_json
from services.core.contract.use_case import Columns, ContextSource, UseCase
from services.core.headers import LIVE, TrafficType
from services.core.prediction_log.records import AnsweredRow
from services.prediction.api.request_validation import RequestFields, RequestValidator, ValidatedRow
from services.prediction.api.schemas import PredictionSource
from services.prediction.inference.explainer import explain_baseline
from services.prediction.inference.response_builder import Decision, DecisionEncoder, ResponseBuilder, Stop
from services.prediction.inference.served_model import (
    LoadedModel,
    ModelSlot,
    RequestWarnings,
    RowPrediction,
    ServedModel,
)
from services.prediction.metrics import PredictionMetrics, RowCounts

log = structlog.get_logger(__name__)


class ValidatedRequest(NamedTuple):
    """A request with validated fields, its id and its traffic type."""

    fields: RequestFields
    """Validated."""
    request_id: str
    kind: TrafficType = LIVE


class PredictionResult(NamedTuple):
    """Response to one call, with what the prediction log records."""

    body: bytes
    decisions: bytes
    """JSON object, target -> decision, of the targets that have one."""
    watched: bytes
    """JSON object of the drift columns, derived with the model that answered; empty if the use case has none."""


class BatchResult(NamedTuple):
    """Response to a batch, with what the prediction log records."""

    body: bytes
    envelope: bytes
    """JSON object of the response without its rows."""
    rows: list[AnsweredRow]


_MODEL_FAILED_WARNING = {
    "code": "model_failed",
    "field": None,
    "message": "The model failed on this request; the answer is the baseline's.",
}


class PredictionService:
    """Predict, batch and explain for one use case."""

    def __init__(
        self, use_case: UseCase, slot: ModelSlot, context: ContextSource, counters: PredictionMetrics, batch_rows: int
    ) -> None:
        self.use_case = use_case
        self.slot = slot
        self.validation = RequestValidator(use_case, counters, batch_rows)
        self._decisions = DecisionEncoder(use_case)
        self._envelope = ResponseBuilder(use_case)
        self._count = RowCounts(use_case.name, counters).add
        self._own_warnings = RequestWarnings(use_case)
        self._context = context
        self._counters = counters
        self._observe_together = counters.together.labels(use_case.name).observe

    def one(self, payload: Any, request_id: str) -> bytes:
        """Answer one request.

        Raises:
            HttpError: it is not valid.
        """
        _, _, fields = self.validation.take(payload)
        return self.together([ValidatedRequest(fields, request_id)])[0].body

    def together(self, calls: Sequence[ValidatedRequest]) -> list[PredictionResult]:
        """Predict for several validated calls at once, all with one ``ServedModel``. If the model fails on a call, the
        baseline answers that one; the others are unaffected."""
        serving = self.slot.current(self.use_case)
        return self._together(serving, self.slot.source(serving), calls)

    def _together(
        self, serving: ServedModel, source: PredictionSource, calls: Sequence[ValidatedRequest]
    ) -> list[PredictionResult]:
        model = serving.model
        self._observe_together(len(calls))
        if model is None:
            return [self._predict_baseline(serving, source, call) for call in calls]
        try:
            columns = from_rows(self.validation.request, [call.fields for call in calls])
            rows = model.predict_each(columns, self._context.snapshot())
        except Exception:  # noqa: BLE001 - rule 7: every valid call is answered
            if len(calls) > 1:
                return [self._together(serving, source, [call])[0] for call in calls]
            return [self._fallback(serving, model, calls[0])]
        return [
            self._answered(serving, source, call, row, columns=columns, place=place)
            for place, (call, row) in enumerate(zip(calls, rows, strict=True))
        ]

    def batch(
        self, payload: Any, request_id: str, kind: TrafficType = LIVE, wanted: Callable[[], None] = lambda: None
    ) -> BatchResult:
        """Answer many requests with one prediction; invalid rows get their errors. ``wanted`` is called between rows
        and raises if nobody waits for the result.

        Raises:
            HttpError: the body is not a list of rows.
        """
        rows, errors = self.validation.rows(payload, kind, wanted)
        wanted()
        serving = self.slot.current(self.use_case)
        model, stop = serving.model, serving.stop
        source = self.slot.source(serving)
        warnings: list[dict[str, Any]] = []
        try:
            answers, decisions, watched = self._answers(model, rows, stop)
        except Exception:
            if model is None:
                raise
            self._failed(model, request_id, kind, len(rows))
            serving, source, warnings = ServedModel(stop=stop), "baseline", [_MODEL_FAILED_WARNING]
            answers, decisions, watched = self._answers(None, rows, stop)
        self._count(serving.version, source, kind, [decided.word for decided in decisions])
        envelope = self._envelope.around(serving, source, request_id, kind, warnings=warnings, body={})
        told = envelope[:-1] + b',"errors":' + to_json(errors) + b',"answers":[' + b",".join(answers) + b"]}"
        recorded = [
            AnsweredRow(row.position, row.request, row.incident, decided.by_target, answer, derived_columns)
            for row, decided, answer, derived_columns in zip(rows, decisions, answers, watched, strict=True)
        ]
        return BatchResult(told, envelope, recorded)

    def explain(self, payload: Any, request_id: str, kind: TrafficType = LIVE) -> bytes:
        """Answer one request with the attribution of each target to the request fields. Not for the event loop.

        Raises:
            HttpError: the request is not valid.
        """
        _, _, fields = self.validation.take(payload, kind)
        serving = self.slot.current(self.use_case)
        model, stop = serving.model, serving.stop
        source = self.slot.source(serving)
        warnings = self._own_warnings(fields)
        usual = explained = explain_baseline(self.use_case, fields)
        values, facts = self.use_case.serving.fallback_prediction(fields)
        if model is not None:
            context = self._context.snapshot()
            try:
                columns = from_rows(self.validation.request, [fields])
                explained = model.explain_row(columns, context)
                values, facts = model.predict_each(columns, context)[0]
                warnings = self._warnings(model, fields)
            except Exception:  # noqa: BLE001 - rule 7: every valid call is answered
                self._failed(model, request_id, kind, 1)
                serving, source, warnings = ServedModel(stop=stop), "baseline", [_MODEL_FAILED_WARNING, *warnings]
        if stop is not None:
            values, warnings = stop.applied(self.use_case, values, fields), stop.warnings + warnings
            explained |= {name: usual[name] for name in stop.targets}
        targets = {
            name: {"unit": unit, "outputs": [output._asdict() for output in outputs]}
            for name, (unit, outputs) in explained.items()
        }
        body = {**self._envelope.body(values, facts, fields, stop), "targets": targets}
        self._count(serving.version, source, kind, (self._decisions.of(values, stop).word,))
        return self._envelope.around(serving, source, request_id, kind, warnings=warnings, body=body)

    def _watched(
        self, model: LoadedModel | None, every: Sequence[RequestFields], columns: Columns | None = None
    ) -> list[bytes]:
        """JSON of each request's drift columns; empty if the use case derives none. A failure loses the columns, not
        the answer.

        Args:
            model: the model that answered these requests, None for the baseline.
            columns: the requests' columns, if they are built already.
        """
        if not self.use_case.serving.drift_features or not every:
            return [b""] * len(every)
        try:
            if columns is None:
                columns = from_rows(self.validation.request, every)
            found = compute_drift_features(self.use_case, columns, model.predictor.fitted if model else None)
            return [to_json(row) for row in drift_features_as_json(found)]
        except Exception:
            log.error("nothing derived for drift", use_case=self.use_case.name, rows=len(every), exc_info=True)
            return [b""] * len(every)

    def _answers(
        self, model: LoadedModel | None, rows: Sequence[ValidatedRow], stop: Stop | None
    ) -> tuple[list[bytes], list[Decision], list[bytes]]:
        """JSON, decision and drift columns of each row. Serialised row by row: ten thousand rows in one call would hold
        the interpreter lock and delay single calls."""
        answers, decisions = [], []
        every = [row.fields for row in rows]
        columns: Columns | None = None
        if model is None:
            found = [self.use_case.serving.fallback_prediction(fields) for fields in every]
        elif every:
            columns = from_rows(self.validation.request, every)
            found = model.predict_each(columns, self._context.snapshot())
        else:
            found = []
        for row, (values, facts) in zip(rows, found, strict=True):
            warnings = self._own_warnings(row.fields) if model is None else self._warnings(model, row.fields)
            if stop is not None:
                values, warnings = stop.applied(self.use_case, values, row.fields), stop.warnings + warnings  # noqa: PLW2901
            body = self._envelope.body(values, facts, row.fields, stop)
            answers.append(to_json({"index": row.position, **body, "warnings": warnings}))
            decisions.append(self._decisions.of(values, stop))
        return answers, decisions, self._watched(model, every, columns)

    def _answered(
        self,
        serving: ServedModel,
        source: PredictionSource,
        call: ValidatedRequest,
        found: RowPrediction,
        *,
        columns: Columns,
        place: int,
    ) -> PredictionResult:
        """Response to one call. ``columns`` hold all calls of this prediction, ``place`` is this one's row in them."""
        fields, request_id, kind = call
        values, facts = found
        assert serving.model is not None
        try:
            warnings = self._warnings(serving.model, fields)
            if serving.stop is not None:
                values, warnings = serving.stop.applied(self.use_case, values, fields), serving.stop.warnings + warnings
            body = self._envelope.body(values, facts, fields, serving.stop)
            decided = self._decisions.of(values, serving.stop)
        except Exception:  # noqa: BLE001 - rule 7: every valid call is answered
            return self._fallback(serving, serving.model, call)
        self._count(serving.version, source, kind, (decided.word,))
        told = self._envelope.around(serving, source, request_id, kind, warnings=warnings, body=body)
        if not self.use_case.serving.drift_features:
            return PredictionResult(told, decided.by_target, b"")
        (watched,) = self._watched(serving.model, (fields,), select_rows(columns, slice(place, place + 1)))
        return PredictionResult(told, decided.by_target, watched)

    def _warnings(self, model: LoadedModel, fields: RequestFields) -> list[dict[str, Any]]:
        found = self._own_warnings(fields) + model.checks(fields)
        outside = self._context.warning()
        if outside is not None:
            found.append({"code": "context_missing", "field": None, "message": outside})
        return found

    def _fallback(self, serving: ServedModel, model: LoadedModel, call: ValidatedRequest) -> PredictionResult:
        """Baseline response to a call that the model fails on."""
        self._failed(model, call.request_id, call.kind, 1)
        return self._predict_baseline(ServedModel(stop=serving.stop), "baseline", call, (_MODEL_FAILED_WARNING,))

    def _predict_baseline(
        self,
        serving: ServedModel,
        source: PredictionSource,
        call: ValidatedRequest,
        warned: Sequence[dict[str, Any]] = (),
    ) -> PredictionResult:
        fields, request_id, kind = call
        stop = serving.stop
        warnings = [*warned, *(stop.warnings if stop else ()), *self._own_warnings(fields)]
        values, facts = self.use_case.serving.fallback_prediction(fields)
        body = self._envelope.body(values, facts, fields, stop)
        decided = self._decisions.of(values, stop)
        self._count(serving.version, source, kind, (decided.word,))
        told = self._envelope.around(serving, source, request_id, kind, warnings=warnings, body=body)
        return PredictionResult(told, decided.by_target, *self._watched(None, (fields,)))

    def _failed(self, model: LoadedModel, request_id: str, kind: TrafficType, rows: int) -> None:
        self._counters.failures.labels(self.use_case.name, model.version, kind).inc(rows)
        log.error(
            "model failed, baseline answered",
            use_case=self.use_case.name,
            version=model.version,
            request_id=request_id,
            rows=rows,
            exc_info=True,
        )
