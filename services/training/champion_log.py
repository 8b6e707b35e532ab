"""Every change of a champion goes into the audit log, whoever asked for it: a person, a schedule or the gate."""

from __future__ import annotations

from services.core.access.audit import AuditEntry
from services.core.access.audit_outbox import folder_of, keep
from services.core.jobs.child import Task
from services.core.registry.version import Version

SERVICE = "training"


def champion_changed(task: Task, before: Version | None, after: Version, how: str) -> None:
    """Keep an entry for the gateway, which takes it when it can be reached. ``how``: gate, by hand or rollback."""
    if before is not None and before.number == after.number:
        return
    entry = AuditEntry(
        service=SERVICE,
        actor_kind="user" if task.requested_by else "",
        actor_name=task.requested_by[:120],
        action="champion.changed",
        use_case=task.use_case,
        target=f"version {after.number}",
        details={"before": None if before is None else before.number, "how": how, "job": task.id},
    )
    keep(folder_of(task.home, SERVICE), entry)
