"""How fast it is, beside others, in one sitting: ``python -m benchmarks --help``."""
