"""From a parsed body to the answer's bytes, for one use case. This is the hot path: no disk, no
registry, no pandas; each answer is made from one ``Serving`` that is taken once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import structlog
from pydantic import ValidationError
from pydantic_core import to_json

from services.core.calls.kinds import KINDS, LIVE, CallKind
from services.core.calls.records import DIGEST
from services.core.usecases.columns import from_rows, images, kinds
from services.core.usecases.contract import ContextSource, Probability, ProbabilityValue, UseCase, Value
from services.core.usecases.pictures import PictureError, unpack
from services.core.usecases.watching import as_rows, derived
from services.core.usecases.zones import in_zone
from services.prediction.counters import Counters
from services.prediction.explaining import baseline_explained
from services.prediction.faults import Allowed, RefusedError, fault, refused
from services.prediction.incidents import Incidents
from services.prediction.models import Model, Row
from services.prediction.recording import BatchRow
from services.prediction.schemas import Source, finite
from services.prediction.slots import Serving, Slot

log = structlog.get_logger(__name__)

Fields = Mapping[str, Any]


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


class AnsweredBatch(NamedTuple):
    body: bytes
    envelope: bytes
    """The body's JSON object without its rows."""
    rows: list[BatchRow]


class Decided(NamedTuple):
    word: str
    """What the first target that decides says, for the counters."""
    by_target: bytes


class _Row(NamedTuple):
    """A valid row of a batch."""

    position: int
    request: dict[str, Any]
    incident: str | None
    fields: Fields


_FAILED = {
    "code": "model_failed",
    "field": None,
    "message": "The model failed on this request; the answer is the baseline's.",
}


MOST_PICTURED_ROWS = 1_000
"""Rows of a batch whose requests may hold pictures: unpacked they are a hundred times what they were."""


class Answering:
    """Everything that the routes of one use case need."""

    def __init__(
        self, use_case: UseCase, slot: Slot, context: ContextSource, counters: Counters, batch_rows: int
    ) -> None:
        self.use_case = use_case
        self.slot = slot
        self.request = finite(use_case.request)
        self._validate = self.request.__pydantic_validator__.validate_python
        self._allowed = Allowed(self.request)
        self._context = context
        self._counters = counters
        self._batch_rows = batch_rows
        self._zone = use_case.zone or "UTC"
        self.pictures = images(self.request)
        if self.pictures:
            self._batch_rows = min(batch_rows, MOST_PICTURED_ROWS)
        self._times = [name for name, kind in kinds(self.request).items() if kind == "time"]
        self.incidents = Incidents(use_case.request)
        self._decides = [target.name for target in use_case.targets if isinstance(target.output, Probability)]
        self._decided: dict[tuple[bool, ...], Decided] = {}
        self._refused_rows = {kind: counters.refused_rows.labels(use_case.name, kind).inc for kind in KINDS}
        self._observe_together = counters.together.labels(use_case.name).observe
        self._counted: dict[tuple[str, str, str, str], Callable[[float], None]] = {}

    def one(self, payload: Any, request_id: str) -> bytes:
        """Answer one request.

        Raises:
            RefusedError: it is not valid.
        """
        self.incidents.take(payload)
        return self.together([Call(self.fields(payload), request_id)])[0].body

    def together(self, calls: Sequence[Call]) -> list[Answered]:
        """Answer validated calls with one prediction, all from one ``Serving``. A call that the model
        fails on is answered by the baseline, and the others are not touched by it."""
        serving = self.slot.serving
        source = self.slot.source(serving)
        model = serving.model
        self._observe_together(len(calls))
        if model is None:
            return [self._from_baseline(source, call, []) for call in calls]
        try:
            rows = model.predict_each([call.fields for call in calls], self._context.snapshot())
        except Exception:  # noqa: BLE001 - rule 7: the answer always comes
            if len(calls) > 1:
                return [self.together([call])[0] for call in calls]
            return [self._rescued(model, calls[0])]
        return [self._answered(serving, source, call, found) for call, found in zip(calls, rows, strict=True)]

    def batch(self, payload: Any, request_id: str, kind: CallKind = LIVE) -> AnsweredBatch:
        """Answer many requests with one prediction; rows that are not valid get their reasons.

        Raises:
            RefusedError: the body is not a list of rows.
        """
        rows, errors = self._rows(payload, kind)
        serving = self.slot.serving
        model = serving.model
        source = self.slot.source(serving)
        warnings: list[dict[str, Any]] = []
        try:
            answers, decisions = self._answers(model, rows)
        except Exception:
            if model is None:
                raise
            self._failed(model, request_id, kind, len(rows))
            serving, source, warnings = Serving(), "baseline", [_FAILED]
            answers, decisions = self._answers(None, rows)
        words = [decided.word for decided in decisions]
        envelope = self._envelope(serving, source, request_id, kind, warnings=warnings, body={}, decisions=words)
        told = envelope[:-1] + b',"errors":' + to_json(errors) + b',"answers":[' + b",".join(answers) + b"]}"
        recorded = [
            BatchRow(row.position, row.request, row.incident, decided.by_target, answer, watched)
            for row, decided, answer, watched in zip(
                rows, decisions, answers, self.watched([row.fields for row in rows]), strict=True
            )
        ]
        return AnsweredBatch(told, envelope, recorded)

    def explain(self, payload: Any, request_id: str, kind: CallKind = LIVE) -> bytes:
        """Answer one request and say what each input adds to each target. Not for the event loop.

        Raises:
            RefusedError: the request is not valid.
        """
        self.incidents.take(payload)
        fields = self.fields(payload, kind)
        serving = self.slot.serving
        model = serving.model
        source = self.slot.source(serving)
        warnings: list[dict[str, Any]] = []
        explained = baseline_explained(self.use_case, fields)
        values, facts = self.use_case.baseline(fields)
        if model is not None:
            context = self._context.snapshot()
            try:
                explained = model.explain_row(fields, context)
                values, facts = model.predict_each([fields], context)[0]
                warnings = self._warnings(model, fields)
            except Exception:  # noqa: BLE001 - rule 7: the answer always comes
                self._failed(model, request_id, kind, 1)
                serving, source, warnings = Serving(), "baseline", [_FAILED]
        targets = {
            name: {"unit": unit, "outputs": [output._asdict() for output in outputs]}
            for name, (unit, outputs) in explained.items()
        }
        body = {"answer": self.use_case.compose(values, facts, fields), "targets": targets}
        return self._envelope(
            serving, source, request_id, kind, warnings=warnings, body=body, decisions=[self._decide(values).word]
        )

    def fields(self, payload: Any, kind: CallKind = LIVE) -> Fields:
        """The validated fields of one request; times without a zone are the use case's own, and pictures are unpacked.

        Raises:
            RefusedError: 422 with field, reason and what is allowed.
        """
        try:
            fields: dict[str, Any] = self._validate(payload).__dict__
            for name in self._times:
                moment = fields[name]
                if moment is not None and moment.tzinfo is None:
                    fields[name] = in_zone(moment, self._zone)
            if self.pictures:
                unpack(self.pictures, fields)
        except PictureError as error:
            faults = [fault(error.code, error.problem, field=error.field, allowed=error.allowed)]
        except ValidationError as error:
            faults = self._allowed.faults(error)
        except OverflowError:
            faults = [fault("out_of_range", "A number or a time is too large or too small.")]
        else:
            return fields
        self._refused_rows[kind](1)
        raise RefusedError(422, faults)

    def kept(self, payload: Any, fields: Fields) -> Any:
        """A valid request as it may be written down: of a picture only which one it was."""
        if not self.pictures:
            return payload
        digests = {name: DIGEST + fields[name].sha256 for name in self.pictures if fields[name] is not None}
        return {**payload, **digests}

    def watched(self, every: Sequence[Fields]) -> list[bytes]:
        """What drift looks at of each request, as JSON; nothing where the use case derives nothing. A failure costs
        the figures, not the answer."""
        if not self.use_case.watched:
            return [b""] * len(every)
        model = self.slot.serving.model
        try:
            found = derived(self.use_case, from_rows(self.request, every), model.predictor.fitted if model else None)
            return [to_json(row) for row in as_rows(found)]
        except Exception:
            log.error("nothing derived for drift", use_case=self.use_case.name, rows=len(every), exc_info=True)
            return [b""] * len(every)

    def _rows(self, payload: Any, kind: CallKind) -> tuple[list[_Row], list[dict[str, Any]]]:
        limit = f"between 1 and {self._batch_rows} rows"
        if not isinstance(payload, dict) or not isinstance(payload.get("rows"), list):
            raise refused(422, "missing", "A batch is an object with a list of rows.", field="rows", allowed=limit)
        if len(payload) > 1:
            raise refused(422, "extra_forbidden", "A batch holds rows and nothing else.", allowed="rows")
        given = payload["rows"]
        if not 1 <= len(given) <= self._batch_rows:
            raise refused(422, "too_long", f"The batch has {len(given)} rows.", field="rows", allowed=limit)
        rows: list[_Row] = []
        errors: list[dict[str, Any]] = []
        for index, item in enumerate(given):
            try:
                incident = self.incidents.take(item)
                fields = self.fields(item, kind)
                rows.append(_Row(index, self.kept(item, fields), incident, fields))
            except RefusedError as error:
                errors.append({"index": index, "errors": error.faults})
        return rows, errors

    def _answers(self, model: Model | None, rows: Sequence[_Row]) -> tuple[list[bytes], list[Decided]]:
        """Each row's JSON and decision. One by one, because writing ten thousand rows at a stroke would
        hold the interpreter for long, and with it the single calls beside the batch."""
        answers, decisions = [], []
        every = [row.fields for row in rows]
        if model is None:
            found = [self.use_case.baseline(fields) for fields in every]
        else:
            found = model.predict_each(every, self._context.snapshot()) if every else []
        for row, (values, facts) in zip(rows, found, strict=True):
            warnings = [] if model is None else self._warnings(model, row.fields)
            answer = self.use_case.compose(values, facts, row.fields)
            answers.append(to_json({"index": row.position, "answer": answer, "warnings": warnings}))
            decisions.append(self._decide(values))
        return answers, decisions

    def _answered(self, serving: Serving, source: Source, call: Call, found: Row) -> Answered:
        fields, request_id, kind = call
        values, facts = found
        assert serving.model is not None
        try:
            warnings = self._warnings(serving.model, fields)
            answer = self.use_case.compose(values, facts, fields)
            decided = self._decide(values)
        except Exception:  # noqa: BLE001 - rule 7: the answer always comes
            return self._rescued(serving.model, call)
        body = {"answer": answer}
        told = self._envelope(
            serving, source, request_id, kind, warnings=warnings, body=body, decisions=(decided.word,)
        )
        return Answered(told, decided.by_target)

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
        decided = self._decide(values)
        told = self._envelope(
            Serving(), source, request_id, kind, warnings=warnings, body=body, decisions=(decided.word,)
        )
        return Answered(told, decided.by_target)

    def _decide(self, values: Mapping[str, Value]) -> Decided:
        """What the targets that decide say; kept, because there are few ways to decide and many calls."""
        said = []
        for name in self._decides:
            value = values[name]
            assert isinstance(value, ProbabilityValue)
            said.append(bool(value.decision))
        key = tuple(said)
        found = self._decided.get(key)
        if found is None:
            word = "none" if not said else "yes" if said[0] else "no"
            found = Decided(word, to_json(dict(zip(self._decides, said, strict=True))))
            self._decided[key] = found
        return found

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

    def _envelope(
        self,
        serving: Serving,
        source: Source,
        request_id: str,
        kind: CallKind,
        *,
        warnings: list[dict[str, Any]],
        body: dict[str, Any],
        decisions: Sequence[str],
    ) -> bytes:
        version = serving.version
        if len(decisions) == 1:
            self._count(version, source, decisions[0], kind)(1)
        else:
            for decision in set(decisions):
                self._count(version, source, decision, kind)(decisions.count(decision))
        return to_json(
            {
                "request_id": request_id,
                "use_case": self.use_case.name,
                "model_version": version,
                "source": source,
                "kind": kind,
                "simulated": serving.simulated,
                "warnings": warnings,
                **body,
            }
        )

    def _count(self, version: str, source: str, decision: str, kind: CallKind) -> Callable[[float], None]:
        """The counter's child, kept: looking it up by labels costs more than counting."""
        key = (version, source, decision, kind)
        found = self._counted.get(key)
        if found is None:
            found = self._counters.predictions.labels(self.use_case.name, *key).inc
            self._counted[key] = found
        return found
