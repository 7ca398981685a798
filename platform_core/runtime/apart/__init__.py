"""Process isolation of models: one subprocess a loaded version, rows in shared memory."""
