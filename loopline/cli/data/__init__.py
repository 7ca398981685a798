"""Commands on data: contracts, arrivals, dead letters, streams, the lake."""
