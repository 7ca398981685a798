"""MLflow's server with our guard, sign-in and roles: ``mlflow server --app-name loopline``, and ``loopline up``.

``app`` puts it together, ``door`` lets a request in by what it needs, ``routes`` finds that in ``table``, which names
every route of MLflow's, and ``looked`` reads what a request would change. ``client`` is how the platform's
own programs ask it. MLflow itself is imported when it is served.
"""
