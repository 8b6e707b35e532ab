"""Writes the dashboards that Grafana reads: ``python -m monitoring.grafana.generate``; with ``--check`` it only says
whether they are up to date."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from monitoring.grafana import dispatch, models, pipelines, platform, slo
from monitoring.grafana.panels import made

FOLDER = Path(__file__).parent / "provisioning" / "dashboards" / "vigie"
PAGES = (dispatch.PAGE, models.PAGE, pipelines.PAGE, platform.PAGE, slo.PAGE)


def documents() -> dict[str, str]:
    """File name and content of each dashboard."""
    return {
        f"{page.uid.removeprefix('vigie-')}.json": json.dumps(
            made(page), cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False
        )
        + "\n"
        for page in PAGES
    }


def main(arguments: list[str]) -> int:
    wanted = documents()
    there = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}
    if arguments == ["--check"]:
        stale = sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))
        sys.stdout.write(f"not up to date: {', '.join(stale)}\n" if stale else "up to date\n")
        return 1 if stale else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in there.keys() - wanted.keys():
        (FOLDER / name).unlink()
    for name, text in wanted.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
