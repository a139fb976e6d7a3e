"""OCI images and registries: references, blobs, manifests, transfer, and Harbor's REST API.

Knows nothing of Jetsons, so that it can serve any project that moves images.
"""
