"""Export of a team's feature views as a Feast repository.

Feast itself is not needed to write one: a repository is a YAML file, a Python file and Parquet files.
"""

from loopline.feast_export.export import Exported, export

__all__ = ["Exported", "export"]
