"""The search page inside a notebook, and a Gradio block."""

import sys
import urllib.parse
from typing import Any

from fashion_jax.datasets.photos import decode_photo
from fashion_jax.errors import FashionJaxError, needs_extra
from fashion_jax.retrieval.catalogue.items import Group
from fashion_jax.serving.server.server import RunningServer
from fashion_jax.serving.server.service import SearchService

COLAB_HOSTS = (".googleusercontent.com", ".prod.colab.dev")
"""Names under which Colab's proxy asks a server."""

NOTEBOOKS = ("https://colab.research.google.com", "http://localhost:*", "http://127.0.0.1:*")
"""Sites of notebooks, which may show the page in a frame."""


def in_colab() -> bool:
    """Whether this process is a Colab runtime's."""
    return "google.colab" in sys.modules  # its kernel has imported it


def show(server: RunningServer, height: int = 900) -> None:
    """Show the page below a notebook's cell.

    Args:
        server: a server that was started with `hosts=COLAB_HOSTS, frames=NOTEBOOKS`.
        height: height in pixels.
    """
    if in_colab():
        from google.colab import output

        port = urllib.parse.urlsplit(server.address).port
        output.serve_kernel_port_as_iframe(port, height=str(height))
        return
    from IPython.display import IFrame, display

    display(IFrame(server.address, width="100%", height=height))


def gradio_block(service: SearchService, catalogue: str | None = None) -> Any:
    """Make a Gradio block that searches with a photo: `gradio_block(service).launch()`.

    Args:
        service: what answers.
        catalogue: name of the catalogue; by default the first one.

    Raises:
        FashionJaxError: Gradio is not installed.
    """
    with needs_extra("gradio"):
        import gradio

    def answer(photo: Any, k: int | float, where: str) -> list[tuple[Any, str]]:
        if photo is None:
            return []
        conditions = [line for line in where.splitlines() if line.strip()]
        try:
            found, opened = service.search([photo], catalogue, int(k), where=conditions)
        except FashionJaxError as error:
            raise gradio.Error(str(error)) from error  # which it shows
        return [
            (decode_photo(opened.thumbnail(each.photos[0].row)), f"{each.name} · {each.score:.2f}")
            for each in found.answers
            if isinstance(each, Group)
        ]

    with gradio.Blocks(title="Visual search") as block:
        with gradio.Row():
            with gradio.Column(scale=1):
                photo = gradio.Image(type="numpy", label="Photo")
                k = gradio.Slider(1, 50, 12, step=1, label="Answers")
                where = gradio.Textbox(label="Conditions, one a line", placeholder="price<50")
                search = gradio.Button("Search", variant="primary")
            gallery = gradio.Gallery(label="Products", columns=4)
        search.click(answer, [photo, k, where], gallery)
        photo.change(answer, [photo, k, where], gallery)
    return block
