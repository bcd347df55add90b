"""Local servers that answer as Google Cloud Storage and S3 do, and how a user points at them."""

import contextlib
import functools
import http
import logging
import os
from collections.abc import Iterator

import fsspec
import pytest
from etils.epath.backend import fsspec_backend

# Asked of Google's servers for each bucket, and answered by no emulator: whether it has folders.
os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")

BUCKET = "shop"
_MISSING = "SKIPPED FOR WANT OF A FAKE SERVER: pip install 'fashion-jax[dev]'"


@contextlib.contextmanager
def google_server() -> Iterator[dict[str, str]]:
    """A server of gs://, and the environment variables that lead there."""
    pytest.importorskip("gcsfs", reason=_MISSING)
    server = pytest.importorskip("gcp_storage_emulator.server", reason=_MISSING)
    _keep_generations(server.HANDLERS)
    # Tests that end early leave connections that the server complains of.
    logging.getLogger("gcp_storage_emulator").setLevel(logging.CRITICAL)
    running = server.create_server("127.0.0.1", 0, in_memory=True, default_bucket=BUCKET)
    running.start()
    running._api._httpd.handle_error = lambda *request: None
    address = f"http://127.0.0.1:{running._api._httpd.server_address[1]}"
    try:
        yield {
            "STORAGE_EMULATOR_HOST": address,
            # What Orbax writes arrays with has variables of its own.
            "TENSORSTORE_GCS_HTTP_URL": address,
            "GOOGLE_AUTH_TOKEN_FOR_TESTING": "anyone",
            "GOOGLE_CLOUD_PROJECT": "shop",
            "NO_GCE_CHECK": "true",
        }
    finally:
        _forget_connections()
        running.stop()


def _keep_generations(handlers) -> None:
    """Teach the emulator what TensorStore's conditional writes rest on, as Google's server does it.

    A download tells the generation of its object, and an upload can name the one that it replaces.
    """
    from gcp_storage_emulator.handlers import objects

    if hasattr(objects.download, "__wrapped__"):
        return
    download, insert = objects.download, objects.insert

    @functools.wraps(download)
    def telling(request, response, storage, *args, **kwargs):
        name = request.params["object_id"]
        response["x-goog-generation"] = _generation(storage, request, name)
        return download(request, response, storage, *args, **kwargs)

    @functools.wraps(insert)
    def comparing(request, response, storage, *args, **kwargs):
        wanted, name = request.query.get("ifGenerationMatch"), request.query.get("name")
        if wanted and name and _generation(storage, request, name[0]) != wanted[0]:
            response.status = http.HTTPStatus.PRECONDITION_FAILED
            return None
        return insert(request, response, storage, *args, **kwargs)

    objects.download = telling  # `get` calls it
    for _, methods in handlers:
        for method, handler in methods.items():
            methods[method] = {download: telling, insert: comparing}.get(handler, handler)


def _generation(storage, request, name: str) -> str:
    from gcp_storage_emulator.exceptions import NotFound

    try:
        return storage.get_file_obj(request.params["bucket_name"], name)["generation"]
    except NotFound:
        return "0"


@contextlib.contextmanager
def amazon_server() -> Iterator[dict[str, str]]:
    """A server of s3://, and the environment variables that lead there, as to a MinIO."""
    pytest.importorskip("s3fs", reason=_MISSING)
    server = pytest.importorskip("moto.server", reason=_MISSING)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running = server.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    try:
        yield {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "anyone",
            "AWS_SECRET_ACCESS_KEY": "anything",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
    finally:
        _forget_connections()
        running.stop()


def _forget_connections() -> None:
    """Storages are opened once in a process; the next server has another port."""
    for scheme in ("gs", "s3"):
        with contextlib.suppress(ImportError):
            fsspec.get_filesystem_class(scheme).clear_instance_cache()
    fsspec_backend._get_filesystem.cache_clear()


SERVERS = {"gs": google_server, "s3": amazon_server}


def make_bucket(scheme: str) -> str:
    """Make an empty bucket; returns its address."""
    storage = fsspec.filesystem(scheme)
    if scheme == "s3":
        storage.mkdir(BUCKET)
    return f"{scheme}://{BUCKET}"
