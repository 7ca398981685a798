"""Cosmos DB (its NoSQL API): Azure's items, reached by every process that may."""
