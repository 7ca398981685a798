"""Which department does an article belong to: from its supplier's words, as a buyer decides within three days."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import narwhals as nw

from loopline import specs

if TYPE_CHECKING:
    import pyarrow as pa

DEPARTMENTS = (
    "Animals & Pet Supplies",
    "Apparel & Accessories",
    "Arts & Entertainment",
    "Baby & Toddler",
    "Business & Industrial",
    "Cameras & Optics",
    "Electronics",
    "Food, Beverages & Tobacco",
    "Furniture",
    "Hardware",
    "Health & Beauty",
    "Home & Garden",
    "Office Supplies",
    "Sporting Goods",
    "Toys & Games",
    "Vehicles & Parts",
)
articles = specs.Source("articles", contract="contracts/articles.v1.yaml", arrives="daily")


@specs.feature_view(articles, entity="article", time="listed_at", served="request")
def article(rows: nw.LazyFrame) -> nw.LazyFrame:
    """Per article: its description, as it is."""
    return rows.select("article", "listed_at", "description")


@specs.labels(
    articles, entities=("article",), time="listed_at", label="department", known_at="sorted_at", segments=("language",)
)
def sorted_by_a_buyer(rows: nw.LazyFrame) -> nw.LazyFrame:
    """Per article: its department, known three days later."""
    return rows.with_columns(sorted_at=nw.col("listed_at").dt.offset_by("3d"))


@dataclass
class Spelling:
    """Holds a fitted pipeline, which takes texts."""

    pipeline: Any

    def predict_proba(self, table: pa.Table) -> Any:
        """Return each department's probability, (rows, departments); one that no training row has, has none."""
        import numpy as np

        found = np.zeros((len(table), len(DEPARTMENTS)))
        texts = table["description"].fill_null("").to_pylist()
        found[:, self.pipeline.classes_.astype(int)] = self.pipeline.predict_proba(texts)
        return found


def spelling(train: specs.Examples, _valid: specs.Examples, params: specs.Params, _report: specs.Report) -> Spelling:
    """Fit a logistic regression of hashed pieces of words; of empty texts it learns how frequent departments are."""
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    pieces = HashingVectorizer(
        n_features=2**14, analyzer="char_wb", ngram_range=(2, 5), alternate_sign=False, norm=None
    )
    weighted, linear = TfidfTransformer(sublinear_tf=True), LogisticRegression(C=params["c"], tol=1e-3, max_iter=100)
    texts = train.given["description"].fill_null("").to_pylist()
    return Spelling(make_pipeline(pieces, weighted, linear).fit(texts, train.y))


departments = specs.Model(
    "departments",
    features=(article,),
    labels=sorted_by_a_buyer,
    target=specs.Multiclass(classes=DEPARTMENTS),
    inputs="columns",
    fit=spelling,
    search=specs.Search(trials=3, space={"c": specs.choice(10.0, 30.0, 90.0)}, metric="log_loss"),
    gates=(specs.AtLeast("accuracy", 0.5), specs.BeatsChampion("accuracy", tolerance=0.02)),
    rollout=specs.Rollout(
        percents=(50, 100),
        bake_minutes=6 * 24 * 60,  # 18 articles a day
        min_requests=40,
        judges=(specs.ErrorRate(0.01), specs.P99(250), specs.ScoreShift(1.0)),
    ),
    # a window is three months, so that the oldest 64 % of all rows, which are learnt from, hold some of a change
    drift=specs.Drift(min_rows=1600, share=0.4, cooldown_hours=90 * 24, texts=("description",), blocks=False),
    description="Which department does this article belong to?",
)
