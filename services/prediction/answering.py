"""From a parsed body to the answer's bytes, for one use case. This is the hot path: no disk, no
registry, no pandas; each answer is made from one ``Serving`` that is taken once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import structlog
from pydantic_core import to_json

from services.core.calls.kinds import LIVE, CallKind
from services.core.usecases.columns import from_rows, take
from services.core.usecases.contract import Columns, ContextSource, UseCase
from services.core.usecases.watching import as_rows, derived
from services.prediction.counters import Counters, RowCounts
from services.prediction.decisions import Decided, Decisions
from services.prediction.envelope import Envelope
from services.prediction.explaining import baseline_explained
from services.prediction.models import Model, Row
from services.prediction.recording import BatchRow
from services.prediction.schemas import Source
from services.prediction.slots import Serving, Slot
from services.prediction.validation import Fields, Validation, ValidRow

log = structlog.get_logger(__name__)


class Call(NamedTuple):
    fields: Fields
    """Validated."""
    request_id: str
    kind: CallKind = LIVE


class Answered(NamedTuple):
    """One call's answer."""

    body: bytes
    decisions: bytes
    """JSON object, target -> decision, of the targets that decide."""
    watched: bytes
    """JSON object of the columns for drift, derived with the model that answered; empty where the use case has none."""


class AnsweredBatch(NamedTuple):
    body: bytes
    envelope: bytes
    """The body's JSON object without its rows."""
    rows: list[BatchRow]


_FAILED = {
    "code": "model_failed",
    "field": None,
    "message": "The model failed on this request; the answer is the baseline's.",
}


class Answering:
    """Everything that the routes of one use case need."""

    def __init__(
        self, use_case: UseCase, slot: Slot, context: ContextSource, counters: Counters, batch_rows: int
    ) -> None:
        self.use_case = use_case
        self.slot = slot
        self.validation = Validation(use_case, counters, batch_rows)
        self._decisions = Decisions(use_case)
        self._envelope = Envelope(use_case)
        self._count = RowCounts(use_case.name, counters).add
        self._context = context
        self._counters = counters
        self._observe_together = counters.together.labels(use_case.name).observe

    def one(self, payload: Any, request_id: str) -> bytes:
        """Answer one request.

        Raises:
            RefusedError: it is not valid.
        """
        _, _, fields = self.validation.take(payload)
        return self.together([Call(fields, request_id)])[0].body

    def together(self, calls: Sequence[Call]) -> list[Answered]:
        """Answer validated calls with one prediction, all from one ``Serving``. A call that the model
        fails on is answered by the baseline, and the others are not touched by it."""
        serving = self.slot.serving
        return self._together(serving, self.slot.source(serving), calls)

    def _together(self, serving: Serving, source: Source, calls: Sequence[Call]) -> list[Answered]:
        model = serving.model
        self._observe_together(len(calls))
        if model is None:
            return [self._from_baseline(source, call, []) for call in calls]
        try:
            columns = from_rows(self.validation.request, [call.fields for call in calls])
            rows = model.predict_each(columns, self._context.snapshot())
        except Exception:  # noqa: BLE001 - rule 7: the answer always comes
            if len(calls) > 1:
                return [self._together(serving, source, [call])[0] for call in calls]
            return [self._rescued(model, calls[0])]
        return [
            self._answered(serving, source, call, row, columns=columns, place=place)
            for place, (call, row) in enumerate(zip(calls, rows, strict=True))
        ]

    def batch(self, payload: Any, request_id: str, kind: CallKind = LIVE) -> AnsweredBatch:
        """Answer many requests with one prediction; rows that are not valid get their reasons.

        Raises:
            RefusedError: the body is not a list of rows.
        """
        rows, errors = self.validation.rows(payload, kind)
        serving = self.slot.serving
        model = serving.model
        source = self.slot.source(serving)
        warnings: list[dict[str, Any]] = []
        try:
            answers, decisions, watched = self._answers(model, rows)
        except Exception:
            if model is None:
                raise
            self._failed(model, request_id, kind, len(rows))
            serving, source, warnings = Serving(), "baseline", [_FAILED]
            answers, decisions, watched = self._answers(None, rows)
        self._count(serving.version, source, kind, [decided.word for decided in decisions])
        envelope = self._envelope.around(serving, source, request_id, kind, warnings=warnings, body={})
        told = envelope[:-1] + b',"errors":' + to_json(errors) + b',"answers":[' + b",".join(answers) + b"]}"
        recorded = [
            BatchRow(row.position, row.request, row.incident, decided.by_target, answer, derived_columns)
            for row, decided, answer, derived_columns in zip(rows, decisions, answers, watched, strict=True)
        ]
        return AnsweredBatch(told, envelope, recorded)

    def explain(self, payload: Any, request_id: str, kind: CallKind = LIVE) -> bytes:
        """Answer one request and say what each input adds to each target. Not for the event loop.

        Raises:
            RefusedError: the request is not valid.
        """
        _, _, fields = self.validation.take(payload, kind)
        serving = self.slot.serving
        model = serving.model
        source = self.slot.source(serving)
        warnings: list[dict[str, Any]] = []
        explained = baseline_explained(self.use_case, fields)
        values, facts = self.use_case.baseline(fields)
        if model is not None:
            context = self._context.snapshot()
            try:
                columns = from_rows(self.validation.request, [fields])
                explained = model.explain_row(columns, context)
                values, facts = model.predict_each(columns, context)[0]
                warnings = self._warnings(model, fields)
            except Exception:  # noqa: BLE001 - rule 7: the answer always comes
                self._failed(model, request_id, kind, 1)
                serving, source, warnings = Serving(), "baseline", [_FAILED]
        targets = {
            name: {"unit": unit, "outputs": [output._asdict() for output in outputs]}
            for name, (unit, outputs) in explained.items()
        }
        body = {"answer": self.use_case.compose(values, facts, fields), "targets": targets}
        self._count(serving.version, source, kind, (self._decisions.of(values).word,))
        return self._envelope.around(serving, source, request_id, kind, warnings=warnings, body=body)

    def _watched(self, model: Model | None, every: Sequence[Fields], columns: Columns | None = None) -> list[bytes]:
        """What drift looks at of each request, as JSON; nothing where the use case derives nothing. A failure costs
        the figures, not the answer.

        Args:
            model: what answered these requests, None for the baseline.
            columns: the requests' columns, where they are built already.
        """
        if not self.use_case.watched or not every:
            return [b""] * len(every)
        try:
            if columns is None:
                columns = from_rows(self.validation.request, every)
            found = derived(self.use_case, columns, model.predictor.fitted if model else None)
            return [to_json(row) for row in as_rows(found)]
        except Exception:
            log.error("nothing derived for drift", use_case=self.use_case.name, rows=len(every), exc_info=True)
            return [b""] * len(every)

    def _answers(self, model: Model | None, rows: Sequence[ValidRow]) -> tuple[list[bytes], list[Decided], list[bytes]]:
        """Each row's JSON, decision and columns for drift. JSON is written row by row, because ten thousand rows at a
        stroke would hold the interpreter for long, and with it the single calls beside the batch."""
        answers, decisions = [], []
        every = [row.fields for row in rows]
        columns: Columns | None = None
        if model is None:
            found = [self.use_case.baseline(fields) for fields in every]
        elif every:
            columns = from_rows(self.validation.request, every)
            found = model.predict_each(columns, self._context.snapshot())
        else:
            found = []
        for row, (values, facts) in zip(rows, found, strict=True):
            warnings = [] if model is None else self._warnings(model, row.fields)
            answer = self.use_case.compose(values, facts, row.fields)
            answers.append(to_json({"index": row.position, "answer": answer, "warnings": warnings}))
            decisions.append(self._decisions.of(values))
        return answers, decisions, self._watched(model, every, columns)

    def _answered(
        self, serving: Serving, source: Source, call: Call, found: Row, *, columns: Columns, place: int
    ) -> Answered:
        """One call's answer. ``columns`` are those of all calls, and ``place`` is this one's row in them."""
        fields, request_id, kind = call
        values, facts = found
        assert serving.model is not None
        try:
            warnings = self._warnings(serving.model, fields)
            answer = self.use_case.compose(values, facts, fields)
            decided = self._decisions.of(values)
        except Exception:  # noqa: BLE001 - rule 7: the answer always comes
            return self._rescued(serving.model, call)
        self._count(serving.version, source, kind, (decided.word,))
        told = self._envelope.around(serving, source, request_id, kind, warnings=warnings, body={"answer": answer})
        if not self.use_case.watched:
            return Answered(told, decided.by_target, b"")
        (watched,) = self._watched(serving.model, (fields,), take(columns, slice(place, place + 1)))
        return Answered(told, decided.by_target, watched)

    def _warnings(self, model: Model, fields: Fields) -> list[dict[str, Any]]:
        found = model.checks(fields)
        outside = self._context.warning()
        if outside is not None:
            found.append({"code": "context_missing", "field": None, "message": outside})
        return found

    def _rescued(self, model: Model, call: Call) -> Answered:
        """The baseline's answer to a call that the model fails on."""
        self._failed(model, call.request_id, call.kind, 1)
        return self._from_baseline("baseline", call, [_FAILED])

    def _from_baseline(self, source: Source, call: Call, warnings: list[dict[str, Any]]) -> Answered:
        fields, request_id, kind = call
        values, facts = self.use_case.baseline(fields)
        body = {"answer": self.use_case.compose(values, facts, fields)}
        decided = self._decisions.of(values)
        serving = Serving()
        self._count(serving.version, source, kind, (decided.word,))
        told = self._envelope.around(serving, source, request_id, kind, warnings=warnings, body=body)
        return Answered(told, decided.by_target, *self._watched(None, (fields,)))

    def _failed(self, model: Model, request_id: str, kind: CallKind, rows: int) -> None:
        self._counters.failures.labels(self.use_case.name, model.version, kind).inc(rows)
        log.error(
            "model failed, baseline answered",
            use_case=self.use_case.name,
            version=model.version,
            request_id=request_id,
            rows=rows,
            exc_info=True,
        )
