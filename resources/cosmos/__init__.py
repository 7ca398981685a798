"""Azure Cosmos DB (NoSQL API): online store."""
