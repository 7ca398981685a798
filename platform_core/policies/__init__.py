"""Authorization by Cedar policies in files: deny by default, and on any error.

``question`` is what is asked, ``files`` reads policies and holds them to the schema, ``roles`` reads who is what,
``engine`` decides, ``rules`` knows who could, ``asking`` is what a decision goes through, and ``second`` is the
four-eyes rule. Without ``access`` in the environment file nobody is asked, and Cedar is not imported.
"""
