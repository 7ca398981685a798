"""KServe: serving as InferenceServices."""
