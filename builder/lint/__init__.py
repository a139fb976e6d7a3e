"""What breaks Dockerfiles for Jetsons, found before they are built.

Start at `check.lint_dockerfile`. Rules and their texts are in builder/data/lint.yaml; each module
here holds the checks of one subject.
"""
