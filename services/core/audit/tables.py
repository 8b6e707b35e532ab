"""Tables of the audit log: entries and the head of their hash chain."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from services.core.database.base import DIGEST, NAME, WORD, Base


class AuditEntryRow(Base):
    """An audit entry; triggers reject updates and deletes. ``details`` is canonical JSON text, so that the stored text
    is the hashed one."""

    __tablename__ = "audit_entries"
    __table_args__ = (Index("ix_audit_entries_action_time", "action", "time"),)

    sequence: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=False
    )
    id: Mapped[str] = mapped_column(String(DIGEST), unique=True)
    time: Mapped[datetime] = mapped_column(index=True)
    service: Mapped[str] = mapped_column(String(WORD))
    actor_kind: Mapped[str] = mapped_column(String(WORD))
    actor_id: Mapped[str] = mapped_column(String(NAME))
    actor_name: Mapped[str] = mapped_column(String(NAME), index=True)
    centre: Mapped[str] = mapped_column(String(NAME))
    action: Mapped[str] = mapped_column(String(80))
    use_case: Mapped[str] = mapped_column(String(NAME), index=True)
    target: Mapped[str] = mapped_column(String(200))
    address: Mapped[str] = mapped_column(String(80))
    request_id: Mapped[str] = mapped_column(String(80))
    outcome: Mapped[str] = mapped_column(String(WORD))
    details: Mapped[str] = mapped_column(Text)
    previous_hash: Mapped[str] = mapped_column(String(DIGEST))
    hash: Mapped[str] = mapped_column(String(DIGEST), unique=True)


class AuditHeadRow(Base):
    """One row: sequence and hash of the newest entry with an HMAC whose key is not in the database."""

    __tablename__ = "audit_head"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sequence: Mapped[int] = mapped_column(BigInteger)
    hash: Mapped[str] = mapped_column(String(DIGEST))
    mac: Mapped[str] = mapped_column(String(DIGEST))
