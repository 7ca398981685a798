"""What a customer spends in the 90 days after an order, in pounds: whom to look after."""

from __future__ import annotations

from typing import Any

import narwhals as nw

from loopline import specs
from retail.features import TAKES_BACK, customer_history, order_shape, orders, pence
from retail.fit import SAME
from retail.labels import entities, placed


@specs.labels(orders, entities=entities, time="invoiced_at", label="label", known_at="known_at", segments=("country",))
def spent_within_90_days(lines: nw.LazyFrame) -> nw.LazyFrame:
    """Per order: pounds that the customer spends on later orders within 90 days, whatever is taken back of them."""
    bought = lines.filter(~TAKES_BACK).with_columns(pennies=pence(nw.col("quantity") * nw.col("price")))
    later = bought.rename({"invoiced_at": "after"}).group_by("customer_id", "after").agg(nw.col("pennies").sum())
    ahead = nw.col("after") <= nw.col("invoiced_at").dt.offset_by("90d")
    counts = nw.when((nw.col("after") > nw.col("invoiced_at")) & ahead).then(nw.col("pennies")).otherwise(0)
    return (
        placed(lines)
        .join(later, on="customer_id", how="left")
        .with_columns(counted=counts)
        .group_by(*entities)
        .agg(nw.col("invoiced_at").min(), nw.col("country").max(), label=nw.col("counted").sum() / 100)
        .with_columns(known_at=nw.col("invoiced_at").dt.offset_by("91d"))  # the last file comes a day later
    )


def expected_spend(
    train: specs.Examples, valid: specs.Examples, params: specs.Params, report: specs.Report
) -> specs.Estimator:
    """Fit LightGBM to means of spend: many spend nothing, a few spend thousands."""
    import lightgbm

    def tell(env: Any) -> None:
        if env.iteration % 10 == 9:  # noqa: PLR2004 - every tenth round
            report(env.iteration + 1, -env.evaluation_result_list[0][2])  # the absolute error: more is better

    trees = lightgbm.LGBMRegressor(
        objective="poisson", n_estimators=600, metric="mae", subsample=0.8, subsample_freq=1, **SAME, **params
    )
    stop = lightgbm.early_stopping(40, verbose=False)
    seen = {"eval_X": valid.x, "eval_y": valid.y, "callbacks": [stop, tell]}
    return trees.fit(train.x, train.y, categorical_feature=train.categorical, **seen)


value = specs.Model(
    "value",
    features=(customer_history, order_shape),
    labels=spent_within_90_days,
    target=specs.Regression(unit="GBP", largest_error=5_000),
    fit=expected_spend,
    search=specs.Search(
        trials=12,
        space={
            "learning_rate": specs.log_range(0.05, 0.2),
            "num_leaves": specs.int_range(15, 47),
            "min_child_samples": specs.int_range(20, 100),
            "colsample_bytree": specs.uniform(0.4, 1.0),
        },
        metric="mae",
    ),
    gates=(specs.AtLeast("r2", 0.3), specs.BeatsChampion("mae", tolerance=100.0)),
    rollout=specs.Rollout(
        percents=(20, 50, 100),
        bake_minutes=3 * 24 * 60,
        min_requests=100,
        # spend has a long tail: a tenth of its deviation is 15 % of a usual customer's
        judges=(specs.ErrorRate(0.01), specs.ScoreShift(0.1), specs.RealisedQuality(50, metric="mae")),
    ),
    drift=specs.Drift(min_rows=1000, share=0.4, cooldown_hours=31 * 24, daily_budget=1, blocks=False),
    compute=specs.Requirements(cpu=2, memory_gb=2),
    description="What will this customer spend in the next 90 days?",
)
