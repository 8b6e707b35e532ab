"""From a parsed body to valid fields, for one use case: single requests, and the rows of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError

from services.core.calls.kinds import KINDS, LIVE, CallKind
from services.core.calls.records import DIGEST
from services.core.usecases.columns import images, kinds
from services.core.usecases.contract import UseCase
from services.core.usecases.pictures import PictureError, unpack
from services.core.usecases.zones import in_zone
from services.prediction.counters import Counters
from services.prediction.faults import Allowed, RefusedError, fault, refused
from services.prediction.incidents import Incidents
from services.prediction.schemas import finite

Fields = Mapping[str, Any]

MOST_PICTURED_ROWS = 1_000
"""Rows of a batch whose requests may hold pictures: unpacked they are a hundred times what they were."""


class ValidRow(NamedTuple):
    """A valid row of a batch."""

    position: int
    request: dict[str, Any]
    incident: str | None
    fields: Fields


class Validation:
    """``request`` is the use case's request model, ``pictures`` are its fields that hold one."""

    def __init__(self, use_case: UseCase, counters: Counters, batch_rows: int) -> None:
        self.request = finite(use_case.request)
        self._validate = self.request.__pydantic_validator__.validate_python
        self._allowed = Allowed(self.request)
        self._batch_rows = batch_rows
        self._zone = use_case.zone or "UTC"
        self.pictures = images(self.request)
        if self.pictures:
            self._batch_rows = min(batch_rows, MOST_PICTURED_ROWS)
        self._times = [name for name, kind in kinds(self.request).items() if kind == "time"]
        self.incidents = Incidents(use_case.request)
        self._refused_rows = {kind: counters.refused_rows.labels(use_case.name, kind).inc for kind in KINDS}

    def take(self, payload: Any, kind: CallKind = LIVE) -> tuple[str | None, Any, Fields]:
        """The incident id of one request, the request without it, and its validated fields.

        Raises:
            RefusedError: 422 with field, reason and what is allowed.
        """
        incident, request = self.incidents.split(payload)
        return incident, request, self.fields(request, kind)

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

    def rows(self, payload: Any, kind: CallKind) -> tuple[list[ValidRow], list[dict[str, Any]]]:
        """The valid rows of a batch, and what is wrong with the others.

        Raises:
            RefusedError: the body is not a list of rows.
        """
        limit = f"between 1 and {self._batch_rows} rows"
        if not isinstance(payload, dict) or not isinstance(payload.get("rows"), list):
            raise refused(422, "missing", "A batch is an object with a list of rows.", field="rows", allowed=limit)
        if len(payload) > 1:
            raise refused(422, "extra_forbidden", "A batch holds rows and nothing else.", allowed="rows")
        given = payload["rows"]
        if not 1 <= len(given) <= self._batch_rows:
            raise refused(422, "too_long", f"The batch has {len(given)} rows.", field="rows", allowed=limit)
        rows: list[ValidRow] = []
        errors: list[dict[str, Any]] = []
        for index, item in enumerate(given):
            try:
                incident, request, fields = self.take(item, kind)
                rows.append(ValidRow(index, self.kept(request, fields), incident, fields))
            except RefusedError as error:
                errors.append({"index": index, "errors": error.faults})
        return rows, errors
