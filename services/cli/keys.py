"""``./vigie keys``: API keys without the gateway's pages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from services.cli.access import OPERATOR, opened_gateway
from services.cli.arguments import AsJson
from services.cli.console import err, out, print_json
from services.core.access.roles import Role

app = typer.Typer(help="Make, list and revoke API keys.", no_args_is_help=True)


@app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What people call the key.")],
    centre: Annotated[str, typer.Option(help="The centre that it is for.")] = "default",
    role: Annotated[Role, typer.Option(help="What the key may do.")] = Role.DISPATCHER,
    use_cases: Annotated[str, typer.Option(help="Only these use cases, comma-separated.")] = "",
    days: Annotated[int, typer.Option(min=1, max=3_650, help="How long it lives.")] = 365,
) -> None:
    """Make a key and show it, this once."""
    from services.gateway import keys  # noqa: PLC0415 - its libraries take a second
    from services.gateway.trail import Origin  # noqa: PLC0415

    chosen, now = [part.strip() for part in use_cases.split(",") if part.strip()], datetime.now(UTC)
    with opened_gateway() as gateway, gateway.transaction() as session:
        made = keys.create(
            session,
            name=name,
            role=role,
            centre=centre,
            use_cases=chosen or None,
            expires_at=now + timedelta(days=days),
            created_by=OPERATOR.name,
            now=now,
        )
        gateway.trail.add(
            session, Origin(), "key.created", by=OPERATOR, target=f"key {made.row.id}", name=name, role=str(role)
        )
    err.print(f"Key {made.row.id}, until {made.row.expires_at:%Y-%m-%d}. It is not shown again:", markup=False)
    out.print(made.text, markup=False)


@app.command()
def revoke(key_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """End a key; it stops working everywhere within a minute."""
    from services.gateway import keys  # noqa: PLC0415
    from services.gateway.trail import Origin  # noqa: PLC0415

    with opened_gateway() as gateway, gateway.transaction() as session:
        keys.revoke(session, key_id, datetime.now(UTC))
        gateway.trail.add(session, Origin(), "key.revoked", by=OPERATOR, target=f"key {key_id}")
    err.print(f"Key {key_id} is revoked.", markup=False)


@app.command(name="list")
def list_keys(as_json: AsJson = False) -> None:
    """All keys with their state and last use."""
    from services.gateway import keys  # noqa: PLC0415
    from services.gateway.schemas import Key  # noqa: PLC0415

    with opened_gateway() as gateway, gateway.transaction() as session:
        found = [Key.of(row) for row in keys.listed(session, None)]
    if as_json:
        print_json([key.model_dump(mode="json") for key in found])
        return
    now = datetime.now(UTC)
    for key in found:
        ended = "revoked" if key.revoked_at else "expired" if key.expires_at <= now else "in force"
        used = f"{key.uses} uses, last {key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never used"
        scope = ", ".join(key.use_cases) if key.use_cases else "all use cases"
        out.print(f"{key.id}  {ended:8}  {key.centre}  {key.role}  {scope}  {used}  {key.name}", markup=False)
