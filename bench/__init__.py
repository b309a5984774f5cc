"""Measurements: `python -m bench demo --json out.json` and `python -m bench discover --data FOLDER --json out.json`."""
