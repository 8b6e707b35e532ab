"""What Streamlit runs anew for every page and every press of a button. It stands in a folder of its own, because
Streamlit takes a folder ``pages`` beside it for pages to run."""

from __future__ import annotations

from services.dashboard.layout import run_app

run_app()
