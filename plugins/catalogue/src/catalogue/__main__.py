"""Prints how many articles are put into the right department: ``python -m catalogue``."""

from __future__ import annotations

import sys
import zlib


def figures(rows: list[dict[str, str]], language: str) -> str:
    """Learn from the first 64 % of rows, choose by the next 16 %, and sort the last 20 %."""
    import numpy as np
    import pyarrow as pa
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.neighbors import NearestCentroid
    from sklearn.pipeline import make_pipeline

    from catalogue.departments import DEPARTMENTS, spelling
    from loopline.specs import Examples

    y = np.array([DEPARTMENTS.index(row["department"]) for row in rows], float)
    table = pa.table({"description": [row[language] for row in rows]})
    first, second = (int(len(rows) * share) for share in (0.64, 0.8))
    train, valid, last = (
        Examples(np.zeros((b - a, 0)), y[a:b], (), {}, table.slice(a, b - a))
        for a, b in ((0, first), (first, second), (second, len(rows)))
    )
    each = [spelling(train, valid, {"c": c}, lambda *_: None) for c in (10.0, 30.0, 90.0)]
    place = np.arange(len(valid.y)), valid.y.astype(int)
    best = max(each, key=lambda one: np.log(one.predict_proba(valid.table)[place] + 1e-9).mean())
    right = (best.predict_proba(last.table).argmax(axis=1) == last.y).mean()
    texts = table["description"].to_pylist()
    near = make_pipeline(TfidfVectorizer(), NearestCentroid()).fit(texts[:second], y[:second])
    words, often = near.score(texts[second:], last.y), (np.bincount(y[:second].astype(int)).argmax() == last.y).mean()
    return f"{right:.1%}, nearest centroid of words {words:.1%}, most frequent {often:.1%} of {len(last.y)}"


def main() -> None:
    """Print it of both languages, and of English where categories below the same one are in one part only."""
    from catalogue.story import taxonomy

    rows = taxonomy()
    apart = sorted(rows, key=lambda row: zlib.crc32(row["category"].rpartition("-")[0].encode()))
    for name, of, language in (("English", rows, "en"), ("German", rows, "de"), ("English, apart", apart, "en")):
        sys.stdout.write(f"{name}: spelling {figures(of, language)}\n")


if __name__ == "__main__":
    main()
