"""Answers of Feast's ``get_historical_features``: ``python -m benchmarks.peers.feast_history JOB.json``.

The job is a list of questions; each answer becomes ``<name>.parquet`` beside the job, or ``<name>.error`` with what
Feast raised. One process answers all of them, because importing Feast takes seconds.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.peers.feast_store import View, open_store, references

ROW = "row"


@dataclass(frozen=True)
class Question:
    """Labels (a Parquet file with ``row``, the entity and one time) that ask for a view's features.

    ``known``: nothing that became known after the label's time (``filter_by_created_timestamp``).
    """

    name: str
    view: View
    labels: str
    known: bool = False


def write_job(path: Path, questions: list[Question]) -> None:
    """Write a job for this program."""
    path.write_text(json.dumps([asdict(question) for question in questions]))


def main() -> None:
    """Answer every question of the job; each in a repository of its own, as a view's name may come again."""
    job = Path(sys.argv[1])
    for given in json.loads(job.read_text()):
        question = Question(given["name"], View(*given["view"]), given["labels"], given["known"])
        try:
            _answer(question, job.parent / f"{question.name}.parquet")
        except Exception as error:  # noqa: BLE001 - whatever Feast raises is its answer
            (job.parent / f"{question.name}.error").write_text(f"{type(error).__name__}: {error}")


def _answer(question: Question, out: Path) -> None:
    import pandas as pd
    from pyarrow import parquet

    labels: Any = pd.read_parquet(question.labels, dtype_backend="numpy_nullable")
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder), [question.view])
        asked = references([question.view])
        job = store.get_historical_features(
            entity_df=labels, features=asked, filter_by_created_timestamp=question.known
        )
        parquet.write_table(job.to_arrow(), out)


if __name__ == "__main__":
    main()
