"""The order that is about to be cancelled: what to learn from, what is good enough, and how it goes live."""

from __future__ import annotations

from loopline import specs
from retail.features import customer_history, order_shape
from retail.fit import boosted_trees
from retail.labels import cancelled_within_30_days

SPACE = {
    "learning_rate": specs.log_range(0.03, 0.15),
    "num_leaves": specs.int_range(7, 31),
    "min_child_samples": specs.int_range(20, 100),
    "reg_lambda": specs.log_range(0.1, 20),
    "colsample_bytree": specs.uniform(0.4, 1.0),
}
cancellations = specs.Model(
    "cancellations",
    features=(customer_history, order_shape),
    labels=cancelled_within_30_days,
    fit=boosted_trees,
    search=specs.Search(trials=12, space=SPACE),
    gates=(
        specs.AtLeast("roc_auc", 0.65),
        specs.BeatsChampion("roc_auc"),
        specs.FairAcross("recall", column="country", within=0.3, min_rows=50),
    ),
    rollout=specs.Rollout(
        percents=(20, 50, 100),
        bake_minutes=3 * 24 * 60,  # some 75 orders a day
        min_requests=100,
        judges=(specs.ErrorRate(0.01), specs.P99(250), specs.ScoreShift(0.5)),
    ),
    # labels take 31 days to come; a season is to turn the loop whether training had its like or not
    drift=specs.Drift(min_rows=1000, share=0.4, cooldown_hours=31 * 24, daily_budget=1, blocks=False),
    compute=specs.Requirements(cpu=2, memory_gb=2),
    threshold=0.15,  # flags half of the orders, and finds three of four that are cancelled
    description="Will at least one article of this order be cancelled within 30 days?",
)
