"""Run the platform of a checkout for some minutes, small, and write a backup of its home: see README.md.

``python make.py CHECKOUT FOLDER``, with the Python of the checkout's virtual environment.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx

HOME = Path("/tmp/vigie-old-home")  # noqa: S108 - the same on every machine, because databases name it
USE_CASE = "wine_quality"
PASSWORD, CENTRE = "quiet harbour lamp 7", "north"
PORTS = {
    "REGISTRY": 27500,
    "PREDICTION": 27501,
    "GATEWAY": 27502,
    "INGESTION": 27503,
    "PREPROCESSING": 27504,
    "TRAINING": 27505,
    "DRIFT": 27506,
    "SIMULATOR": 27507,
    "DASHBOARD": 27508,
}
GATEWAY, PREDICTION = (f"http://127.0.0.1:{PORTS[part]}" for part in ("GATEWAY", "PREDICTION"))
WINES = [
    {"colour": "red", "fixed_acidity": 7.4, "volatile_acidity": 0.7, "alcohol": 9.4},
    {"colour": "white", "fixed_acidity": 6.8, "volatile_acidity": 0.26, "alcohol": 11.2},
    {"colour": "white", "fixed_acidity": 8.1, "volatile_acidity": 0.31, "alcohol": 12.5},
]
SAME = {
    "citric_acid": 0.3,
    "residual_sugar": 2.1,
    "chlorides": 0.05,
    "free_sulfur_dioxide": 18.0,
    "total_sulfur_dioxide": 60.0,
    "density": 0.995,
    "ph": 3.3,
    "sulphates": 0.6,
}


def environment(checkout: Path, **more: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("VIGIE_")}
    return {
        **inherited,
        "PYTHONPATH": str(checkout),
        "VIGIE_HOME": str(HOME),
        "VIGIE_GATEWAY_ADMIN_PASSWORD": PASSWORD,
        "VIGIE_GATEWAY_FIRST_TRAINING": "false",
        **{f"VIGIE_{part}_PORT": str(port) for part, port in PORTS.items()},
        **more,
    }


def vigie(checkout: Path, *arguments: str, given: str | None = None) -> str:
    line = [sys.executable, "-m", "services.cli", *arguments]
    done = subprocess.run(
        line, cwd=checkout, env=environment(checkout), input=given, text=True, check=True, stdout=subprocess.PIPE
    )
    return done.stdout.strip()


def few_trees(checkout: Path) -> None:
    (file,) = checkout.glob("services/**/wine_quality/declaration.py")
    fewer = re.sub(r'(Booster\("[a-z:]+"), \d+', r"\1, 4", file.read_text())
    file.write_text(fewer)


def few_wines(checkout: Path, seed: int) -> None:
    """Another seed gives other files and another model."""
    file = checkout / "params.yaml"
    head, name, rest = file.read_text().partition(f"  {USE_CASE}:\n")
    simulate = rest[: rest.index("\n", rest.index("simulate:"))].rpartition("\n")[2]
    few = f'      simulate: {{seed: {seed}, rows: 250, start: "2024-01-01", days: 30, drift: []}}'
    file.write_text(head + name + rest.replace(simulate, few, 1))


def token(client: httpx.Client, user: str, password: str) -> str:
    form = {"grant_type": "password", "username": user, "password": password}
    found: str = client.post("/auth/token", data=form).raise_for_status().json()["access_token"]
    return found


def until_ended(client: httpx.Client, path: str) -> dict[str, Any]:
    while True:
        found: dict[str, Any] = client.get(path).raise_for_status().json()
        if found["state"] in {"succeeded", "failed", "rejected"}:
            assert found["state"] == "succeeded", found
            return found
        time.sleep(0.5)


def train_twice(checkout: Path, admin: httpx.Client) -> None:
    for seed in (7, 8):
        few_wines(checkout, seed)
        asked = {"use_case": USE_CASE, "source": "simulator", "force": True}
        run = admin.post("/admin/retrainings", json=asked).raise_for_status().json()
        until_ended(admin, f"/admin/retrainings/{run['id']}")
        promoted = {"version": seed - 6, "reason": "an old home has two champions"}
        admin.post(f"/admin/models/{USE_CASE}/promote", json=promoted).raise_for_status()


def call(centre: httpx.Client, number: int) -> None:
    headers = {"X-Request-Id": f"old-call-{number}"}
    wine = WINES[number % len(WINES)] | SAME | {"incident_id": f"bottle-{number}"}
    answer = centre.post(f"/v1/{USE_CASE}/predict", json=wine, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.json()["model_version"] == "2", answer.text


def wait_for(client: httpx.Client) -> None:
    while True:
        try:
            if client.get("/health/ready").status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.2)


def fill(checkout: Path) -> tuple[str, str]:
    """Work with the running platform as people and a centre do; the centre's key, and one that was revoked."""
    with httpx.Client(base_url=GATEWAY, timeout=60) as admin:
        admin.headers["Authorization"] = f"Bearer {token(admin, 'admin', PASSWORD)}"
        admin.post("/admin/centres", json={"name": CENTRE, "title": "North"}).raise_for_status()
        user = {"name": "anna", "role": "operator", "centre": CENTRE, "centres": "*"}
        made = admin.post("/admin/users", json=user).raise_for_status().json()
        train_twice(checkout, admin)
        key = vigie(checkout, "keys", "create", "control room", "--centre", CENTRE, "--days", "3650")
        revoked = vigie(checkout, "keys", "create", "ended", "--centre", CENTRE, "--days", "3650")
        keys = json.loads(vigie(checkout, "keys", "list", "--json"))
        vigie(checkout, "keys", "revoke", next(item["id"] for item in keys if item["name"] == "ended"))
        with httpx.Client(base_url=PREDICTION, headers={"X-API-Key": key}, timeout=60) as centre:
            time.sleep(12)  # until prediction has asked who may call, and which version is champion
            for number in range(6):
                call(centre, number)
            rows = {"rows": [wine | SAME for wine in WINES]}
            answer = centre.post(f"/v1/{USE_CASE}/predict/batch", json=rows, headers={"X-Request-Id": "old-batch"})
            assert answer.status_code == 200, answer.text
            outcomes = [
                {"incident_id": f"bottle-{number}", "labels": {"quality": 5 + number % 2}} for number in range(3)
            ]
            answer = centre.post(f"/v1/{USE_CASE}/outcomes", json={"outcomes": outcomes})
            assert answer.status_code == 202, answer.text
        time.sleep(3)  # until they are in the database
        admin.post("/admin/freeze", json={"reason": "a major incident"}).raise_for_status()
        admin.delete("/admin/freeze").raise_for_status()
        look = {"report": False, "act": False}
        admin.post(f"/admin/monitoring/{USE_CASE}/runs", json=look).raise_for_status()
        time.sleep(10)
    with httpx.Client(base_url=GATEWAY, timeout=60) as anna:
        anna.headers["Authorization"] = f"Bearer {token(anna, 'anna', made['password'])}"
        change = {"current": made["password"], "new": PASSWORD}
        anna.post("/auth/password", json=change).raise_for_status()
    return key, revoked


def leave_calls_behind(checkout: Path, key: str) -> None:
    """Calls that were answered while the database was away, and wait on disk."""
    away = {"VIGIE_DATABASE_URL": "postgresql+psycopg://nobody@127.0.0.1:9/none", "VIGIE_GATEWAY_URL": GATEWAY}
    secrets = dict(line.split("=", 1) for line in (HOME / "secrets.env").read_text().splitlines() if line[0] != "#")
    given = environment(checkout, **away, VIGIE_SERVICE_TOKEN=secrets["VIGIE_SERVICE_TOKEN"])
    with subprocess.Popen([sys.executable, "-m", "services.prediction"], cwd=HOME, env=given) as process:
        with httpx.Client(base_url=PREDICTION, headers={"X-API-Key": key}, timeout=60) as centre:
            wait_for(centre)
            time.sleep(5)
            for number in (6, 7):
                call(centre, number)
        time.sleep(2)
        process.kill()


def main(checkout: Path, folder: Path) -> None:
    shutil.rmtree(HOME, ignore_errors=True)
    few_trees(checkout)
    vigie(checkout, "up", "--without", "airflow")
    try:
        key, revoked = fill(checkout)
    finally:
        vigie(checkout, "down")
    leave_calls_behind(checkout, key)
    shutil.rmtree(HOME / "dvc")  # large, and not read by what the test asks
    for plots in HOME.rglob("plots"):
        shutil.rmtree(plots)
    folder.mkdir()
    vigie(checkout, "backup", str(folder / "backup"))
    credentials = {"password": PASSWORD, "key": key, "revoked_key": revoked}
    (folder / "credentials.json").write_text(json.dumps(credentials, indent=2))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
