"""Actions on models: approving, promoting, rolling back, and freezing promotions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from services.core.auth.principal import Role
from services.core.contract.use_case import UseCase
from services.core.model_registry.version import Tag
from services.dashboard.api.client import LONG_TIMEOUT, Service
from services.dashboard.components.confidence import active_withdrawals, withdrawal_extent, withdrawal_notices
from services.dashboard.components.feedback import ConfirmedAction, confirm_button, notice
from services.dashboard.session import Session

AWAITING_APPROVAL = "awaiting_approval"
_RUNS_FETCHED = 10


# --- promoting and rolling back ---------------------------------------------------------------------


def promote_button(
    session: Session, use_case: UseCase, chosen: Mapping[str, Any], champion: Mapping[str, Any] | None
) -> None:
    words, number = session.words, chosen["number"]
    old = words("models.the_baseline")
    if champion is not None:
        old = words("models.the_version", number=champion["number"])
    points = []
    outcome = chosen["tags"].get(Tag.GATE)
    if outcome == "refused":
        points.append(words("models.promote_refused"))
    elif outcome != "passed":
        points.append(words("models.promote_unjudged"))
    if chosen["simulated"]:
        points.append(words("models.promote_simulated"))
    if champion is not None:
        points.append(words("models.promote_back", old=old))

    def do(reason: str, key: str) -> str:
        path = f"/admin/models/{use_case.name}/promote"
        answer = _post_and_wait(session, path, {"version": number, "reason": reason}, key)
        return _job_message(session, use_case, answer, "models.promoted", number)

    confirm_button(
        session,
        ConfirmedAction(
            key=f"promote-{use_case.name}-{number}",
            button=words("models.promote", number=number),
            title=words("models.promote_title", number=number),
            consequence=words(
                "models.promote_text", title=words.of(use_case.presentation.title), number=number, old=old
            ),
            points=points,
            reason=words("asking.reason"),
            do=do,
            icon=":material/publish:",
        ),
    )


def rollback_button(
    session: Session, use_case: UseCase, champion: Mapping[str, Any], previous: Mapping[str, Any]
) -> None:
    words, number = session.words, previous["number"]

    def do(reason: str, key: str) -> str:
        answer = _post_and_wait(session, f"/admin/models/{use_case.name}/rollback", {"reason": reason}, key)
        return _job_message(session, use_case, answer, "models.rolled", number)

    text = words(
        "models.roll_back_text", title=words.of(use_case.presentation.title), number=number, old=champion["number"]
    )
    confirm_button(
        session,
        ConfirmedAction(
            key=f"rollback-{use_case.name}-{champion['number']}",
            button=words("models.roll_back", number=number),
            title=words("models.roll_back_title", number=number),
            consequence=text,
            reason=words("asking.reason"),
            do=do,
            icon=":material/undo:",
        ),
    )


def _post_and_wait(session: Session, path: str, body: dict[str, Any], key: str) -> dict[str, Any]:
    """Start the job; the gateway's response waits for its end, at most half a minute."""
    answer = session.client.ask(
        "POST", Service.GATEWAY, path, body=body, headers={"Idempotency-Key": key}, timeout=LONG_TIMEOUT
    )
    found: dict[str, Any] = answer.json()
    return found


def _job_message(session: Session, use_case: UseCase, answer: Mapping[str, Any], done: str, number: int) -> str:
    session.forget(f"served-{use_case.name}")
    session.forget(f"/admin/models/{use_case.name}/versions/{number}")
    if answer["state"] == "succeeded":
        return session.words(done, number=(answer.get("result") or {}).get("version", number))
    if answer["state"] in {"queued", "running"}:
        return session.words("models.goes_on")
    problem = (answer.get("error") or {}).get("problem") or answer["state"]
    return session.words("models.did_not", problem=problem)


# --- emergency stop ---------------------------------------------------------------------------------


def stop_panel(session: Session, use_case: UseCase, champion: int | None) -> None:
    """What is withdrawn, and for operators of all centres the buttons that withdraw and restore advice."""
    words, active = session.words, active_withdrawals(session, use_case)
    withdrawal_notices(session, use_case, active)
    if not session.has_platform_role(Role.OPERATOR):
        return
    for entry in active:
        confirm_button(session, _restore(session, use_case, entry))
    scopes = [(None, None), *((target.name, None) for target in use_case.modelling.targets), (None, champion)]
    extents = [{"target": target, "version": version} for target, version in dict.fromkeys(scopes)]
    chosen = st.selectbox(
        words("models.stop_what"),
        range(len(extents)),
        format_func=lambda place: withdrawal_extent(session, use_case, extents[place]),
        key=f"stop-what-{use_case.name}",
    )
    confirm_button(session, _stop(session, use_case, extents[chosen or 0]))


def _stop(session: Session, use_case: UseCase, extent: Mapping[str, Any]) -> ConfirmedAction:
    words = session.words
    what, title = withdrawal_extent(session, use_case, extent), words.of(use_case.presentation.title)

    def do(reason: str, _: str) -> str:
        body = {"use_case": use_case.name, **extent, "reason": reason}
        session.client.post(Service.GATEWAY, "/admin/withdrawals", body)
        session.forget("withdrawn")
        return words("models.stopped")

    return ConfirmedAction(
        key=f"stop-{use_case.name}",
        button=words("models.stop"),
        title=words("models.stop_title"),
        consequence=words("models.stop_text", title=title, what=what),
        do=do,
        reason=words("asking.reason"),
        least=3,
        tone="bad",
        icon=":material/front_hand:",
    )


def _restore(session: Session, use_case: UseCase, entry: Mapping[str, Any]) -> ConfirmedAction:
    words = session.words

    def do(reason: str, _: str) -> str:
        path = f"/admin/withdrawals/{entry['id']}"
        session.client.ask("DELETE", Service.GATEWAY, path, parameters={"reason": reason})
        session.forget("withdrawn")
        return words("models.restored")

    return ConfirmedAction(
        key=f"restore-{entry['id']}",
        button=words("models.restore", what=withdrawal_extent(session, use_case, entry)),
        title=words("models.restore_title"),
        consequence=words("models.restore_text"),
        do=do,
        reason=words("asking.reason"),
        least=3,
    )


# --- freezing ---------------------------------------------------------------------------------------


def freeze_panel(session: Session) -> None:
    words = session.words
    state = session.client.get(Service.GATEWAY, "/admin/freeze")
    if state["frozen"]:
        since = session.formats.moment(state["since"])
        notice(
            "warn",
            words("models.frozen"),
            words("models.frozen_text", by=state["by"], since=f"{since} UTC", reason=state["reason"]),
        )
        if session.has_platform_role(Role.ADMIN):
            confirm_button(session, _unfreeze(session))
    elif session.has_platform_role(Role.OPERATOR):
        confirm_button(session, _freeze(session))


def _freeze(session: Session) -> ConfirmedAction:
    words = session.words

    def do(reason: str, _: str) -> str:
        session.client.post(Service.GATEWAY, "/admin/freeze", {"reason": reason})
        return words("models.froze")

    return ConfirmedAction(
        key="freeze",
        button=words("models.freeze"),
        title=words("models.freeze_title"),
        consequence=words("models.freeze_text"),
        reason=words("asking.reason"),
        least=3,
        do=do,
        icon=":material/ac_unit:",
    )


def _unfreeze(session: Session) -> ConfirmedAction:
    words = session.words

    def do(_: str, __: str) -> str:
        session.client.delete(Service.GATEWAY, "/admin/freeze")
        return words("models.thawed")

    return ConfirmedAction(
        key="thaw",
        button=words("models.thaw"),
        title=words("models.thaw_title"),
        consequence=words("models.thaw_text"),
        do=do,
    )


# --- approving --------------------------------------------------------------------------------------


def approvals(session: Session, use_case: UseCase) -> None:
    """Retraining runs of the use case that wait for approval."""
    found = session.client.get(Service.GATEWAY, "/admin/retrainings", use_case=use_case.name, limit=_RUNS_FETCHED)
    for run in found["runs"]:
        if run["backend"] == "airflow" and run["state"] == "running" and run["options"].get("require_approval"):
            # Whether an Airflow run waits is only in the run's own resource.
            run = session.client.get(Service.GATEWAY, f"/admin/retrainings/{run['id']}")  # noqa: PLW2901
        if run["state"] == AWAITING_APPROVAL:
            _waiting(session, use_case, run)


def _waiting(session: Session, use_case: UseCase, run: Mapping[str, Any]) -> None:
    words, version = session.words, _version_of(session, run)
    at = f"{session.formats.moment(run['created'])} UTC"
    title = f"{words('models.waits')} ({version})"
    notice("warn", title, words("models.waits_text", by=run["requested_by"], at=at), _reasons(run))

    def answer(word: str) -> None:
        session.client.post(Service.GATEWAY, f"/admin/retrainings/{run['id']}/{word}")

    def approve(_: str, __: str) -> str:
        answer("approve")
        return words("models.approved")

    def reject(_: str, __: str) -> str:
        answer("reject")
        return words("models.rejected")

    text = words("models.approve_text", version=version, title=words.of(use_case.presentation.title))
    with st.container(horizontal=True):
        confirm_button(
            session,
            ConfirmedAction(
                key=f"approve-{run['id']}",
                button=words("models.approve"),
                title=words("models.approve_title"),
                consequence=text,
                do=approve,
                primary=True,
                icon=":material/check:",
            ),
        )
        confirm_button(
            session,
            ConfirmedAction(
                key=f"reject-{run['id']}",
                button=words("models.reject"),
                title=words("models.reject_title"),
                consequence=words("models.reject_text"),
                do=reject,
                icon=":material/close:",
            ),
        )


def _gate(run: Mapping[str, Any]) -> Mapping[str, Any]:
    return next((step.get("result") or {} for step in run["steps"] if step["step"] == "gate"), {})


def _version_of(session: Session, run: Mapping[str, Any]) -> str:
    number = _gate(run).get("version")
    if number is None:
        return session.words("models.its_model")
    return session.words("models.version_n", number=number)


def _reasons(run: Mapping[str, Any]) -> list[str]:
    return [str(reason) for reason in _gate(run).get("reasons", [])]
