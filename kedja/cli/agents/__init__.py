"""`kedja train ENVIRONMENT`: one file for each way in which agents learn. Next: `evolution.py`."""
