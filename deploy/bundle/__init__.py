"""Images for devices behind thin links: an archive of what the device lacks, and nothing else.

A device needs a layer's unpacked content, not its blob: a layer is left out when the device holds
its chain ID, whatever archive or registry that once came from.
"""
