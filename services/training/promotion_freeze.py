"""Promotions stop while an operator has frozen them."""

from __future__ import annotations

from sqlalchemy.exc import SQLAlchemyError

from services.core.access.freeze import frozen
from services.core.database.connection import address, make_engine
from services.core.errors import ConflictError, UnavailableError
from services.core.settings import Settings


def refuse_while_frozen(settings: Settings) -> None:
    """
    Raises:
        ConflictError: promotions are frozen.
        UnavailableError: the database cannot say whether they are; nothing is promoted then.
    """
    engine = make_engine(address(settings.database_url, settings.home))
    try:
        freeze = frozen(engine)
    except SQLAlchemyError as error:
        raise UnavailableError(
            f"Whether promotions are frozen cannot be read ({type(error).__name__}), so nothing is promoted.",
            expected="the platform's database",
            action="See VIGIE_DATABASE_URL, then retry the job.",
        ) from error
    finally:
        engine.dispose()
    if freeze is not None:
        raise ConflictError(
            f"Promotions are frozen since {freeze.since:%Y-%m-%d %H:%M} UTC by {freeze.by}: {freeze.reason}",
            expected="promotions that are not frozen",
            action="Promote when the freeze is lifted (DELETE /admin/freeze); a rollback works all the same.",
        )
