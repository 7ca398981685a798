"""Discovery: what a customer of a gift wholesaler is shown, the articles of which the next order will hold most."""

from __future__ import annotations

from discovery.fit import ridge
from discovery.history import ARTICLES, MOST, customer_articles, next_basket, visit
from loopline import specs

articles = specs.Model(
    "articles",
    features=(customer_articles, visit),
    labels=next_basket,
    target=specs.Ranking(tuple(ARTICLES), k=10, most=MOST, popularity=tuple(ARTICLES.values())),
    inputs="columns",
    fit=ridge,
    search=specs.Search(trials=2, space={"drawn": specs.choice(300.0, 1000.0)}),
    gates=(specs.AtLeast("recall_at_k", 0.05), specs.BeatsChampion("recall_at_k", tolerance=0.02)),
    rollout=specs.Rollout(
        percents=(20, 50, 100),
        bake_minutes=3 * 24 * 60,  # some 75 orders a day
        min_requests=100,
        judges=(specs.ErrorRate(0.01), specs.ScoreShift(0.5), specs.RealisedQuality(50, metric="recall_at_k")),
    ),
    drift=specs.Drift(min_rows=1000, share=0.4, cooldown_hours=31 * 24, daily_budget=1, blocks=False),
    compute=specs.Requirements(cpu=2, memory_gb=2),
    description="Which articles will this customer order next?",
)
team = specs.Team("discovery", __file__, (articles,), owner="discovery")
