"""Ways to turn a build plan into an image: BuildKit through buildx, or by ourselves."""
