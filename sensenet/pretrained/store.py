"""The cache directory of published weights: what is there is read, what is missing is downloaded, once.

A weight file gets its name only when it is whole and holds the layers of its network; its SHA-256 stands beside
it in `<file>.sha256` (the format of `sha256sum`) and is checked whenever the file is asked for.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from sensenet.errors import SettingsError, WeightsError
from sensenet.files import open_regular, read_whole, whole_file, write_whole
from sensenet.partial_files import TEMPORARY_SUFFIX, temporary_path
from sensenet.pretrained.download import DownloadPolicy, fetch
from sensenet.pretrained.layout import PretrainedLayers, read_layers
from sensenet.pretrained.networks import NETWORKS, find

CACHE_VARIABLE = "BIGML_SENSENET_CACHE_PATH"
URL_VARIABLE = "BIGML_SENSENET_WEIGHTS_URL"
DEFAULT_CACHE = "~/.bigml_sensenet"
DEFAULT_URL = "https://s3.amazonaws.com/bigml-cnns/"
LOCK_POLL_SECONDS = 0.1
QUIET_WAIT_SECONDS = 1.0
PATIENT = DownloadPolicy()


def cache_directory() -> Path:
    """Where weight files are kept: `BIGML_SENSENET_CACHE_PATH`, or `~/.bigml_sensenet`; it need not exist.

    Raises:
        WeightsError: the path begins with `~`, and this user has no home directory.
    """
    named = os.environ.get(CACHE_VARIABLE) or DEFAULT_CACHE
    try:
        return Path(named).expanduser().absolute()
    except RuntimeError as error:
        raise WeightsError(f"{named}: {error} Name a cache directory in {CACHE_VARIABLE}") from error


def weights_url(name: str) -> str:
    """Where the weights of `name` are downloaded from: below `BIGML_SENSENET_WEIGHTS_URL`, or BigML's bucket.

    Raises:
        SettingsError: no network with published weights.
    """
    base = os.environ.get(URL_VARIABLE) or DEFAULT_URL
    return f"{base.rstrip('/')}/{_file_name(name)}"


def weights_path(name: str, policy: DownloadPolicy = PATIENT) -> Path:
    """The weight file of a published network in the cache directory, downloaded if it is not there.

    Args:
        name: a network of `sensenet.pretrained.NETWORKS` that has a version.
        policy: how patient the download is.

    Raises:
        SettingsError: no network with published weights.
        WeightsError: the file cannot be had, is not what it should be, or has changed; says what to do.
    """
    path = cache_directory() / _file_name(name)
    with _cache_of(name, path):
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with _locked(path, policy):
                # another process may have brought it while this one waited for the lock
                if not path.exists():
                    _bring(name, path, policy)
    _check(name, path)
    return path


def pretrained_layers(name: str, policy: DownloadPolicy = PATIENT) -> PretrainedLayers:
    """The initialized layers of a published network: (image layers, readout layers).

    Raises:
        SettingsError, WeightsError: as `weights_path`.
    """
    return read_layers(name, weights_path(name, policy))


def _file_name(name: str) -> str:
    version = find(name).version
    if version is None:
        published = ", ".join(known for known, network in NETWORKS.items() if network.version)
        raise SettingsError(f"{name} has no published weights; those that have are {published}")
    return f"{name}_weights_{version}.h5"


def _bring(name: str, path: Path, policy: DownloadPolicy) -> None:
    # whoever holds the lock knows that these are left by processes that were killed
    for leftover in path.parent.glob(f".{path.name}.*{TEMPORARY_SUFFIX}"):
        leftover.unlink(missing_ok=True)
    url = weights_url(name)
    try:
        with whole_file(path) as file:
            fetch(url, file, policy)
            read_layers(name, file.path)
            # written first: a file under its final name always has the hash of its own bytes beside it
            _remember(path, _sha256(file.path))
    except WeightsError as error:
        reason = str(error).replace(str(temporary_path(path)), url)
        raise WeightsError(
            f"cannot get the weights of {name}: {reason}. To do without the network, bring {path.name} from {url} "
            f"and put it at {path} (or name another cache directory in {CACHE_VARIABLE}, or another base address "
            f"in {URL_VARIABLE})"
        ) from error


def _check(name: str, path: Path) -> None:
    """Compare a file with what is remembered of it; one put there by hand is looked into, then remembered."""
    try:
        found = _sha256(path)
        remembered = _remembered(path)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from error
    if remembered is None:
        read_layers(name, path)
        with contextlib.suppress(OSError):  # a cache directory that may only be read
            _remember(path, found)
    elif found != remembered:
        raise WeightsError(
            f"{path}: the file has changed: its SHA-256 was {remembered}, now it is {found}. Delete it to download "
            f"it again; if it was changed on purpose, delete {_hash_path(path)} instead"
        )


def _hash_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _sha256(path: Path) -> str:
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # it has readinto


def _remember(path: Path, digest: str) -> None:
    write_whole(_hash_path(path), f"{digest}  {path.name}\n".encode())


def _remembered(path: Path) -> str | None:
    try:
        return read_whole(_hash_path(path)).decode(errors="replace").split(" ", 1)[0].strip()
    except FileNotFoundError:
        return None


@contextlib.contextmanager
def _cache_of(name: str, path: Path) -> Iterator[None]:
    """Say so where the cache directory cannot be made or written."""
    try:
        yield
    except OSError as error:
        raise WeightsError(
            f"cannot keep the weights of {name}: the cache directory {path.parent} cannot be written "
            f"({error.strerror or error}); put {path.name} there by hand, or name another directory in {CACHE_VARIABLE}"
        ) from error


@contextlib.contextmanager
def _locked(path: Path, policy: DownloadPolicy) -> Iterator[None]:
    """Hold the lock of a weight file; the system takes it back from a process that dies.

    Raises:
        WeightsError: another process holds it for longer than the policy waits.
    """
    lock = FileLock(path.with_name(f"{path.name}.lock"))
    quiet_seconds = min(QUIET_WAIT_SECONDS, policy.lock_wait_seconds)
    try:
        if not _acquired(lock, quiet_seconds):
            if quiet_seconds < policy.lock_wait_seconds:
                print(f"waiting for another process that downloads {path}", file=sys.stderr)
            lock.acquire(policy.lock_wait_seconds - quiet_seconds, LOCK_POLL_SECONDS)
    except Timeout as error:
        raise WeightsError(
            f"waited {policy.lock_wait_seconds:.0f} s for another process that downloads {path} (it holds the lock "
            f"{lock.lock_file}): end that process, or put the file there by hand"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _acquired(lock: BaseFileLock, timeout_seconds: float) -> bool:
    try:
        lock.acquire(timeout_seconds, LOCK_POLL_SECONDS)
    except Timeout:
        return False
    return True
