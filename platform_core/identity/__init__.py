"""Authentication: callers, local accounts, sessions, and the sign-in with an identity provider.

``caller`` is who it is, ``accounts`` a small team's own passwords, ``sessions`` who is signed in, ``started`` who is
about to be, ``attempts`` slows down who guesses, and ``noted`` writes all of it into the record. What servers and
commands do with it is in ``loopline.sign_in``.
"""
