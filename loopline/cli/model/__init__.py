"""Commands on a model: status, versions, drift, performance."""
