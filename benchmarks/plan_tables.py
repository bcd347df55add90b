"""Plans of the recipes for pods: a table with a row for each recipe, batch and topology.

    python benchmarks/plan_tables.py plans.jsonl [--identities 33000]

Compiles each step with `fashion-jax plan`, which needs libtpu and no TPU, in a process of its own;
a row takes minutes. Each plan is added to the file; those in it are not compiled again.
"""

import argparse
import json
import pathlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import tabulate

# v5p-64 is named after its cores: 32 chips.
SLICES = {"v5e-16": "v5e:4x4", "v5e-64": "v5e:8x8", "v5p-64": "v5p:2x4x4", "v6e-64": "v6e:8x8"}
CHIPS = {"v5e-16": 16, "v5e-64": 64, "v5p-64": 32, "v6e-64": 64}
# Config, and identities in a batch as published (street2shop_vit: as in the config).
RECIPES = {
    "ResNet-50, 320×320": ("street2shop_resnet50", 48),
    "ViT-B/16, 224×224": ("street2shop_vit:b16,224", 48),
    "ResNet-50-IBN-a, 320×320": ("street2shop_resnet50:ibn", 12),
    "ViT-L/14, 224×224": ("street2shop_vit:l14,224", 48),
}
PHOTOS_PER_CHIP = 64
PHOTOS_PER_IDENTITY = 4


def main() -> None:
    """Compile what the file lacks, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file", type=pathlib.Path, help="plans so far, a JSON object a line")
    parser.add_argument("--identities", type=int, default=33_000)
    flags = parser.parse_args()
    lines = flags.file.read_text().splitlines() if flags.file.exists() else []
    plans = {plan.pop("key"): plan for plan in map(json.loads, lines)}
    rows = []
    for recipe, pod, identities in cases():
        key = f"{recipe} | {pod} | {identities} | {flags.identities}"
        if key not in plans:
            plans[key] = compile_plan(RECIPES[recipe][0], pod, identities, flags.identities)
            if "failed" not in plans[key]:
                with flags.file.open("a") as file:
                    file.write(json.dumps({"key": key, **plans[key]}) + "\n")
        rows.append([recipe, pod, *cells(plans[key])])
        print(key, flush=True, file=sys.stderr)
    headers = ["recipe", "slice", "photos/step", "memory [GiB]", "TFLOP", "moved [GB]", "sent [GB]",
               "step [ms]", "photos/s", "hours", "chip-hours"]  # fmt: skip
    print(tabulate.tabulate(rows, headers, tablefmt="github", disable_numparse=True))


def cases() -> Iterator[tuple[str, str, int]]:
    """Recipe, slice and identities in a batch: as published on v5e-16, and with full chips."""
    for recipe, (_, identities) in RECIPES.items():
        yield recipe, "v5e-16", identities
        for pod in SLICES:
            yield recipe, pod, PHOTOS_PER_CHIP * CHIPS[pod] // PHOTOS_PER_IDENTITY


def compile_plan(config: str, pod: str, identities: int, classes: int) -> dict[str, Any]:
    """Return what `fashion-jax plan --json` says, or why it says nothing."""
    fields = {
        "data.identities_per_batch": identities,
        "data.photos_per_identity": PHOTOS_PER_IDENTITY,
        "classifier.pad_classes_to_multiple": CHIPS[pod],
    }
    command = [sys.executable, "-m", "fashion_jax.cli", "plan", "--json", f"--config={config}",
               "--topology", SLICES[pod], "--identities", str(classes),
               "--steps_per_epoch", str(classes // identities)]  # fmt: skip
    command += [f"--config.{name}={value}" for name, value in fields.items()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return {
            "failed": (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1]
        }
    return json.loads(done.stdout)


def cells(plan: dict[str, Any]) -> list[str]:
    """Cells of the table for one plan."""
    if "failed" in plan:
        return [plan["failed"], *[""] * 8]
    costs = plan["costs"]
    sent = sum(each["sent"] for each in costs["collectives"].values())
    memory = plan["memory_bytes"] / 2**30
    fits = f"{memory:.1f} of {plan['chip_memory_bytes'] / 2**30:.0f}"
    return [
        f"{plan['photos_per_step']:,}",
        fits if plan["fits"] else f"{fits}: DOES NOT FIT",
        f"{costs['flops'] / 1e12:.2f}",
        f"{costs['bytes_moved'] / 1e9:.1f}",
        f"{sent / 1e9:.2f}",
        between([1e3 * each for each in plan["step_seconds"]], ".1f"),
        between(plan["photos_per_second"], ",.0f"),
        between(plan["hours"], ".2f"),
        between(plan["chip_hours"], ".1f"),
    ]


def between(values: list[float], form: str) -> str:
    """Both ends of a bound."""
    return f"{values[0]:{form}} to {values[1]:{form}}"


if __name__ == "__main__":
    main()
