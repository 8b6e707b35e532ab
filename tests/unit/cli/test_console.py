"""Tables, estimates and messages of the command line."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from services.cli import console
from services.cli.commands import platform
from services.cli.local_platform.ports import is_free, refuse_taken_ports, replaced_ports, taken_ports
from services.core.errors import VigieError
from services.core.model_registry.version import RegisteredVersion, Tag


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("VIGIE_HOME", str(tmp_path))
    console.settings.cache_clear()
    yield tmp_path
    console.settings.cache_clear()


def test_versions_fit_eighty_columns_with_a_metric_of_every_target(monkeypatch: pytest.MonkeyPatch) -> None:
    version = RegisteredVersion(
        "fire_response", 12, "ab", "2026-11-28T07:14:58+00:00", True, "run", "source",
        {
            "attendance_seconds": {"mae": 67.92, "rmse": 99.1},
            "over_360s": {"brier": 0.1412},
            "pumps": {"accuracy": 0.7},
            "over_360s_station_unknown": {"brier": 0.2},
        },
        {Tag.GATE: "promoted"}, ("champion", "previous"),
    )  # fmt: skip
    shown = Console(width=80, soft_wrap=True, highlight=False)
    monkeypatch.setattr(console, "out", shown)
    with shown.capture() as captured:
        console.print_versions("fire_response", [version])
    text = captured.get()
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "…" not in text
    joined = "".join(text.split())
    for word in (
        "attendance_seconds",
        "67.9",
        "over_360s",
        "0.1412",
        "pumps",
        "0.7000",
        "2026-11-28",
        "07:14",
        "champion",
    ):
        assert word in joined
    assert "rmse" not in joined


def test_a_long_step_says_about_how_long_it_takes_from_the_last_time(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "logs").mkdir()
    with console.step("look"):
        pass
    assert "about" not in capsys.readouterr().err
    console.remember_duration("look", 150.0)
    with console.step("look", usual=30):
        pass
    assert "look (about 2 minutes)" in capsys.readouterr().err
    with console.step("first time", usual=30):
        pass
    assert "first time (about 30 s)" in capsys.readouterr().err


def test_an_estimate_makes_no_home(home: Path) -> None:
    console.remember_duration("look", 150.0)
    assert not [*home.iterdir()]


@pytest.mark.parametrize(
    ("setting", "said"), [("false", "./vigie run wine_quality"), ("true", "by the platform itself")]
)
def test_the_first_models_are_promised_as_the_setting_says(
    setting: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIGIE_GATEWAY_FIRST_TRAINING", setting)
    sentence = platform.first_training(["wine_quality"])
    assert said in sentence
    assert ("will be trained" in sentence) is (setting == "true")


def test_a_taken_port_is_named_with_its_program_and_its_setting() -> None:

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = int(other.getsockname()[1])
        assert not is_free(port)
        own = psutil.Process().name()
        assert own in taken_ports({"prediction": port})["prediction"]
        with pytest.raises(VigieError, match=f"Port {port} .prediction. is taken by {re.escape(own)}") as raised:
            refuse_taken_ports({"prediction": port})
        assert "VIGIE_PREDICTION_PORT" in raised.value.action
        assert "--any-port" in raised.value.action
        (sentence,) = replaced_ports({"prediction": port, "gateway": 5}, {"prediction": 4, "gateway": 5})
        assert f"Port {port} is taken by {own}" in sentence
        assert "prediction listens on 4 instead" in sentence
    assert is_free(port)
    refuse_taken_ports({"prediction": port})
