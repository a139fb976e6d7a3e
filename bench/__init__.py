"""Side-by-side measurements with peers; `make bench` writes docs/benchmarks.md.

Every figure in the document comes from a run of this package: a measurement returns a Result
(bench.result), results are kept as JSON beside the document, and bench.report writes it from them.
"""
