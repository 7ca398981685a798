"""Tasks as jobs of SageMaker and Vertex AI, beside each service's own client, on the tests' fakes that run them."""
