"""Commands on a model: state, versions, drift, performance."""
