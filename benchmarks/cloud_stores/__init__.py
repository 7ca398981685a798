"""Online reads and writes in DynamoDB, Firestore, Cosmos DB and Bigtable, beside each client by hand."""
