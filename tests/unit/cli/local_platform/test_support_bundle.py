"""What ``./vigie doctor --bundle`` packs, and what never gets into it."""

from __future__ import annotations

import json
import stat
import tarfile
from pathlib import Path

import pytest

from services.cli.local_platform import secrets
from services.cli.local_platform.support_bundle import kept_lines, write_bundle
from services.core.database.connection import database_address, make_engine
from services.core.database.migrate import upgrade
from services.core.paths import VigiePaths

CALL = ("Soho Square 27", "kitchen on the third floor", "117351-01012024", "51.5154")
PLANTED = {
    "VIGIE_WEATHER_KEY": "weather-key-7f3a",
    "VIGIE_DATABASE_URL": "postgresql://vigie:pa55-in-an-address@database.example:5432/vigie",
    "MLFLOW_TRACKING_PASSWORD": "tracking-pa55",
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> VigiePaths:
    """A home with secrets, and calls in every place where some may lie."""
    home = VigiePaths(tmp_path / "home")
    for name, value in PLANTED.items():
        monkeypatch.setenv(name, value)
    made = secrets.ensure(home)
    home.logs.mkdir(parents=True)
    token = made.values["VIGIE_SERVICE_TOKEN"]
    call = " ".join(CALL)
    lines = [
        json.dumps({"event": "run failed", "level": "warning", "service": "cli", "error": call, "place": call}),
        json.dumps({"event": f"call failed {call}", "level": "error", "use_case": "fire_response", "state": call}),
        json.dumps(
            {
                "event": "command failed",
                "exception": [
                    {
                        "exc_type": "KeyError",
                        "exc_value": call,
                        "frames": [{"filename": "/x/services/core/io.py", "lineno": 12, "name": "atomic_write"}],
                    }
                ],
            }
        ),
        f"sent {call} with {token}",
        "Traceback (most recent call last):",
        '  File "/x/services/core/io.py", line 12, in atomic_write',
        f"    raise ValueError({call!r})",
        f"ValueError: {call}",
        f"{{ half a line of {call}",
    ]
    (home.logs / "prediction.log").write_text("\n".join(lines))
    (home.logs / "runs").mkdir()
    (home.logs / "runs" / "fire_response-1.log").write_text(f"{call}\n")
    home.journal.mkdir(parents=True)
    (home.journal / "calls.jsonl").write_text(json.dumps({"request": call}))
    engine = make_engine(database_address(None, home))
    upgrade(engine)
    engine.dispose()
    return home


def _parts(file: Path) -> dict[str, str]:
    with tarfile.open(file) as archive:
        return {name: archive.extractfile(name).read().decode() for name in archive.getnames()}  # type: ignore[union-attr]


def test_secrets_and_calls_are_not_in_it(home: VigiePaths, tmp_path: Path) -> None:
    file = tmp_path / "bundle.tar.gz"
    planted = [*secrets.read(home).values(), *PLANTED.values(), "pa55-in-an-address", *CALL]
    write_bundle(home, file, [{"what": "proxy", "found": f"{PLANTED['MLFLOW_TRACKING_PASSWORD']} in a finding"}])
    text = "\n".join(f"{name}\n{content}" for name, content in _parts(file).items())
    assert [value for value in planted if value in text] == []
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_it_holds_what_a_helper_needs(home: VigiePaths, tmp_path: Path) -> None:
    file = tmp_path / "bundle.tar.gz"
    parts = write_bundle(home, file, [{"what": "disk", "good": True}])
    packed = _parts(file)
    assert list(packed) == parts
    assert json.loads(packed["doctor.json"]) == [{"what": "disk", "good": True}]
    assert "pydantic" in json.loads(packed["versions.json"])["packages"]
    given = json.loads(packed["settings.json"])
    assert given["VIGIE_WEATHER_KEY"] == "set"
    assert given["VIGIE_DATABASE_URL"] == "postgresql://database.example:5432"
    content = json.loads(packed["home.json"])
    assert content["folders"][home.journal.relative_to(home.root).parts[0]]["files"] == 1
    assert content["rows"]["predictions"] == 0
    assert any(revision.startswith("calls_") for revision in content["rows"]["alembic_version"])


def test_of_a_log_known_fields_and_places_in_the_code_are_kept(home: VigiePaths) -> None:
    kept = kept_lines((home.logs / "prediction.log").read_text().splitlines())
    assert json.loads(kept[0]) == {"event": "run failed", "level": "warning", "service": "cli"}
    assert json.loads(kept[1]) == {"event": "(left out)", "level": "error", "use_case": "fire_response"}
    assert json.loads(kept[2])["exception"] == [
        {"type": "KeyError", "frames": ["x/services/core/io.py:12 atomic_write"]}
    ]
    assert kept[3:] == [
        "(2 lines left out)",
        '  File "x/services/core/io.py", line 12, in atomic_write',
        "(1 lines left out)",
        "ValueError",
        "(1 lines left out)",
    ]
