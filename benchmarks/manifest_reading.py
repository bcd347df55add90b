"""Times the check of a manifest of a million photos; the limit is 20 seconds.

    python benchmarks/manifest_reading.py

Every row is checked, as `fashion-jax data check` does before it opens the first photo. Dividing the
products into splits is timed as well. On a machine with other work running, compare CPU time.
"""

import argparse
import csv
import pathlib
import tempfile
import time

import pyarrow as pa
import pyarrow.parquet as pq
from fashion_jax.data_builders.catalogue.splits import assign_splits
from tabulate import tabulate

from fashion_jax.datasets.photo_lists.photo_list import read_photo_list

LIMIT = 20.0  # seconds for a million rows
COLUMNS = (
    *("photo", "identity", "domain", "category", "camera"),
    *("x", "y", "width", "height"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="default: %(default)s")
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        table = [measure(path) for path in write(pathlib.Path(folder), rows)]
    header = ["manifest", "MB", "checked in s", "limit in s", "CPU s", "rows/s", "assigned in s"]
    print(tabulate(table, header, floatfmt=(None, *[",.1f"] * 4, ",.0f", ",.1f")))


def write(folder: pathlib.Path, rows: int) -> tuple[pathlib.Path, pathlib.Path]:
    as_csv, as_parquet = folder / "items.csv", folder / "items.parquet"
    columns = list(zip(*map(row, range(rows)), strict=True))
    with as_csv.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(zip(*columns, strict=True))
    pq.write_table(pa.table(dict(zip(COLUMNS, columns, strict=True))), as_parquet)
    return as_csv, as_parquet


def row(number: int) -> tuple[object, ...]:
    product = number // 4
    domain = ("street", "shop")[number % 2]
    box = (number % 40, number % 33 + 0.5, 200 + number % 100, 300 + number % 50)
    return (
        f"{domain}/{product // 1000:04d}/{number:08d}.jpg",
        f"Product {product}, red",
        domain,
        f"category {product % 11}",
        number % 5,
        *(box if domain == "street" else (None,) * 4),
    )


def measure(path: pathlib.Path) -> list[object]:
    data = path.read_bytes()
    start, cpu_start = time.perf_counter(), time.process_time()
    manifest = read_photo_list(data, path.name)
    checked, cpu_checked = time.perf_counter(), time.process_time()
    splits = assign_splits(manifest.rows, test_fraction=0.2, validation_fraction=0.05, seed=0)
    assigned = time.perf_counter()
    rows = manifest.rows.num_rows
    assert sum(map(len, splits.values())) == rows
    seconds = checked - start
    return [
        path.name,
        len(data) / 1e6,
        seconds,
        LIMIT * rows / 1e6,
        cpu_checked - cpu_start,
        rows / seconds,
        assigned - checked,
    ]


if __name__ == "__main__":
    main()
