"""What every cloud's ML service needs of us: a task by an object store, a job by its key, an answer waited for."""
