"""The page inside a notebook, and the Gradio block."""

import sys
import types

import numpy as np
import pytest
from PIL import Image

from fashion_jax.errors import FashionJaxError
from fashion_jax.serving.server import notebook
from fashion_jax.serving.server.server import RunningServer
from tests.serving.server.conftest import TOKEN, client_of, jpeg


def test_colabs_proxy_may_ask_and_show_the_page(service):
    options = {"hosts": notebook.COLAB_HOSTS, "frames": notebook.NOTEBOOKS}
    with client_of(service, TOKEN, **options) as client:
        host = {"host": "8000-m-s-1abc.us-east1-0.prod.colab.dev"}
        answer = client.get("/", headers=host)
        assert answer.status_code == 200
        assert "https://colab.research.google.com" in answer.headers["content-security-policy"]
        assert "x-frame-options" not in answer.headers
        assert client.get("/", headers={"host": "colab.dev.example.com"}).status_code == 421


def test_the_page_is_shown_by_colab_or_by_ipython(monkeypatch):
    server = object.__new__(RunningServer)  # of which only the address is looked at
    server.address = "http://127.0.0.1:8123/"
    shown = []
    output = types.ModuleType("google.colab.output")
    output.serve_kernel_port_as_iframe = lambda port, **options: shown.append((port, options))
    colab = types.ModuleType("google.colab")
    colab.output = output
    google = types.ModuleType("google")
    google.colab = colab
    with monkeypatch.context() as patch:
        for name, module in [("google", google), ("google.colab", colab)]:
            patch.setitem(sys.modules, name, module)
        notebook.show(server, 700)
    assert shown == [(8123, {"height": "700"})]
    display = pytest.importorskip("IPython.display", reason="SKIPPED FOR WANT OF IPYTHON")
    monkeypatch.setattr(display, "display", shown.append)
    notebook.show(server)
    assert shown[1].src == server.address


def test_without_gradio_the_extra_is_named(service, monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(FashionJaxError, match=r"fashion-jax\[gradio\]"):
        notebook.gradio_block(service)


@pytest.mark.filterwarnings("ignore")  # of Gradio and what it imports
def test_the_gradio_block_searches(service, monkeypatch, tmp_path):
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    pytest.importorskip("gradio", reason="SKIPPED FOR WANT OF GRADIO: the block was not used")
    gradio_client = pytest.importorskip("gradio_client")
    (tmp_path / "red.jpg").write_bytes(jpeg("red"))
    block = notebook.gradio_block(service)
    _, address, _ = block.launch(prevent_thread_lock=True, quiet=True, share=False)
    try:
        client = gradio_client.Client(address, verbose=False, download_files=tmp_path)
        photo = gradio_client.handle_file(tmp_path / "red.jpg")
        found = client.predict(photo, 3, "price < 30", api_name="/answer")
        # 00 costs 9.50, 01 costs 19.50, 02 costs 29.50.
        assert [each["caption"].partition(" · ")[0] for each in found] == ["00", "01", "02"]
        pixels = np.asarray(Image.open(found[0]["image"]).convert("RGB"))
        assert pixels.mean(axis=(0, 1)) == pytest.approx((200, 30, 40), abs=12)
        with pytest.raises(Exception, match="'size'"):
            client.predict(photo, 3, "size < 30", api_name="/answer")
    finally:
        block.close()
