"""A platform on this machine for tests of pages: a real gateway and prediction on SQLite, small models of some use
cases, a user of each role, and the dashboard as a process of its own.

To look at pages by hand: ``PYTHONPATH=. python -m tests.integration.dashboard.local_platform FOLDER [use case ...]``
prints the addresses and runs until Ctrl-C; models that lie in FOLDER are used again."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from filelock import FileLock

from services.core import use_case_registry
from services.core.auth.principal import Role
from services.core.contract.use_case import BoostedTrees, Booster, UseCase
from services.core.database.connection import make_engine
from services.core.database.migrate import upgrade
from services.core.params import Train
from services.core.raw_files.reader import read_folder
from services.gateway.container import GatewayContainer
from services.gateway.users import service as users_service
from services.prediction.app import create_app
from services.prediction.settings import PredictionSettings
from services.training.stage.train import train
from tests.gateways import CHEAP, PASSWORD, SERVICE_TOKEN, make_gateway
from tests.servers import running
from tests.toy.bundles import make_toy_bundle
from tests.toy.folder_registry import FolderRegistry

CHECKOUT = Path(__file__).resolve().parents[3]
CENTRE = "default"
START_SECONDS = 180.0
NAMES: dict[Role, str] = {role: f"{role.value}-one" for role in Role}
"""The user of each role; all have the password ``tests.gateways.PASSWORD``."""


@dataclass(frozen=True)
class Platform:
    gateway: str
    prediction: str
    dashboard: str
    registry: FolderRegistry
    gateway_app: FastAPI
    prediction_app: FastAPI
    environment: dict[str, str] = field(default_factory=dict)
    """What the dashboard was started with."""

    def token(self, role: Role = Role.ADMIN) -> str:
        form = {"grant_type": "password", "username": NAMES[role], "password": PASSWORD}
        found: str = httpx.post(f"{self.gateway}/auth/token", data=form, timeout=60).json()["access_token"]
        return found

    def ask(self, path: str, body: Any = None, *, role: Role = Role.ADMIN, **options: Any) -> Any:
        """A request to the service that the path belongs to; the answer's JSON."""
        base = self.prediction if path.startswith("/v1/") else self.gateway
        headers = {"Authorization": f"Bearer {self.token(role)}", **options.pop("headers", {})}
        method = options.pop("method", "GET" if body is None else "POST")
        answer = httpx.request(method, base + path, json=body, headers=headers, timeout=60, **options)
        assert answer.is_success, f"{path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None


def small_bundle(name: str, folder: Path) -> Path:
    """A model of a use case with a tenth of its trees, made from simulated data; used again where it lies there. Made
    once, whatever processes ask for it at the same time."""
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f"{name}.lock"):
        bundle = folder / name
        return bundle if (bundle / "bundle.json").exists() else _make_small_bundle(name, bundle, folder)


def _make_small_bundle(name: str, bundle: Path, folder: Path) -> Path:
    if name == "toy":
        return make_toy_bundle(bundle, rows=600)
    use_case = _quicker(use_case_registry.get(name))
    raw = folder / f"{name}-raw"
    raw.mkdir(parents=True, exist_ok=True)
    use_case.simulator.write(raw, seed=5, rows=2_500, start="2023-01-01", days=400)
    tables = read_folder(name, raw)
    return train(
        use_case,
        use_case.raw.build_examples(tables),
        use_case.raw.lookup_tables(tables),
        use_case.raw.training_context(tables),
        params=Train(folds=2, minimum_group=30),
        folder=bundle,
        simulated=True,
    )


@contextmanager
def local_platform(
    home: Path,
    use_cases: Sequence[str],
    *,
    bundles: Path,
    dashboard: bool = True,
    behind_edge: bool = False,
    **gateway_settings: Any,
) -> Iterator[Platform]:
    """
    Args:
        home: state of this platform; new for each.
        use_cases: those that get a model; all declared ones are served.
        bundles: where their models are kept for the next time.
        dashboard: whether its process is started as well.
        behind_edge: gateway and dashboard have one address for browsers, which the caller puts before them.
    """
    home.mkdir(parents=True, exist_ok=True)
    database = f"sqlite:///{home / 'vigie.db'}"
    engine = make_engine(database)
    upgrade(engine)
    ports = {part: free_port() for part in ("gateway", "prediction", "dashboard")}
    urls = {part: f"http://127.0.0.1:{port}" for part, port in ports.items()}
    gateway_app = make_gateway(
        home, engine, dashboard_url=None if behind_edge else urls["dashboard"], **gateway_settings
    )
    make_users(gateway_app)
    champions = FolderRegistry()
    for name in use_cases:
        champions.promote(name, 1, small_bundle(name, bundles))
    settings = PredictionSettings.model_validate(
        {
            "VIGIE_HOME": home,
            "database_url": database,
            "gateway_url": urls["gateway"],
            "service_token": SERVICE_TOKEN,
            "access_poll_seconds": 5.0,
            "prediction_journal_seconds": 0.2,
        }
    )
    prediction_app = create_app(settings, lambda: champions)
    environment = {
        **os.environ,
        "PYTHONPATH": str(CHECKOUT),
        "VIGIE_HOME": str(home),
        "VIGIE_GATEWAY_URL": urls["gateway"],
        "VIGIE_PREDICTION_URL": urls["prediction"],
        "VIGIE_DASHBOARD_SIGN_IN_URL": "" if behind_edge else urls["gateway"],
        "VIGIE_DASHBOARD_PORT": str(ports["dashboard"]),
        "VIGIE_SERVICE_TOKEN": SERVICE_TOKEN,
        "VIGIE_LOG_FORMAT": "console",
    }
    platform = Platform(
        gateway=urls["gateway"],
        prediction=urls["prediction"],
        dashboard=urls["dashboard"],
        registry=champions,
        gateway_app=gateway_app,
        prediction_app=prediction_app,
        environment=environment,
    )
    with ExitStack() as stack:
        stack.callback(engine.dispose)
        stack.enter_context(running(gateway_app, ports["gateway"]))
        stack.enter_context(running(prediction_app, ports["prediction"]))
        _until_served(platform, use_cases)
        if dashboard:
            stack.enter_context(dashboard_process(environment, home / "dashboard.log"))
        yield platform


@contextmanager
def dashboard_process(environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The dashboard, until the end; its log lies in ``log``."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.dashboard"], cwd=CHECKOUT, env=environment, stdout=out, stderr=out
        )
        try:
            address = f"http://127.0.0.1:{environment['VIGIE_DASHBOARD_PORT']}/_stcore/health"
            _wait(lambda: httpx.get(address, timeout=10).status_code == 200, f"the dashboard; see {log}")
            yield process
        finally:
            process.terminate()
            process.wait(60)


def make_users(app: FastAPI) -> None:
    """One of each role, all of the first centre; operator and administrator see all centres."""
    gateway: GatewayContainer = app.state.gateway
    with gateway.transaction() as session:
        for role, name in NAMES.items():
            users_service.insert_user(
                session,
                name=name,
                password_hash=CHEAP.hash(PASSWORD),
                role=role,
                centre=CENTRE,
                all_centres=role in {Role.OPERATOR, Role.ADMIN},
            )


def _until_served(platform: Platform, use_cases: Sequence[str]) -> None:
    """Prediction knows who may call, and has the models."""

    def there() -> bool:
        headers = {"Authorization": f"Bearer {platform.token()}"}
        answer = httpx.get(f"{platform.prediction}/v1/use-cases", headers=headers, timeout=20)
        if answer.status_code != 200:
            return False
        sources = {line["name"]: line["source"] for line in answer.json()}
        return all(sources[name] == "champion" for name in use_cases)

    _wait(there, "prediction")


def _wait(there: Any, what: str) -> None:
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            if there():
                return
        except httpx.HTTPError:
            pass
        assert time.monotonic() < until, f"not there within {START_SECONDS:.0f} s: {what}"
        time.sleep(0.1)


def _quicker(use_case: UseCase) -> UseCase:
    def fewer(booster: Booster | None) -> Any:
        return booster and replace(booster, num_boost_round=max(5, booster.num_boost_round // 10))

    def learner(trees: Any) -> Any:
        if not isinstance(trees, BoostedTrees):
            return trees
        members = tuple(fewer(member) for member in trees.members)
        return replace(trees, members=members, lower=fewer(trees.lower), upper=fewer(trees.upper))

    return replace(
        use_case,
        modelling=replace(
            use_case.modelling,
            targets=tuple(replace(t, learner=learner(t.learner)) for t in use_case.modelling.targets),
        ),
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
        return found


def _main(folder: Path, use_cases: Sequence[str]) -> None:
    home = folder / f"home-{os.getpid()}"
    with local_platform(home, use_cases, bundles=folder / "bundles") as platform:
        lines = [f"dashboard  {platform.dashboard}", f"gateway    {platform.gateway}"]
        lines += [
            f"prediction {platform.prediction}",
            f"users      {', '.join(NAMES.values())}",
            f"password   {PASSWORD}",
        ]
        (folder / "addresses").write_text("\n".join(lines) + "\n")
        print("\n".join(lines), flush=True)  # noqa: T201 - for the person who started it
        while True:
            time.sleep(1)


if __name__ == "__main__":
    _main(Path(sys.argv[1]), sys.argv[2:] or ["fire_response"])
