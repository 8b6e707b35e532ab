"""Weather providers behind one small interface: none, an hourly CSV, Open-Meteo, Visual Crossing."""
