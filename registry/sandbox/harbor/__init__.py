"""A double of Harbor: its API, its token service and the front door of its /v2/.

It is no Harbor. It keeps the little state a release pipeline meets, in memory, and reproduces what
trips clients up: cookies and the CSRF refusal, 401 for projects that do not exist, tokens for wrong
passwords, sizes taken from one header, lists with page limits. Manifests and blobs are kept by
another ASGI application behind it: registry.sandbox.memory, or a real registry (upstream.py).
"""
