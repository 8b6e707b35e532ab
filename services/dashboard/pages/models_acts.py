"""What people do about models: approve, promote, roll back, freeze. Each says first what follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from services.core.access.roles import Role
from services.core.registry.version import Tag
from services.core.usecases.contract import UseCase
from services.dashboard.client import LONG_SECONDS, Service
from services.dashboard.confirm import Action, offer
from services.dashboard.session import Session
from services.dashboard.states import notice

AWAITING = "awaiting_approval"
_LOOKED_AT = 10


# --- promoting and rolling back ---------------------------------------------------------------------


def promoting(
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
        answer = _act(session, path, {"version": number, "reason": reason}, key)
        return _came(session, use_case, answer, "models.promoted", number)

    offer(
        session,
        Action(
            key=f"promote-{use_case.name}-{number}",
            button=words("models.promote", number=number),
            title=words("models.promote_title", number=number),
            consequence=words("models.promote_text", title=words.of(use_case.title), number=number, old=old),
            points=points,
            reason=words("asking.reason"),
            do=do,
            icon=":material/publish:",
        ),
    )


def rolling_back(session: Session, use_case: UseCase, champion: Mapping[str, Any], previous: Mapping[str, Any]) -> None:
    words, number = session.words, previous["number"]

    def do(reason: str, key: str) -> str:
        answer = _act(session, f"/admin/models/{use_case.name}/rollback", {"reason": reason}, key)
        return _came(session, use_case, answer, "models.rolled", number)

    text = words("models.roll_back_text", title=words.of(use_case.title), number=number, old=champion["number"])
    offer(
        session,
        Action(
            key=f"rollback-{use_case.name}-{champion['number']}",
            button=words("models.roll_back", number=number),
            title=words("models.roll_back_title", number=number),
            consequence=text,
            reason=words("asking.reason"),
            do=do,
            icon=":material/undo:",
        ),
    )


def _act(session: Session, path: str, body: dict[str, Any], key: str) -> dict[str, Any]:
    """The gateway waits for the end of the job, half a minute at most."""
    answer = session.client.ask(
        "POST", Service.GATEWAY, path, body=body, headers={"Idempotency-Key": key}, timeout=LONG_SECONDS
    )
    found: dict[str, Any] = answer.json()
    return found


def _came(session: Session, use_case: UseCase, answer: Mapping[str, Any], done: str, number: int) -> str:
    session.forget(f"served-{use_case.name}")
    session.forget(f"/admin/models/{use_case.name}/versions/{number}")
    if answer["state"] == "succeeded":
        return session.words(done, number=(answer.get("result") or {}).get("version", number))
    if answer["state"] in {"queued", "running"}:
        return session.words("models.goes_on")
    problem = (answer.get("error") or {}).get("problem") or answer["state"]
    return session.words("models.did_not", problem=problem)


# --- freezing ---------------------------------------------------------------------------------------


def freezing(session: Session) -> None:
    words = session.words
    state = session.client.get(Service.GATEWAY, "/admin/freeze")
    if state["frozen"]:
        since = session.formats.moment(state["since"])
        notice(
            "warn",
            words("models.frozen"),
            words("models.frozen_text", by=state["by"], since=f"{since} UTC", reason=state["reason"]),
        )
        if session.may(Role.ADMIN):
            offer(session, _thaw(session))
    elif session.may(Role.OPERATOR):
        offer(session, _freeze(session))


def _freeze(session: Session) -> Action:
    words = session.words

    def do(reason: str, _: str) -> str:
        session.client.post(Service.GATEWAY, "/admin/freeze", {"reason": reason})
        return words("models.froze")

    return Action(
        key="freeze",
        button=words("models.freeze"),
        title=words("models.freeze_title"),
        consequence=words("models.freeze_text"),
        reason=words("asking.reason"),
        least=3,
        do=do,
        icon=":material/ac_unit:",
    )


def _thaw(session: Session) -> Action:
    words = session.words

    def do(_: str, __: str) -> str:
        session.client.delete(Service.GATEWAY, "/admin/freeze")
        return words("models.thawed")

    return Action(
        key="thaw",
        button=words("models.thaw"),
        title=words("models.thaw_title"),
        consequence=words("models.thaw_text"),
        do=do,
    )


# --- approving --------------------------------------------------------------------------------------


def approvals(session: Session, use_case: UseCase) -> None:
    """Retrainings of the use case that wait for a person."""
    found = session.client.get(Service.GATEWAY, "/admin/retrainings", use_case=use_case.name, limit=_LOOKED_AT)
    for run in found["runs"]:
        if run["backend"] == "airflow" and run["state"] == "running" and run["options"].get("require_approval"):
            # Whether a run of Airflow's waits is known of each alone.
            run = session.client.get(Service.GATEWAY, f"/admin/retrainings/{run['id']}")  # noqa: PLW2901
        if run["state"] == AWAITING:
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

    text = words("models.approve_text", version=version, title=words.of(use_case.title))
    with st.container(horizontal=True):
        offer(
            session,
            Action(
                key=f"approve-{run['id']}",
                button=words("models.approve"),
                title=words("models.approve_title"),
                consequence=text,
                do=approve,
                primary=True,
                icon=":material/check:",
            ),
        )
        offer(
            session,
            Action(
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
