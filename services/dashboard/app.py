"""The dashboard. Streamlit runs this file anew for every page and every press of a button."""

from __future__ import annotations

from services.dashboard.shell import run

run()
