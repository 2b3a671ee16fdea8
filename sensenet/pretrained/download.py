"""Bringing one file from an address: retries, resuming, time-outs, size checks and a progress bar on stderr."""

from __future__ import annotations

import contextlib
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit
from urllib.request import url2pathname

import requests
from tqdm import tqdm

from sensenet.errors import WeightsError
from sensenet.files import WholeFile

CHUNK_BYTES = 256 * 1024
# a terminal is drawn often; a log gets the bar's first and last state and little between
TERMINAL_INTERVAL_SECONDS = 0.1
LOG_INTERVAL_SECONDS = 5.0
OK, PARTIAL_CONTENT, RANGE_NOT_SATISFIABLE, FIRST_SERVER_ERROR = 200, 206, 416, 500


@dataclass(frozen=True)
class DownloadPolicy:
    """How patient downloads are.

    Attributes:
        attempts: tries in all; only what another try can mend is tried again: refused and cut connections,
            time-outs, wrong sizes and answers of 500 and above.
        connect_timeout_seconds: until a connection stands.
        read_timeout_seconds: without a new byte.
        backoff_seconds: pause before the second try; each further one is twice as long.
        lock_wait_seconds: for another process that is downloading the same file.
    """

    attempts: int = 5
    connect_timeout_seconds: float = 10.0
    read_timeout_seconds: float = 30.0
    backoff_seconds: float = 0.5
    lock_wait_seconds: float = 1800.0


class _TransientError(Exception):
    """What another try may mend."""


@dataclass
class _State:
    """What is known of the remote file, and what of it is here."""

    received_bytes: int = 0
    total_bytes: int | None = None
    validator: str | None = None


def fetch(url: str, file: WholeFile, policy: DownloadPolicy) -> None:
    """Bring what `url` names into `file`.

    Args:
        url: http, https or file.

    Raises:
        WeightsError: it cannot be had; says why.
        OSError: `file` cannot be written.
    """
    parts = urlsplit(url)
    if parts.scheme == "file":
        _copy(parts, file)
    elif parts.scheme in ("http", "https"):
        _download(url, file, policy)
    else:
        raise WeightsError(f"{url}: expected an address that begins with http:, https: or file:")


def _copy(parts: SplitResult, file: WholeFile) -> None:
    source = Path(url2pathname(parts.path))
    if parts.netloc not in ("", "localhost"):
        raise WeightsError(f"{parts.geturl()}: expected a file of this machine (file:///...)")
    try:
        opened = source.open("rb")
    except OSError as error:
        raise WeightsError(f"{parts.geturl()}: {error.strerror}") from error
    with opened, _progress_bar(source.name, source.stat().st_size) as bar:
        while chunk := opened.read(CHUNK_BYTES):
            file.write(chunk)
            bar.update(len(chunk))


def _download(url: str, file: WholeFile, policy: DownloadPolicy) -> None:
    state = _State()
    with requests.Session() as session, _progress_bar(url.rsplit("/", 1)[-1], None) as bar:
        for attempt in range(1, policy.attempts + 1):
            try:
                _attempt(session, url, file, state, policy, bar)
                return
            except _TransientError as error:
                if attempt == policy.attempts:
                    raise WeightsError(f"{url}: {error} (gave up after {attempt} tries)") from error
                pause_seconds = policy.backoff_seconds * 2 ** (attempt - 1)
                bar.write(f"{url}: {error}; trying again in {pause_seconds:g} s", file=sys.stderr)
                time.sleep(pause_seconds)


def _attempt(
    session: requests.Session, url: str, file: WholeFile, state: _State, policy: DownloadPolicy, bar: Any
) -> None:
    """Receive the file, or what is missing of it."""
    try:
        timeouts = (policy.connect_timeout_seconds, policy.read_timeout_seconds)
        with session.get(url, headers=_headers(state), stream=True, timeout=timeouts) as response:
            _begin(response, url, file, state)
            bar.total, bar.n = state.total_bytes, state.received_bytes
            bar.refresh()
            for chunk in response.iter_content(CHUNK_BYTES):
                file.write(chunk)
                state.received_bytes += len(chunk)
                bar.update(len(chunk))
    except requests.exceptions.SSLError as error:
        raise WeightsError(f"{url}: {error}") from error
    except (
        requests.exceptions.ConnectionError,
        requests.exceptions.Timeout,
        requests.exceptions.ChunkedEncodingError,
    ) as error:
        raise _TransientError(f"{_received(state)}: {error}") from error
    except requests.exceptions.RequestException as error:
        raise WeightsError(f"{url}: {error}") from error
    if state.total_bytes not in (None, state.received_bytes):
        raise _TransientError(f"{_received(state)}: the connection ended")


def _headers(state: _State) -> dict[str, str]:
    # a compressed answer would make its length say nothing about the file's
    headers = {"Accept-Encoding": "identity"}
    if state.received_bytes and state.validator:
        headers |= {"Range": f"bytes={state.received_bytes}-", "If-Range": state.validator}
    return headers


def _begin(response: requests.Response, url: str, file: WholeFile, state: _State) -> None:
    """Read an answer's head: go on where it does, or begin anew."""
    status = response.status_code
    if status == PARTIAL_CONTENT and _continues(response, state):
        return
    if status in (PARTIAL_CONTENT, RANGE_NOT_SATISFIABLE):
        state.received_bytes, state.validator = 0, None
        raise _TransientError(f"the server sent another part than asked for (HTTP {status})")
    if status >= FIRST_SERVER_ERROR:
        raise _TransientError(f"HTTP {status} {response.reason}")
    if status != OK:
        raise WeightsError(f"{url}: HTTP {status} {response.reason}")
    file.restart()
    length = response.headers.get("Content-Length", "")
    state.received_bytes = 0
    state.total_bytes = int(length) if length.isdigit() else None
    state.validator = _validator(response)


def _continues(response: requests.Response, state: _State) -> bool:
    """Whether a partial answer is the rest of the same file."""
    found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", response.headers.get("Content-Range", ""))
    if found is None or int(found[1]) != state.received_bytes:
        return False
    is_same_size = found[3] == "*" or state.total_bytes in (None, int(found[3]))
    return is_same_size and _validator(response) in (None, state.validator)


def _validator(response: requests.Response) -> str | None:
    """What tells a changed file from the same: its ETag, unless it is a weak one."""
    tag = response.headers.get("ETag")
    return None if tag is None or tag.startswith("W/") else tag


def _received(state: _State) -> str:
    if not state.received_bytes:
        return "received nothing"
    total = "an unknown number of" if state.total_bytes is None else state.total_bytes
    return f"received {state.received_bytes} of {total} bytes"


def _progress_bar(name: str, total_bytes: int | None) -> Any:
    is_terminal = False
    with contextlib.suppress(AttributeError, ValueError):
        is_terminal = sys.stderr.isatty()
    return tqdm(
        desc=name,
        total=total_bytes,
        unit="B",
        unit_scale=True,
        unit_divisor=1024,
        file=sys.stderr,
        mininterval=TERMINAL_INTERVAL_SECONDS if is_terminal else LOG_INTERVAL_SECONDS,
    )
