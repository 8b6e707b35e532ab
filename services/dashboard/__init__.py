"""The dashboard: Streamlit pages for dispatchers, operators and administrators; REST clients without model code."""
