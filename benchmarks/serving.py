"""Measures the search server beside a plain PyTorch + FAISS + FastAPI server, in one run.

    pip install -e ".[benchmarks,download,serve]"
    python benchmarks/serving.py --workdir runs/small --embeddings embeddings.npz --photos DIR
        [--clients 50] [--seconds 20]

EfficientNet-Lite0 at 128×128, and the embeddings that augmented_embeddings.py wrote. Both servers
take a photo as a form and answer with ten products; each runs in its own process, one after the
other, and shares the cores with the clients. The peer embeds each photo on its own, as a server
written in an afternoon does; its FAISS index (IVF) searches as many lists as it needs for the
recall of ours.
"""

import argparse
import asyncio
import multiprocessing
import os
import pathlib
import socket
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import numpy as np
from large_catalogue import THUMBNAIL
from tabulate import tabulate

K = 10
RECALL = 0.99
ALONE = 300  # requests one after the other


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--workdir", required=True)
    parser.add_argument("--embeddings", required=True)
    parser.add_argument("--photos", required=True)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=20)
    arguments = parser.parse_args()
    files = sorted(pathlib.Path(arguments.photos).iterdir())
    photos = [path.read_bytes() for path in files[5000:5400] if path.stat().st_size > 2000]
    sizes = sum(map(len, photos)) / len(photos) / 1024
    print(f"{len(photos)} photos of {sizes:.0f} KiB, {os.cpu_count()} cores")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        _in_process(prepare, arguments, folder)
        for name, server in {"fashion-jax": serve_ours, "PyTorch + FAISS": serve_peer}.items():
            recall = rows[0][1] if rows else RECALL
            rows.append([name, *_measure(server, arguments, folder, photos, recall)])
            print(rows[-1], flush=True)
    columns = ["server", f"recall@{K}", "alone: p50 [ms]", "p95"]
    columns += [f"{arguments.clients} clients: p50 [ms]", "p95"]
    columns += ["answers/s", "errors", "memory [GiB]"]
    print(tabulate(rows, columns, tablefmt="github", floatfmt=".3g"))
    print(f"throughput: {rows[0][6] / rows[1][6]:.2f} times the peer's")


def _in_process(function: Callable[..., None], *parts: Any) -> None:
    process = multiprocessing.get_context("spawn").Process(target=function, args=parts)
    process.start()
    process.join()
    assert process.exitcode == 0


def _measure(
    server: Callable[..., None],
    arguments: argparse.Namespace,
    folder: str,
    photos: list[bytes],
    recall: float,
) -> list[float]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    reader, writer = context.Pipe(duplex=False)
    process = context.Process(target=server, args=(arguments, folder, port, writer, recall))
    process.start()
    recall = reader.recv()
    try:
        found = asyncio.run(_ask(port, photos, arguments.clients, arguments.seconds))
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        (line,) = [line for line in status.splitlines() if line.startswith("VmRSS")]
        return [recall, *found, int(line.split()[1]) / 2**20]
    finally:
        process.terminate()
        process.join(10)
        process.kill()


async def _ask(port: int, photos: list[bytes], clients: int, seconds: float) -> list[float]:
    address = f"http://127.0.0.1:{port}/api/search"
    statuses: list[int] = []
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def ask(number: int) -> float:
            form = aiohttp.FormData()
            form.add_field("photo", photos[number % len(photos)], filename="photo")
            form.add_field("k", str(K))
            start = time.perf_counter()
            async with session.post(address, data=form) as answer:
                await answer.read()
                statuses.append(answer.status)
            return (time.perf_counter() - start) * 1e3

        async def client(first: int, end: float, taken: list[float]) -> None:
            number = first
            while time.perf_counter() < end:
                taken.append(await ask(number))
                number += clients

        for attempt in range(600):
            try:
                await ask(attempt)
                break
            except aiohttp.ClientError:
                await asyncio.sleep(0.1)
        alone = [await ask(number) for number in range(ALONE)]
        taken: list[float] = []
        start = time.perf_counter()
        end = start + seconds
        await asyncio.gather(*(client(number, end, taken) for number in range(clients)))
        rate = len(taken) / (time.perf_counter() - start)
    errors = sum(status != 200 for status in statuses)
    return [*_percentiles(alone), *_percentiles(taken), rate, errors]


def _percentiles(values: list[float]) -> tuple[float, float]:
    return statistics.median(values), statistics.quantiles(values, n=20)[-1]


def _model(workdir: str) -> Any:
    """The run's model, which sees photos at 128×128."""
    import dataclasses

    from fashion_jax.config import ImageConfig
    from fashion_jax.inference.embed import make_encode
    from fashion_jax.inference.model import load_model

    model = load_model(workdir)
    card = dataclasses.replace(model.card, image_height=128, image_width=128)
    config = dataclasses.replace(model.config, image=ImageConfig(128, 128))
    encode = make_encode(config.model, card.preprocessing, model.mesh)
    return dataclasses.replace(model, card=card, config=config, encode=encode)


def prepare(arguments: argparse.Namespace, folder: str) -> None:
    """Write the catalogue, and tune its index."""
    import pyarrow as pa

    from fashion_jax.retrieval.catalogue import Catalogue
    from fashion_jax.retrieval.catalogue.item_table import ItemTable
    from fashion_jax.serving.tune_index import tune

    shop_nd = np.load(arguments.embeddings)["shop"]
    photos = len(shop_nd)
    items = ItemTable(
        pa.table(
            {
                "photo_id": [f"{n}.jpg" for n in range(photos)],
                "product": [str(n) for n in range(photos)],
                "category": ["item"] * photos,
                "domain": ["shop"] * photos,
                "field:price": np.arange(photos) % 100 + 0.5,
            }
        )
    )
    parts = shop_nd, items, (THUMBNAIL for _ in range(photos)), _model(arguments.workdir).card
    Catalogue.write(f"{folder}/index", *parts, "scann")
    asked = np.load(arguments.embeddings)["asked"][:500]
    print(tune(f"{folder}/index", RECALL, K, queries=asked, draw=False, progress=False).to_table())


def serve_ours(arguments: argparse.Namespace, folder: str, port: int, ready: Any, _: float) -> None:
    from fashion_jax.serving.server import server, service

    service.load_model = lambda workdir: _model(arguments.workdir)
    asked, truth = _truth(arguments)
    found = service.SearchService({"index": f"{folder}/index"}, arguments.workdir)
    catalogue = found.catalogue().current
    rows = catalogue.index.search(asked, K).rows
    ready.send(_recall(rows, truth))
    server.SearchService = lambda *_: found
    server.serve(arguments.workdir, port=port)


def serve_peer(
    arguments: argparse.Namespace, folder: str, port: int, ready: Any, least_recall: float
) -> None:
    import io
    from typing import Annotated

    import faiss
    import torch
    import uvicorn
    from fastapi import FastAPI, File, Form
    from PIL import Image
    from pytorch_models import EfficientNetLite0

    asked, truth = _truth(arguments)
    shop_nd = np.load(arguments.embeddings)["shop"]
    dimensions = shop_nd.shape[1]
    lists = round(len(shop_nd) ** 0.5)
    coarse = faiss.IndexFlatIP(dimensions)
    index = faiss.IndexIVFFlat(coarse, dimensions, lists, faiss.METRIC_INNER_PRODUCT)
    index.train(shop_nd[:: max(1, len(shop_nd) // 100_000)])
    index.add(shop_nd)
    for probes in range(1, lists + 1):
        index.nprobe = probes
        recall = _recall(index.search(asked, K)[1], truth)
        if recall >= least_recall:
            break
    prices = np.arange(len(shop_nd)) % 100 + 0.5
    model = EfficientNetLite0(last_stride=2).eval()  # as the run's
    app = FastAPI()

    @app.post("/api/search")
    def search(photo: Annotated[bytes, File()], k: Annotated[int, Form()] = K) -> dict:
        image = Image.open(io.BytesIO(photo)).convert("RGB").resize((128, 128))
        pixels = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)[None].float()
        with torch.inference_mode():
            features = model((pixels - 127) / 128)
            query = torch.nn.functional.normalize(features.flatten(2).mean(2), dim=1).numpy()
        scores, rows = index.search(query, k)
        pairs = zip(rows[0].tolist(), scores[0].tolist(), strict=True)
        return {
            "answers": [
                {"product": str(row), "score": score, "fields": {"price": prices[row]}}
                for row, score in pairs
            ]
        }

    ready.send(recall)
    uvicorn.run(app, port=port, log_level="warning")


def _truth(arguments: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    from fashion_jax.retrieval.exact import ExactIndex

    given = np.load(arguments.embeddings)
    asked = given["asked"][500:1000]
    return asked, ExactIndex(given["shop"]).search(asked, K).rows


def _recall(found: np.ndarray, truth: np.ndarray) -> float:
    return float(np.mean([len({*a} & {*b}) / K for a, b in zip(found, truth, strict=True)]))


if __name__ == "__main__":
    main()
