"""Side-by-side measurements with peers; `make bench` writes docs/benchmarks.md."""
