"""One picture from its address into its file, or the reason why not."""

from __future__ import annotations

import base64
import binascii
import hashlib
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3

from pyramid import __version__
from pyramid.datasets.picture_files import picture_name
from pyramid.datasets.points import is_safe_id
from sensenet.errors import InputError
from sensenet.files import whole_file
from sensenet.preprocess.image_files import MAX_FILE_BYTES
from sensenet.preprocess.pillow_decoding import check_header, image_format
from sensenet.preprocess.remote_images import first_cause, get

OK, REQUEST_TIMEOUT, TOO_MANY, FIRST_SERVER_ERROR, UNAVAILABLE = 200, 408, 429, 500, 503
CHUNK_BYTES = 64 * 1024
HEAD_BYTES = 16
"""As many bytes tell what format a picture has."""
SLOWEST_BYTES_PER_SECOND = 1024
MOST_REDIRECTS = 5
MOST_LENGTH_DIGITS = 20
MOST_HOSTS = 64
LONGEST_PAUSE_SECONDS = 120.0
DEFAULT_PAUSE_SECONDS = 5.0
HEADERS = MappingProxyType(
    # a compressed answer would make its length say nothing about the file's
    {"User-Agent": f"pyramid_dataset/{__version__}", "Accept": "image/*", "Accept-Encoding": "identity"}
)
_OTHER_ADDRESSES = (requests.exceptions.InvalidSchema, requests.exceptions.MissingSchema)


@dataclass(frozen=True, slots=True)
class IndexedImage:
    """An image of an index.

    Attributes:
        id: names its file.
        url: where it is.
        md5: of its file, base64 of the 16 bytes; None: unknown.
        size: of its file in bytes; None: unknown.
    """

    id: str
    url: str
    md5: str | None = None
    size: int | None = None

    @property
    def host(self) -> str:
        """Whom to ask; empty where the URL names nobody."""
        try:
            return urlsplit(self.url).netloc.rpartition("@")[2].lower()
        except ValueError:
            return ""

    @property
    def has_port(self) -> bool:
        """Whether the host can be asked: its port is a number, or that of http or https."""
        try:
            port = urlsplit(self.url).port
        except ValueError:
            return False
        return port is None or port >= 0


class NotFetchedError(Exception):
    """Why a picture could not be had, in one line.

    Attributes:
        is_passing: whether another try may succeed.
        pause_seconds: how long the host does not want to be asked; None: it did not say.
    """

    def __init__(self, reason: str, is_passing: bool = False, pause_seconds: float | None = None):
        """Say why."""
        super().__init__(reason)
        self.is_passing, self.pause_seconds = is_passing, pause_seconds


def new_session(connections: int) -> requests.Session:
    """What keeps connections open, so many to a host, and verifies the certificates of those that are secured."""
    session = requests.Session()
    session.headers.clear()
    session.headers.update(HEADERS)
    session.max_redirects = MOST_REDIRECTS
    adapter = requests.adapters.HTTPAdapter(pool_connections=MOST_HOSTS, pool_maxsize=connections)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def parse_image(item: Any) -> IndexedImage | str:
    """An item of an index, or what is wrong with it."""
    if not isinstance(item, dict):
        return "expected an object with an id and a url"
    image = IndexedImage(item.get("id"), item.get("url"), item.get("md5"), item.get("size"))  # type: ignore[arg-type]
    if not is_safe_id(image.id):
        return "its id is no name of a file: expected letters, digits, _, - and ."
    if not isinstance(image.url, str) or not image.url.lower().startswith(("http://", "https://")):
        return "expected a URL that begins with http:// or https://"
    if not image.host:
        return "its URL names no host"
    if not image.has_port:
        return "the port in its URL is no number from 0 to 65535"
    if image.size is not None and (type(image.size) is not int or image.size < 1):
        return "expected a size in bytes"
    if image.md5 is not None and _digest(image.md5) is None:
        return "expected an MD5 of 16 bytes as base64"
    return image


def fetch(session: requests.Session, image: IndexedImage, folder: Path, timeout_seconds: float) -> int:
    """Bring a picture into the folder, under its id and the ending of the format that it has.

    Args:
        timeout_seconds: the longest time until a connection stands, and without a byte; also when a transfer has to
            have some speed.

    Returns:
        How many bytes it has.

    Raises:
        NotFetchedError: it could not be had.
        OSError: the file cannot be written (`filename` is its path).
    """
    deadline = _Deadline(timeout_seconds)
    try:
        with get(session, image.url, timeout=timeout_seconds) as response:
            _check_status(response)
            return _receive(response, image, folder, deadline)
    except (requests.exceptions.SSLError, urllib3.exceptions.SSLError) as error:
        raise NotFetchedError(f"the connection is not secure: {_last_words(error)}") from error
    except requests.exceptions.TooManyRedirects as error:
        raise NotFetchedError(f"more than {MOST_REDIRECTS} redirects") from error
    except _OTHER_ADDRESSES as error:
        raise NotFetchedError("it leads to an address that is not http or https") from error
    except requests.exceptions.InvalidURL as error:
        raise NotFetchedError("it leads to an address that is no URL of a host and a port") from error
    except (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError) as error:
        raise NotFetchedError(f"no answer within {timeout_seconds:g} s", is_passing=True) from error
    except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError) as error:
        # a UnicodeError: a host that no name server can be asked for
        is_passing = not isinstance(first_cause(error), UnicodeError)
        raise NotFetchedError(f"the connection failed: {_last_words(error)}", is_passing) from error


class _Deadline:
    """Ends a transfer that drips: what comes byte by byte never is without a new byte for long."""

    def __init__(self, timeout_seconds: float):
        self._start, self._timeout_seconds = time.monotonic(), timeout_seconds

    def check(self, n_bytes: int) -> None:
        seconds = time.monotonic() - self._start
        if seconds > self._timeout_seconds and n_bytes < SLOWEST_BYTES_PER_SECOND * seconds:
            raise NotFetchedError(f"too slow: {n_bytes} bytes in {seconds:.1f} s", is_passing=True)


def _check_status(response: requests.Response) -> None:
    status = response.status_code
    if status == OK:
        return
    reason = f"HTTP {status} {response.reason or ''}".strip()
    if status in (TOO_MANY, UNAVAILABLE):
        pause_seconds = _retry_after(response.headers.get("Retry-After"))
        if pause_seconds > LONGEST_PAUSE_SECONDS:
            raise NotFetchedError(f"{reason}, to be asked again in {pause_seconds:.0f} s")
        raise NotFetchedError(reason, is_passing=True, pause_seconds=pause_seconds)
    raise NotFetchedError(reason, is_passing=status == REQUEST_TIMEOUT or status >= FIRST_SERVER_ERROR)


def _retry_after(value: str | None) -> float:
    """The seconds that a header asks for: a number, or a date."""
    if value is None:
        return DEFAULT_PAUSE_SECONDS
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return DEFAULT_PAUSE_SECONDS


def _receive(response: requests.Response, image: IndexedImage, folder: Path, deadline: _Deadline) -> int:
    claimed = response.headers.get("Content-Length", "")
    # of more digits Python makes no number, and no file has so many bytes
    length = int(claimed) if claimed.isdecimal() and len(claimed) <= MOST_LENGTH_DIGITS else None
    if length is not None and length > MAX_FILE_BYTES:
        raise NotFetchedError(f"{length} bytes are too many for a picture")
    head = bytearray()
    while len(head) < HEAD_BYTES and (chunk := _next(response)):
        head += chunk
        deadline.check(len(head))
    format_name = image_format(bytes(head))
    if format_name is None:
        _check_length(len(head), length if not head else None)
        raise NotFetchedError(f"what came is no picture{_content_type(response)}")
    digest, n_bytes = hashlib.md5(usedforsecurity=False), 0
    with whole_file(folder / picture_name(image.id, format_name)) as file:
        chunk = bytes(head)
        while chunk:
            file.write(chunk)
            digest.update(chunk)
            n_bytes += len(chunk)
            deadline.check(n_bytes)
            if n_bytes > MAX_FILE_BYTES:
                raise NotFetchedError(f"more than {MAX_FILE_BYTES} bytes")
            chunk = _next(response)
        _check_length(n_bytes, length)
        _check_known(image, n_bytes, digest.digest())
        try:
            check_header(file.path, format_name)
        except InputError as error:
            raise NotFetchedError(f"what came is no picture: {error}") from error
    return n_bytes


def _next(response: requests.Response) -> bytes:
    """What has come; read(n) would wait until there are n bytes, however slowly they drip."""
    chunk: bytes = response.raw.read1(CHUNK_BYTES)
    return chunk


def _check_length(n_bytes: int, length: int | None) -> None:
    if length is not None and n_bytes < length:
        raise NotFetchedError(f"the connection ended after {n_bytes} of {length} bytes", is_passing=True)


def _check_known(image: IndexedImage, n_bytes: int, digest: bytes) -> None:
    if image.size is not None and n_bytes != image.size:
        raise NotFetchedError(f"expected {image.size} bytes, got {n_bytes}", is_passing=n_bytes < image.size)
    if image.md5 is not None and digest != _digest(image.md5):
        raise NotFetchedError("its MD5 is another: the picture was changed or replaced")


def _digest(md5: Any) -> bytes | None:
    """The bytes of an MD5 in base64, or None."""
    try:
        digest = base64.b64decode(md5, validate=True)
    except (binascii.Error, TypeError, ValueError):
        return None
    return digest if len(digest) == hashlib.md5(usedforsecurity=False).digest_size else None


def _content_type(response: requests.Response) -> str:
    value = response.headers.get("Content-Type", "")
    return f", but {value:.40}" if value and value.isprintable() else ""


def _last_words(error: Exception) -> str:
    """What an error is about, without the objects that the texts of libraries name."""
    cause = first_cause(error)
    return f"{getattr(cause, 'strerror', None) or type(cause).__name__:.100}"
