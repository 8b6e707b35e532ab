"""Reads folders of raw official files for another program: ``python -m services.ingestion.read``.

On its standard input stands a JSON list of ``{"use_case", "folder", "into"}``; the checked, merged tables of each
folder are written to ``into`` as Parquet. Nothing is landed, stored or published. A process of its own, because
services share no code but the core's, and because its memory goes with it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from services.core.errors import VigieError
from services.core.logs import configure_logs


def main() -> int:
    from services.ingestion.tables import read_folder  # noqa: PLC0415 - pandas, and a wrong call needs none

    configure_logs("read", level="WARNING", log_format="console")
    try:
        for wanted in json.load(sys.stdin):
            tables = read_folder(wanted["use_case"], Path(wanted["folder"]))
            into = Path(wanted["into"])
            into.mkdir(parents=True, exist_ok=True)
            for name, table in tables.items():
                table.to_parquet(into / f"{name}.parquet", index=False)
    except VigieError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
