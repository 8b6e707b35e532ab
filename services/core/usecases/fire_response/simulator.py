"""Writes files in the brigade's official layouts, quirks included, from the causal model of
``simulated_incidents``. Every file says ``simulated`` in its name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from services.core.usecases.fire_response.simulated_city import City, city
from services.core.usecases.fire_response.simulated_incidents import DRIFTS, happen
from services.core.usecases.fire_response.simulated_layout import (
    identities,
    incident_file,
    mobilisation_file,
    station_file,
)

__all__ = ["DRIFTS", "write"]


def write(folder: Path, *, seed: int, rows: int, start: str, days: int, drift: Sequence[str] = ()) -> list[Path]:
    """Write about ``rows`` incidents from the day ``start`` (ISO) on over ``days`` days: the first
    half in the older layout, the second in the newer one, and the stations and mobilisations.

    Raises:
        VigieError: an unknown kind of drift (``DRIFTS`` names them).
    """
    generator = np.random.default_rng([seed, rows, days])
    where: City = city()
    incidents = happen(where, generator, rows=rows, start=start, days=days, drift=drift)
    number = _numbers(incidents["local"])
    half = int((incidents["local"] < pd.Timestamp(start) + pd.Timedelta(days=days) / 2).sum())
    folder.mkdir(parents=True, exist_ok=True)
    written, identity = [], []
    for layout, part in (("older", slice(0, half)), ("newer", slice(half, None))):
        chosen, newer = incidents.iloc[part], layout == "newer"
        identity.append(identities(chosen, number[part], newer=newer))
        if len(chosen):
            frame = incident_file(chosen, identity[-1], generator, newer=newer)
            written.append(_save(frame, folder / f"simulated-lfb-incidents-{start}-{layout}.csv"))
    sent = mobilisation_file(incidents, np.concatenate(identity), number, where)
    written.append(_save(sent, folder / f"simulated-lfb-mobilisations-{start}.csv"))
    written.append(_save(station_file(where), folder / "simulated-lfb-stations.csv"))
    return written


def _numbers(local: pd.Series) -> np.ndarray:
    """The brigade's serial number of the year: it grows with the calls, of which many are no incident."""
    begin = local.dt.normalize() - pd.to_timedelta(local.dt.dayofyear - 1, unit="D")
    within = (local - begin).dt.total_seconds()
    serial = (within / 86_400 * 480).astype("int64") + 3
    bump = serial.groupby(serial).cumcount()
    return (serial * 10 + bump).to_numpy()


def _save(frame: pd.DataFrame, path: Path) -> Path:
    frame.to_csv(path, index=False)
    return path
