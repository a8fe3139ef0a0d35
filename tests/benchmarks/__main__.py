"""`python -m tests.benchmarks [NAME ...]`: run all benchmarks, or those named."""

import sys

from tests.benchmarks import floods, growth, loop, reading, resources, scaled, workers

BENCHMARKS = {
    "intake": loop.measure_intake,
    "loop": loop.measure_loop,
    "scaled": scaled.measure_scaled,
    "workers": workers.measure_workers,
    "receipts": floods.measure_receipts,
    "crowd": floods.measure_crowd,
    "crowd_postgres": floods.measure_crowd_postgres,
    "growth": growth.measure_growth,
    "growth_postgres": growth.measure_growth_postgres,
    "reading": reading.measure_reading,
    "reading_postgres": reading.measure_reading_postgres,
    "start": resources.measure_start,
    "idle": resources.measure_idle,
}


def main() -> None:
    names = sys.argv[1:] or list(BENCHMARKS)
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        sys.exit(f"no benchmark is named {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    for name in names:
        BENCHMARKS[name]()


if __name__ == "__main__":
    main()
