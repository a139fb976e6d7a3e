"""From a pushed image to what runs it: manifests, GPU sharing, node set-up, run commands."""
