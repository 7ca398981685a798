"""What the environment may use: storage and trainings are held to it here, and all of it is shown.

Runs are held where Dagster takes them (``asset_defs.run_quota``), requests and logs where a server answers.
"""
