"""Endpoints as KServe's InferenceServices."""
