"""Sign-in for all web pages and programs: OpenID Connect or local accounts, sessions and tokens.

``desk`` knows who somebody is by what a request brings, ``middleware`` asks it around every server that is not the
inference server, ``pages`` are what a browser sees of it. ``provider`` speaks with the provider, ``issuer`` holds its
tokens to its keys. ``command`` is who calls the command line, ``device`` how that one signed in, ``own`` how the
platform's own programs ask one another, and ``open`` what holds where nobody is asked.

Without ``sign_in`` in the environment file none of this is imported, and nobody proves who he is.
"""
