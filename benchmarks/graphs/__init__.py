"""What a graph of steps costs beside calling its estimators by hand."""
