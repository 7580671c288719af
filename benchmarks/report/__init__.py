"""What is shown of the figures. Start at `figures.py`; then goals, tables, profile, chart."""
