"""`python -m tests.benchmarks [NAME ...]`: run all benchmarks, or those named."""

import sys
from collections.abc import Callable

from tests.benchmarks import (
    costs,
    floods,
    growth,
    loop,
    reading,
    resources,
    scaled,
    tables,
    workers,
)

BENCHMARKS: dict[str, Callable[[], None]] = {
    "intake": loop.measure_intake,
    "loop": loop.measure_loop,
    "scaled": scaled.measure_scaled,
    "workers": workers.measure_workers,
    "costs": costs.measure_costs,
    "simulate": tables.tell_tables,
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
ON_WISH = {"costs", "simulate"}
"""Not run with the others: the first writes a file of this folder, which the second reads."""


def main() -> None:
    names = sys.argv[1:] or [name for name in BENCHMARKS if name not in ON_WISH]
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        sys.exit(f"no benchmark is named {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    for name in names:
        BENCHMARKS[name]()


if __name__ == "__main__":
    main()
