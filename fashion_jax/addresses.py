"""Data in object storage (`gs://`, `s3://`): storages, and working copies on the local disk.

A storage has whole objects: no appending, no locks, no renaming in one step, no maps into memory.
Commands need all of these, so they work on a copy below `cache_folder()`, which has the same
folders as the storage. Copying fetches what is new there; `publish` uploads what is new here. A
file that makes others valid (`_LAST`) is uploaded after them and removed before them.
"""

import concurrent.futures
import contextlib
import dataclasses
import functools
import inspect
import logging
import os
import pathlib
import re
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Annotated, Any, ParamSpec, TypeVar

import fsspec
import msgspec

from fashion_jax.errors import FashionJaxError, named
from fashion_jax.files import StorageError, atomic_write, read_json, to_json
from fashion_jax.locks import sole_writer

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")
Place = str | os.PathLike[str]
Wanted = Callable[[str], bool]

CACHE = "FASHION_JAX_CACHE"  # environment variable
SCHEMES = ("gs", "s3")
# By default s3fs first asks for the size, to read large files in parts; photos are small.
_SETTINGS = {"s3": {"max_concurrency": 1}}
_EXTRAS = {"gs": "gcs", "s3": "s3"}  # extras of our package, by scheme
_CREDENTIALS = {
    "gs": "`gcloud auth application-default login`, or GOOGLE_APPLICATION_CREDENTIALS",
    "s3": "AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_ENDPOINT_URL for a "
    "server of one's own)",
}
# `pathlib` makes gs:/ of gs://.
_ADDRESS = re.compile(r"(?P<scheme>gs|s3):/{1,2}(?P<bucket>[^/]+)(?:/(?P<path>.*))?")
_COMPLETES_CHECKPOINT = "_CHECKPOINT_METADATA"
_COMPLETES_DATASET = "dataset_info.json"
_LAST = (_COMPLETES_CHECKPOINT, _COMPLETES_DATASET, "manifest.json", "config.json")
_CHECKPOINT = re.compile(r"((?:.*/)?checkpoints/[0-9]+)/.+")
_PRIVATE = re.compile(r"(^|/)(\.|checkpoints/deleted/|[^/]*(\.orbax-checkpoint-tmp|\.unfinished$))")
_STATE, _LOCK = ".state.json", ".lock"
_SCHEMA = 1
_ATTEMPTS = 5
_AT_ONCE = 8  # transfers
_LARGEST_COMPARED = 2**26  # bytes


class AddressError(FashionJaxError):
    """Data at an address that cannot be reached, or that others changed meanwhile."""


@dataclasses.dataclass(frozen=True)
class _Address:
    scheme: str
    bucket: str
    path: str

    @classmethod
    def parse(cls, place: Place) -> "_Address":
        """Split an address.

        Raises:
            AddressError: of another kind, or without a bucket.
        """
        text = os.fspath(place)
        found = _ADDRESS.fullmatch(text)
        parts = (found["path"] or "").removesuffix("/").split("/") if found else []
        if found is None or {"..", "."} & {*parts} or ("" in parts and len(parts) > 1):
            raise AddressError(
                f"{text} is not an address that can be used here; give gs://BUCKET/PATH, "
                "s3://BUCKET/PATH, or a local directory"
            )
        return cls(found["scheme"], found["bucket"], "/".join(parts))

    def __str__(self) -> str:
        return f"{self.scheme}://{self.name_of('')}".rstrip("/")

    @property
    def bucket_folder(self) -> pathlib.Path:
        return cache_folder() / self.scheme / self.bucket

    @property
    def folder(self) -> pathlib.Path:
        return self.bucket_folder / self.path

    def name_of(self, name: str) -> str:
        """Name of an object below the address, with its bucket."""
        return "/".join(part for part in (self.bucket, self.path, name) if part)


@dataclasses.dataclass(frozen=True)
class _Seen:
    """A file as it was when both sides had the same: its version there, and how it lies here."""

    version: str
    size: Annotated[int, msgspec.Meta(ge=0)]
    mtime_ns: int


@dataclasses.dataclass(frozen=True)
class _State:
    """Files of a bucket's copy, by their paths in the bucket."""

    files: dict[str, _Seen]


@dataclasses.dataclass(frozen=True)
class _Object:
    """An object of a storage: its size, and a text that changes with its content."""

    size: int
    version: str


def is_address(place: Place) -> bool:
    """Whether a place is in object storage, not a path."""
    text = os.fspath(place)
    return "://" in text or _ADDRESS.fullmatch(text) is not None


def cache_folder() -> pathlib.Path:
    """Folder of all working copies: `$FASHION_JAX_CACHE`, or `fashion-jax` in the user's cache."""
    own = os.environ.get(CACHE)
    if own:
        return pathlib.Path(own).expanduser().resolve()
    users = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return (pathlib.Path(users).expanduser() / "fashion-jax").resolve()


def everything(name: str) -> bool:
    """Copy all files."""
    return True


def open_storage(scheme: str) -> fsspec.AbstractFileSystem:
    """Open the storage of an address's scheme, for use from several threads.

    Raises:
        AddressError: if the scheme is unknown, or its package is not installed.
    """
    try:
        return fsspec.filesystem(scheme, **_SETTINGS.get(scheme, {}))
    except ImportError as error:
        extra = f"pip install 'fashion-jax[{_EXTRAS[scheme]}]'" if scheme in _EXTRAS else error
        raise AddressError(f"{scheme}:// needs a package that is not installed: {extra}") from error
    except ValueError as error:
        raise AddressError(f"unknown kind of storage {scheme}://; use gs:// or s3://") from error


@contextlib.contextmanager
def naming_remedy(address: Place, doing: str) -> Iterator[None]:
    """Turn what a storage raises into an error that names the address and what to do.

    Args:
        address: the address.
        doing: what is done inside the context: `read` or `written`.

    Raises:
        AddressError: in the place of any exception of a storage's own package.
    """
    try:
        yield
    except FashionJaxError:
        raise
    except Exception as error:
        scheme = os.fspath(address).split(":", 1)[0]
        remedy = f"Check the network, and the credentials: {_CREDENTIALS.get(scheme, scheme)}"
        if isinstance(error, FileNotFoundError):
            remedy = "Check its name, and that the bucket exists; it is not made here"
        found = str(error).strip() or repr(error)
        raise AddressError(f"{address} cannot be {doing}: {found}. {remedy}.") from error


def address_of(folder: Place) -> str | None:
    """The address that a folder is the working copy of, or lies in a working copy of."""
    place = pathlib.Path(folder).resolve()
    if not place.is_relative_to(cache_folder()):
        return None
    scheme, *rest = place.relative_to(cache_folder()).parts or ("",)
    return f"{scheme}://{'/'.join(rest)}" if scheme in SCHEMES and rest else None


def local_copy(
    place: Place, wanted: Wanted = everything, mend: bool = False, must_exist: bool = True
) -> pathlib.Path:
    """Copy what is at an address, as far as it is not here already; a path is returned as it is.

    A file that changed here since it was copied stays, unless it changed there as well.

    Args:
        place: an address, or a path.
        wanted: whether to copy a file, by its name below the address.
        mend: fetch files again that changed here: of data that is only read here.
        must_exist: refuse an address without files.

    Returns:
        The local folder.

    Raises:
        AddressError: the storage cannot be read, keeps changing, or has nothing there.
    """
    if not is_address(place):
        return pathlib.Path(place)
    address = _Address.parse(place)
    storage = open_storage(address.scheme)
    with _sole_copier(address):
        for _ in range(_ATTEMPTS):
            with naming_remedy(str(address), "read"):
                there = _objects(storage, address, wanted)
                if must_exist and not there:
                    raise AddressError(f"{address} has no files: check its name")
                # What was fetched fits together if nothing changed while it was.
                if not _fetch(storage, address, there, wanted, mend):
                    address.folder.mkdir(parents=True, exist_ok=True)
                    return address.folder
    raise AddressError(f"{address} keeps changing while it is copied: try again when it rests")


def publish(folder: Place, wanted: Wanted = everything) -> None:
    """Upload what changed in a working copy; any other folder is left alone.

    Raises:
        AddressError: the storage cannot be written, or somebody else changed the same files since
            they were copied: then nothing is uploaded.
    """
    text = address_of(folder)
    if text is None:
        return
    address = _Address.parse(text)
    with _sole_copier(address):
        state = _read_state(address)
        here = _files(address, wanted)
        known = _below(state, address, wanted)
        changed = [name for name, seen in here.items() if not _is_same(known.get(name), seen)]
        gone = [name for name in known if name not in here]
        if changed or gone:
            storage = open_storage(address.scheme)
            with naming_remedy(str(address), "written"):
                _upload(storage, address, state, changed, gone, wanted)


def size_of(path: pathlib.Path) -> int | None:
    """Size of a file here or, of one that its working copy leaves out, there; None without one.

    Raises:
        AddressError: the storage cannot be read.
    """
    if path.is_file():
        return path.stat().st_size
    text = address_of(path)
    if text is None:
        return None
    with naming_remedy(text, "read"):
        storage = open_storage(_Address.parse(text).scheme)
        return int(storage.info(text)["size"]) if storage.exists(text) else None


@contextlib.contextmanager
def working_copy(
    place: Place, wanted: Wanted = everything, must_exist: bool = False
) -> Iterator[pathlib.Path]:
    """Yield the local copy of an address, and upload what changed in it at the end.

    Args:
        place: an address; a path is yielded as it is.
        wanted: see `local_copy`.
        must_exist: see `local_copy`.

    Raises:
        AddressError: see `local_copy` and `publish`.
    """
    folder = local_copy(place, wanted, must_exist=must_exist)
    if not is_address(place):
        yield folder
        return
    try:
        yield folder
    except BaseException:
        try:
            publish(folder, wanted)  # a stopped run's log, and its last checkpoint
        except FashionJaxError as error:
            logger.warning("what changed in %s was not uploaded: %s", folder, error)
        raise
    publish(folder, wanted)


def at_addresses(
    *arguments: str, must_exist: Collection[str] = (), wanted: Wanted = everything
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Let a function take addresses for some arguments: it is given their working copies.

    Args:
        *arguments: names of the arguments.
        must_exist: names of those whose address has to have files.
        wanted: see `local_copy`.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            given = signature.bind(*args, **kwargs)
            with contextlib.ExitStack() as copies:
                for name in arguments:
                    place: Any = given.arguments.get(name)
                    if isinstance(place, str | os.PathLike) and is_address(place):
                        copy = working_copy(place, wanted, name in must_exist)
                        given.arguments[name] = copies.enter_context(copy)
                return function(*given.args, **given.kwargs)

        return call

    return decorate


def require_local(place: Place, flag: str) -> None:
    """Refuse an address where only a local folder will do.

    Raises:
        AddressError: an address.
    """
    if is_address(place):
        raise AddressError(f"{place} is an address; {flag} has to be a local directory here")


def _sole_copier(address: _Address) -> contextlib.AbstractContextManager[None]:
    folder = address.bucket_folder
    folder.mkdir(parents=True, exist_ok=True)
    return sole_writer(folder / _LOCK, f"copying files of {address}", wait=True)


def _objects(
    storage: fsspec.AbstractFileSystem, address: _Address, wanted: Wanted
) -> dict[str, _Object]:
    """List what is to be copied, by name below the address."""
    storage.invalidate_cache()
    root = address.name_of("")
    found = {}
    for key, info in storage.find(root, detail=True).items():
        name = key.removeprefix(root).lstrip("/")
        if not name or info["type"] != "file" or name.endswith("/"):  # a folder's placeholder
            continue
        if any(part in ("", ".", "..") for part in name.split("/")):
            raise AddressError(f"{address} has an object {name!r}, which no file can be called")
        if _is_copied(address, name) and wanted(name):
            # gs has generations, s3 has ETags; the rest is for storages of other kinds.
            version = [info.get(key) for key in ("generation", "ETag", "etag", "created")]
            found[name] = _Object(info["size"], next((str(v) for v in version if v), ""))
    return {name: each for name, each in found.items() if _is_complete(name, found)}


def _is_copied(address: _Address, name: str) -> bool:
    """Whether a file is ever copied: Orbax itself reads and writes checkpoints at gs://."""
    if _PRIVATE.search(name):
        return False
    return address.scheme != "gs" or "checkpoints" not in f"{address.path}/{name}".split("/")[:-1]


def _is_complete(name: str, names: Collection[str]) -> bool:
    found = _CHECKPOINT.fullmatch(name)
    return found is None or f"{found[1]}/{_COMPLETES_CHECKPOINT}" in names


def _fetch(
    storage: fsspec.AbstractFileSystem,
    address: _Address,
    there: Mapping[str, _Object],
    wanted: Wanted,
    mend: bool,
) -> bool:
    """Make the local files those of the storage; returns whether any had to be fetched."""
    state = _read_state(address)
    here, known = _files(address, wanted), _below(state, address, wanted)

    def is_new(name: str) -> bool:
        seen = known.get(name)
        if name not in here or seen is None or seen.version != there[name].version:
            return True
        return mend and not _is_same(seen, here[name])

    new = [name for name in there if is_new(name)]
    if new:
        size = sum(there[name].size for name in new)
        logger.info("copying %d files (%s bytes) from %s", len(new), f"{size:,}", address)
    try:
        for names in _in_order(new):
            for name in _at_once(lambda name: _download(storage, address, name), names):
                if (address.folder / name).is_file():
                    state[address.name_of(name)] = _seen(address, name, there[name].version)
    finally:
        for name in known.keys() - there.keys():
            _remove(address, name)
        _forget_missing(address, state)
        _write_state(address, state)
    return bool(new)


def _forget_missing(address: _Address, state: dict[str, _Seen]) -> None:
    """Forget what is not here before a command: `publish` repeats what the command removes."""
    for name in _below(state, address, everything):
        if not (address.folder / name).is_file():
            del state[address.name_of(name)]


def _download(storage: fsspec.AbstractFileSystem, address: _Address, name: str) -> None:
    """Fetch a file; one that is gone meanwhile is missed by the next listing."""
    path = address.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}.unfinished")
    try:
        storage.get_file(address.name_of(name), os.fspath(unfinished))
        unfinished.replace(path)
    except FileNotFoundError:
        path.unlink(missing_ok=True)
    finally:
        unfinished.unlink(missing_ok=True)


def _upload(
    storage: fsspec.AbstractFileSystem,
    address: _Address,
    state: dict[str, _Seen],
    changed: list[str],
    gone: list[str],
    wanted: Wanted,
) -> None:
    there = _objects(storage, address, wanted)
    _refuse_conflicts(storage, address, state, there, changed, gone)
    if any(name in there for name in changed):
        # A dataset's files keep their names when it is built anew: meanwhile, there is none.
        for name in changed:
            if name in there and name.rsplit("/", 1)[-1] == _COMPLETES_DATASET:
                storage.rm_file(address.name_of(name))
    before = {name: _seen(address, name, "") for name in changed}
    for names in _in_order(changed):
        _at_once(
            lambda name: storage.put_file(os.fspath(address.folder / name), address.name_of(name)),
            names,
        )
    for names in reversed(_in_order([name for name in gone if name in there])):
        _at_once(lambda name: storage.rm_file(address.name_of(name)), names)
    now = _objects(storage, address, wanted)
    for name in changed:
        if name in now:
            state[address.name_of(name)] = dataclasses.replace(
                before[name], version=now[name].version
            )
    for name in gone:
        del state[address.name_of(name)]
    _write_state(address, state)


def _refuse_conflicts(
    storage: fsspec.AbstractFileSystem,
    address: _Address,
    state: Mapping[str, _Seen],
    there: Mapping[str, _Object],
    changed: Iterable[str],
    gone: Iterable[str],
) -> None:
    """Refuse to write over what somebody else wrote since it was copied.

    Raises:
        AddressError: with the names.
    """
    conflicts = []
    for name in (*changed, *gone):
        seen = state.get(address.name_of(name))
        if name not in there or (seen and seen.version == there[name].version):
            continue
        path = address.folder / name
        size = there[name].size
        may_be_same = path.is_file() and path.stat().st_size == size <= _LARGEST_COMPARED
        if not may_be_same or storage.cat_file(address.name_of(name)) != path.read_bytes():
            conflicts.append(name)  # else another host's, and the same
    if conflicts:
        raise AddressError(
            f"{address} was changed by another process or host since it was copied here: "
            f"{named(conflicts)}. Nothing was uploaded. Wait until the other one has ended, then "
            "run the same command again"
        )


def _in_order(names: Iterable[str]) -> list[list[str]]:
    """Divide names: first the files, then those that make them valid."""
    files: list[str] = []
    last: list[str] = []
    for name in names:
        (last if name.rsplit("/", 1)[-1] in _LAST else files).append(name)
    return [each for each in (files, last) if each]


def _at_once(function: Callable[[str], None], names: list[str]) -> list[str]:
    """Transfer files in threads; returns their names."""
    with concurrent.futures.ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(function, names))
    return names


def _files(address: _Address, wanted: Wanted) -> dict[str, _Seen]:
    """Local files that are copied, by name below the address."""
    found = {}
    for path in sorted(address.folder.rglob("*")):
        name = path.relative_to(address.folder).as_posix()
        if _is_copied(address, name) and wanted(name) and path.is_file():
            found[name] = _seen(address, name, "")
    return {name: seen for name, seen in found.items() if _is_complete(name, found)}


def _seen(address: _Address, name: str, version: str) -> _Seen:
    status = (address.folder / name).stat()
    return _Seen(version, status.st_size, status.st_mtime_ns)


def _is_same(known: _Seen | None, here: _Seen) -> bool:
    return known is not None and (known.size, known.mtime_ns) == (here.size, here.mtime_ns)


def _below(state: Mapping[str, _Seen], address: _Address, wanted: Wanted) -> dict[str, _Seen]:
    """What is known of the files below an address."""
    prefix = address.name_of("") + "/"
    named_below = {
        name.removeprefix(prefix): seen for name, seen in state.items() if name.startswith(prefix)
    }
    return {name: seen for name, seen in named_below.items() if wanted(name)}


def _remove(address: _Address, name: str) -> None:
    """Remove a local file, and the folders that this leaves empty."""
    path = address.folder / name
    path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        for folder in path.parents:
            if folder == address.folder:
                break
            folder.rmdir()


def _read_state(address: _Address) -> dict[str, _Seen]:
    """What is known of a bucket's files; of a damaged state nothing, and all is fetched again."""
    path = address.bucket_folder / _STATE
    if not path.exists():
        return {}
    try:
        return dict(read_json(path, _State, _SCHEMA, "a copy of a bucket").files)
    except StorageError as error:
        logger.warning("all files of %s are copied again: %s", address, error)
        return {}


def _write_state(address: _Address, state: dict[str, _Seen]) -> None:
    atomic_write(address.bucket_folder / _STATE, to_json(_State(state), _SCHEMA))
