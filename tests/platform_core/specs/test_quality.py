"""What is declared about live quality, and what follows where nothing is."""

from __future__ import annotations

from dataclasses import replace

from retail.models import cancellations

from loopline.platform_core.specs import AtLeast, FairAcross, Fairness
from loopline.platform_core.specs.quality import watched_fairness, watched_segments
from loopline.platform_core.specs.yaml_files.model_file import ModelFile


def test_segments_are_those_of_the_labels_unless_the_model_names_its_own() -> None:
    """A feature may be one as well."""
    model = replace(cancellations, segments=())
    assert watched_segments(model) == ("country",)
    assert watched_segments(replace(model, segments=("market", "weekday"))) == ("market", "weekday")


def test_what_gates_ask_of_a_version_is_asked_of_what_it_does_live() -> None:
    """Unless the model says itself what is fair; a metric that is no share of rows is not watched."""
    gates = (AtLeast("roc_auc", 0.6), FairAcross("recall", "country", 0.2, 30), FairAcross("roc_auc", "country"))
    model = replace(cancellations, gates=gates, fairness=())
    assert watched_fairness(model) == (Fairness("country", "recall", 0.2),)
    own = (Fairness("country", "positive_rate"),)
    assert watched_fairness(replace(model, fairness=own)) == own


def test_all_of_it_can_be_written_in_yaml() -> None:
    """By the names of the fields."""
    fields = {"name": "m", "features": ["a:b"], "labels": "a:c", "fit": "a:d"}
    read = ModelFile.model_validate(
        fields
        | {
            "segments": ["country"],
            "quality": {"days": 7, "wait_days": 31},
            "fairness": [{"column": "country", "metric": "positive_rate", "within": 0.2}],
        }
    )
    assert (read.segments, read.quality.days, read.quality.wait_days) == (("country",), 7, 31)
    assert read.fairness == (Fairness("country", "positive_rate", 0.2),)
