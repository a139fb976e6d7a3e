"""From a commit to a release that anyone can verify and nobody can move."""
