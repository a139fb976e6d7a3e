"""Signatures and attestations of images, in the forms that cosign reads and writes."""
