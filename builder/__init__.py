"""From an image definition to an OCI image: matrix, plan, Dockerfile, engines, build record."""
