"""Who asks: a person or a service that has signed in, whatever way in it took.

``caller`` is who it is, ``accounts`` a small team's own passwords, ``sessions`` who is signed in, ``started`` who is
about to be, ``attempts`` slows down who guesses, and ``noted`` writes all of it into the record. What servers and
commands do with it is in ``loopline.sign_in``.
"""
