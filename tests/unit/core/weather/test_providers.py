"""Weather services, asked through a server on this machine that answers as they do."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from services.core.weather.hourly import WeatherError, sort_hours
from services.core.weather.providers import OpenMeteoProvider, VisualCrossingProvider, WeatherFeed

OPEN_METEO = {
    "latitude": 51.5,
    "hourly_units": {"temperature_2m": "°C"},
    "hourly": {
        "time": [3_600, 7_200, 10_800],
        "temperature_2m": [4.5, None, 5.5],
        "precipitation": [0.0, 0.4, 0.0],
        "wind_speed_10m": [12.0, 13.0, 14.0],
    },
}
VISUAL_CROSSING = {
    "days": [
        {"hours": [{"datetimeEpoch": 3_600, "temp": 4.5, "precip": None, "windspeed": 12.0}]},
        {"hours": [{"datetimeEpoch": 7_200, "temp": 5.0, "precip": 0.4}]},
    ]
}


class Service:
    """What the server answers next, and what it was asked."""

    def __init__(self) -> None:
        self.status = 200
        self.body: bytes = b"{}"
        self.asked: list[str] = []
        self.url = ""

    def says(self, body: Any, status: int = 200) -> None:
        self.body, self.status = (body if isinstance(body, bytes) else json.dumps(body).encode()), status


@pytest.fixture
def service() -> Iterator[Service]:
    state = Service()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(self.path)
            self.send_response(state.status)
            self.send_header("Content-Length", str(len(state.body)))
            self.end_headers()
            self.wfile.write(state.body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: ARG002
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


def test_open_meteo_is_asked_for_the_place_without_a_key(service: Service) -> None:
    service.says(OPEN_METEO)
    hours = OpenMeteoProvider(51.5, -0.1, url=service.url).hours()
    asked = urlsplit(service.asked[0])
    assert asked.path == "/v1/forecast"
    assert parse_qs(asked.query)["latitude"] == ["51.5"]
    assert "key" not in asked.query
    assert hours.time.tolist() == [3_600, 7_200, 10_800]
    np.testing.assert_array_equal(hours.temperature, [4.5, np.nan, 5.5])


def test_visual_crossing_is_asked_with_the_key_in_metric_units(service: Service) -> None:
    service.says(VISUAL_CROSSING)
    hours = VisualCrossingProvider(51.5, -0.1, "secret", url=service.url).hours()
    asked = urlsplit(service.asked[0])
    assert asked.path.endswith("/timeline/51.5,-0.1/yesterday/today")
    assert parse_qs(asked.query)["key"] == ["secret"]
    assert parse_qs(asked.query)["unitGroup"] == ["metric"]
    np.testing.assert_array_equal(hours.precipitation, [np.nan, 0.4])
    np.testing.assert_array_equal(hours.wind, [12.0, np.nan])


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (OPEN_METEO, 500),
        (OPEN_METEO, 429),
        (b"<html>", 200),
        ({"error": True}, 200),
        ([1, 2], 200),
        ({"hourly": {"time": ["soon"], "temperature_2m": [1], "precipitation": [1], "wind_speed_10m": [1]}}, 200),
    ],
)
def test_whatever_a_service_says_that_is_no_weather_is_one_kind_of_error(
    service: Service, body: Any, status: int
) -> None:
    service.says(body, status)
    with pytest.raises(WeatherError, match="Open-Meteo answered"):
        OpenMeteoProvider(51.5, -0.1, url=service.url).hours()


def test_an_endless_answer_is_cut_off(service: Service) -> None:
    service.says(b" " * 5_000_000)
    with pytest.raises(WeatherError, match="more than"):
        OpenMeteoProvider(51.5, -0.1, url=service.url).hours()


def test_a_service_that_is_away_is_said_without_the_key() -> None:
    with pytest.raises(WeatherError) as caught:
        VisualCrossingProvider(51.5, -0.1, "secret", url="http://127.0.0.1:9", timeout=2).hours()
    assert "cannot be reached" in str(caught.value)
    assert "secret" not in str(caught.value)


class Slow:
    """A provider that answers when it is told to."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.done = threading.Event()

    def hours(self) -> Any:
        self.go.wait(10)
        self.done.set()
        return sort_hours([3_600.0], [4.5], [0.0], [12.0])


def test_a_call_never_waits_for_the_weather(tmp_path: Path) -> None:
    slow = Slow()
    live = WeatherFeed(slow, tmp_path / "weather.npz", every=60, clock=lambda: 4_000.0)
    live.start()
    assert len(live.snapshot()["weather_time"]) == 0
    assert live.warning() == "The weather is not known."
    slow.go.set()
    assert slow.done.wait(10)
    live.stop()
    assert live.snapshot()["weather_temperature"].tolist() == [4.5]
    assert live.warning() is None


def test_weather_that_was_kept_is_there_after_a_restart_and_stale_weather_is_said(
    service: Service, tmp_path: Path
) -> None:
    kept = tmp_path / "deep" / "weather.npz"
    service.says(OPEN_METEO)
    assert WeatherFeed(OpenMeteoProvider(51.5, -0.1, url=service.url), kept).refresh()
    slow = Slow()
    now = [11_000.0]
    live = WeatherFeed(slow, kept, clock=lambda: now[0])
    live.start()
    assert len(live.snapshot()["weather_time"]) == 3
    assert live.warning() is None
    now[0] = 40_000.0
    assert "not up to date" in str(live.warning())
    slow.go.set()
    live.stop()


def test_a_failure_keeps_the_weather_that_is_there(service: Service, tmp_path: Path) -> None:
    service.says(OPEN_METEO)
    live = WeatherFeed(OpenMeteoProvider(51.5, -0.1, url=service.url), tmp_path / "weather.npz")
    assert live.refresh()
    before = live.snapshot()
    service.says(b"", 503)
    assert not live.refresh()
    assert live.snapshot() is before


def test_a_broken_file_on_disk_stops_nobody(tmp_path: Path) -> None:
    kept = tmp_path / "weather.npz"
    kept.write_bytes(b"PK\x03\x04 half of it")
    slow = Slow()
    live = WeatherFeed(slow, kept)
    live.start()
    assert len(live.snapshot()["weather_time"]) == 0
    slow.go.set()
    live.stop()


def test_nothing_half_written_is_ever_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tmp_path / "weather.npz"
    slow = Slow()
    slow.go.set()
    assert WeatherFeed(slow, kept).refresh()
    whole = kept.read_bytes()

    def fails(stream: Any, **arrays: Any) -> None:
        stream.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez", fails)
    assert WeatherFeed(slow, kept).refresh(), "the new weather is in memory all the same"
    assert kept.read_bytes() == whole
    assert list(tmp_path.iterdir()) == [kept]
