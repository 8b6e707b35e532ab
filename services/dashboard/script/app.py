"""The script that Streamlit reruns for every page and interaction. In a folder of its own, because Streamlit
interprets a folder ``pages`` next to it as its pages."""

from __future__ import annotations

from services.dashboard.layout import run_app

run_app()
