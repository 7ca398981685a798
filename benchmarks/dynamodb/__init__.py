"""Online reads and writes in DynamoDB, beside boto3 by hand on the same emulator."""
