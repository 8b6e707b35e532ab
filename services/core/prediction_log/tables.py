"""Tables of the prediction log: answered predictions and reported outcomes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Boolean, Index, Integer, String, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.core.database.connection import Base, Json

ID = Uuid(as_uuid=False)
NAME = String(64)
CALLER = String(128)
JsonOrNull = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
"""JSON column that stores None as SQL NULL, not as the JSON text ``null``."""


class PredictionRow(Base):
    """One answered call, or one row of a batch. ``id`` is derived from centre, use case, request id and
    body, so that a record that is delivered twice is stored once."""

    __tablename__ = "predictions"
    __table_args__ = (
        Index("ix_predictions_of_centre", "use_case", "centre", "received_at", "id"),
        Index("ix_predictions_of_use_case", "use_case", "received_at", "id"),
        Index("ix_predictions_of_kind", "use_case", "kind", "received_at", "id"),
        Index("ix_predictions_of_caller", "use_case", "caller_id", "received_at"),
        Index("ix_predictions_of_incident", "use_case", "centre", "incident_id"),
        Index("ix_predictions_of_request", "use_case", "centre", "request_id"),
    )

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    use_case: Mapped[str] = mapped_column(NAME)
    centre: Mapped[str] = mapped_column(NAME)
    caller_kind: Mapped[str] = mapped_column(String(16))
    caller_id: Mapped[str] = mapped_column(CALLER)
    request_id: Mapped[str] = mapped_column(NAME)
    row_index: Mapped[int | None] = mapped_column(Integer)
    """Position in the batch; None for a single call."""
    incident_id: Mapped[str | None] = mapped_column(NAME)
    """The centre's own id. Predictions with the same id belong to the same call; the latest one counts."""
    received_at: Mapped[datetime]
    stored_at: Mapped[datetime | None]
    """When it came into the database, which may be long after; None for rows of release 0.1.0."""
    latency_us: Mapped[int] = mapped_column(Integer)
    model_version: Mapped[str] = mapped_column(NAME)
    source: Mapped[str] = mapped_column(String(16))
    kind: Mapped[str] = mapped_column(String(16), server_default="live")
    """Traffic type (``services.core.headers``): live, exercise or simulated."""
    simulated: Mapped[bool] = mapped_column(Boolean)
    """Whether the model was trained on simulated data."""
    risk: Mapped[bool | None] = mapped_column(Boolean)
    """Whether any of the use case's decisions is positive; None if it has none."""
    pseudonymised: Mapped[bool] = mapped_column(Boolean)
    request: Mapped[dict[str, Any]] = mapped_column(Json)
    """The request as sent, without keys that are no field of the use case."""
    answer: Mapped[dict[str, Any]] = mapped_column(Json)
    predictions: Mapped[dict[str, Any] | None] = mapped_column(JsonOrNull)
    """Target -> its typed prediction; None for calls recorded by release 0.1.0."""
    decisions: Mapped[dict[str, Any]] = mapped_column(Json)
    """Target -> decision, of targets that have one."""
    warnings: Mapped[list[Any]] = mapped_column(Json)
    watched: Mapped[dict[str, Any] | None] = mapped_column(JsonOrNull)
    """Derived columns for drift detection, of use cases that declare some."""


class OutcomeRow(Base):
    """An outcome that a centre reported about one of its calls, identified by exactly one of ``prediction_id``,
    ``request_id`` (with ``row_index`` in a batch) and ``incident_id``. It may arrive before its prediction.
    A later report of the same call supersedes this one label by label; rows are never updated."""

    __tablename__ = "outcomes"
    __table_args__ = (
        Index("ix_outcomes_of_prediction", "use_case", "centre", "prediction_id"),
        Index("ix_outcomes_of_request", "use_case", "centre", "request_id"),
        Index("ix_outcomes_of_incident", "use_case", "centre", "incident_id"),
        Index("ix_outcomes_of_use_case", "use_case", "received_at", "id"),
    )

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    use_case: Mapped[str] = mapped_column(NAME)
    centre: Mapped[str] = mapped_column(NAME)
    caller_kind: Mapped[str] = mapped_column(String(16))
    caller_id: Mapped[str] = mapped_column(CALLER)
    prediction_id: Mapped[str | None] = mapped_column(ID)
    request_id: Mapped[str | None] = mapped_column(NAME)
    row_index: Mapped[int | None] = mapped_column(Integer)
    incident_id: Mapped[str | None] = mapped_column(NAME)
    received_at: Mapped[datetime]
    stored_at: Mapped[datetime | None]
    """When it came into the database, which may be long after; None for rows of release 0.1.0."""
    happened_at: Mapped[datetime | None]
    kind: Mapped[str] = mapped_column(String(16), server_default="live")
    """Traffic type of the call that this is about, as stated by the sender."""
    simulated: Mapped[bool] = mapped_column(Boolean)
    """Whether the sender declared the outcome as simulated."""
    labels: Mapped[dict[str, Any]] = mapped_column(Json)
    """Target -> observed value in the caller's terms; null retracts an earlier one."""
    override: Mapped[str | None] = mapped_column(Text)
    """Why the centre overrode the answer, in its own words; None if it did not."""
