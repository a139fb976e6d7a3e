"""Pinning the images in YAML that others wrote: find, resolve, edit in place, lock."""
