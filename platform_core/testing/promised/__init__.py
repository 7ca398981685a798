"""Which vendor keeps which promise: kits by contract, promises as data, conformance runs."""
