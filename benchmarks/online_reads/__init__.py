"""Online reads and writes, beside the same server asked by hand."""
