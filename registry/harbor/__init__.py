"""Harbor's REST API v2.0: a thin client, one file per resource, and what a push does with it.

HarborApi (api.py) carries requests; the other files say what to ask for and what comes back. They
hold functions over an api and frozen values, so that one more resource is one more file.
"""
