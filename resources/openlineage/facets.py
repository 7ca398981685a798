"""OpenLineage facets of datasets: schema, version, column lineage, check results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from loopline.platform_core.contracts.lineage import Dataset, Origin
from loopline.resources.openlineage.naming import Named, named

if TYPE_CHECKING:
    from openlineage.client import facet_v2

    InputField = facet_v2.column_lineage_dataset.InputField


def of_dataset(one: Dataset, namespace: str, producer: str) -> dict[str, Any]:
    """Return columns, version, and the name that the platform has for what is named by its place."""
    from openlineage.client import facet_v2

    facets: dict[str, Any] = {}
    if one.fields:
        schema = facet_v2.schema_dataset
        columns = [schema.SchemaDatasetFacetFields(field.name, field.type) for field in one.fields]
        facets["schema"] = schema.SchemaDatasetFacet(columns, producer=producer)
    if one.version:
        its = facet_v2.dataset_version_dataset.DatasetVersionDatasetFacet
        facets["version"] = its(one.version, producer=producer)
    if one.place:
        also = facet_v2.symlinks_dataset
        facets["symlinks"] = also.SymlinksDatasetFacet(
            [also.Identifier(namespace, one.name, "TABLE")], producer=producer
        )
    return facets


def of_origins(one: Dataset, places: Mapping[str, str], namespace: str, producer: str) -> dict[str, Any]:
    """Return what each column of an output came from; ``places`` are those of the datasets that were read."""
    from openlineage.client import facet_v2

    its = facet_v2.column_lineage_dataset
    fields = {
        field.name: its.Fields([_input(origin, places, namespace) for origin in field.origins])
        for field in one.fields
        if field.origins
    }
    return {"columnLineage": its.ColumnLineageDatasetFacet(fields, producer=producer)} if fields else {}


def _input(origin: Origin, places: Mapping[str, str], namespace: str) -> InputField:
    from openlineage.client import facet_v2

    its = facet_v2.column_lineage_dataset
    where: Named = named(namespace, origin.dataset, places.get(origin.dataset, ""))
    how = its.Transformation("DIRECT", "IDENTITY") if origin.same else its.Transformation("INDIRECT")
    return its.InputField(*where, origin.column, [how])


def of_checks(one: Dataset, producer: str) -> dict[str, Any]:
    """Return what checks said of an input."""
    from openlineage.client import facet_v2

    its = facet_v2.data_quality_assertions_dataset
    said = [
        its.Assertion(
            assertion=check.name,
            success=check.passed,
            severity="error" if check.blocks else "warn",
        )
        for check in one.checks
    ]
    facet = its.DataQualityAssertionsDatasetFacet(said, producer=producer)
    return {"dataQualityAssertions": facet} if said else {}
