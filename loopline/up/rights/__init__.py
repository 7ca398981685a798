"""Authorization in Dagster's web server, by the environment's policies.

``permissions`` says what Dagster's own hooks ask, ``mutations`` what each mutation needs, ``routes`` what each route
needs, ``policies`` asks, ``entries`` stands before routes and websockets, and ``doors`` puts them together. Where
nobody is asked to sign in, nobody is asked anything.
"""
