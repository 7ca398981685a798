"""Who may do what, by Cedar policies: files in Git, denied by default, and denied where anything goes wrong.

``question`` is what is asked, ``files`` reads policies and holds them to the schema, ``roles`` reads who is what,
``engine`` decides, ``rules`` knows who could, ``asking`` is what a decision goes through, and ``second`` are the other
two eyes. Without ``access`` in the environment file nobody is asked, and Cedar is not imported.
"""
