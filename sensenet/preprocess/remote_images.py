"""Images from an address: what comes is bounded in size and time, and nothing but http and https is followed."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import requests
import urllib3

from sensenet.errors import InputError

SCHEMES = ("http", "https")
CHUNK_BYTES = 64 * 1024
OK = 200
IDENTITY = "identity"


@dataclass(frozen=True)
class FetchPolicy:
    """How much an address may cost.

    Attributes:
        max_bytes: of an image file.
        max_seconds: from the request to the last byte.
        connect_timeout_seconds: until a connection stands.
        read_timeout_seconds: without a new byte.
        max_redirects: from one address to the next.
    """

    max_bytes: int = 64 << 20
    max_seconds: float = 60.0
    connect_timeout_seconds: float = 10.0
    read_timeout_seconds: float = 20.0
    max_redirects: int = 5


DEFAULT_POLICY = FetchPolicy()


def is_address(name: str) -> bool:
    """Whether a name is an address of the web, and no path."""
    scheme, separator, _ = name.partition("://")
    return bool(separator) and scheme.lower() in SCHEMES


def fetch_image(url: str, policy: FetchPolicy = DEFAULT_POLICY) -> bytes:
    """The bytes that an address gives. Certificates are verified; a redirection leads to http or https, or is an error.

    Args:
        url: http or https.
        policy: how much it may cost.

    Raises:
        InputError: it cannot be had, is larger, or takes longer; says why.
    """
    answer: Future[bytes] = Future()
    # of its own: names that are looked up, and servers that send a byte now and then, know no time limit
    threading.Thread(target=_fetch, args=(answer, url, policy), daemon=True).start()
    try:
        return answer.result(policy.max_seconds)
    except TimeoutError:
        raise InputError(f"{url}: has not ended within {policy.max_seconds:g} s") from None
    except (requests.exceptions.InvalidSchema, requests.exceptions.InvalidURL) as error:
        raise InputError(f"{url}: leads to something else than http and https") from error
    except requests.exceptions.TooManyRedirects as error:
        raise InputError(f"{url}: is redirected more than {policy.max_redirects} times") from error
    except requests.exceptions.RequestException as error:
        raise InputError(f"{url}: cannot be had: {_reason(error)}") from error


def _fetch(answer: Future[bytes], url: str, policy: FetchPolicy) -> None:
    try:
        with requests.Session() as session:
            session.max_redirects = policy.max_redirects
            answer.set_result(_received(session, url, policy))
    except BaseException as error:
        answer.set_exception(error)


def _received(session: requests.Session, url: str, policy: FetchPolicy) -> bytes:
    timeouts = (policy.connect_timeout_seconds, policy.read_timeout_seconds)
    # compressed, few bytes could become many
    headers = {"Accept-Encoding": IDENTITY}
    with get(session, url, headers=headers, timeout=timeouts) as response:
        if response.status_code != OK:
            raise InputError(f"{url}: HTTP {response.status_code} {response.reason}")
        encoding = response.headers.get("Content-Encoding", IDENTITY)
        if encoding.lower() != IDENTITY:
            raise InputError(f"{url}: expected bytes as they are, got the encoding {encoding:.40}")
        content = bytearray()
        for chunk in response.iter_content(CHUNK_BYTES):
            content += chunk
            if len(content) > policy.max_bytes:
                raise InputError(f"{url}: expected at most {policy.max_bytes:,} bytes")
    return bytes(content)


def get(session: requests.Session, url: str, **options: Any) -> requests.Response:
    """The answer of a server, whose body is not read yet, neither are those of redirections, which nothing bounds.

    Args:
        options: of `session.get`.

    Raises:
        RequestException: as `session.get`.
    """
    try:
        return session.get(url, stream=True, hooks={"response": _leave_redirect}, **options)
    except requests.exceptions.RequestException:
        raise
    except urllib3.exceptions.HTTPError as error:  # a host that no name server can be asked for
        raise requests.exceptions.ConnectionError(str(error)) from error
    except ValueError as error:  # "Location" is no UTF-8, or half an IPv6 address
        raise requests.exceptions.InvalidURL(f"{url} leads to an address that is none") from error


def _leave_redirect(response: requests.Response, **_: Any) -> None:
    if response.is_redirect:
        response.close()


def first_cause(error: BaseException) -> BaseException:
    """The innermost of what libraries wrap around an error."""
    while (earlier := error.__cause__ or error.__context__) is not None:
        error = earlier
    return error


def _reason(error: Exception) -> str:
    cause = first_cause(error)
    return f"{' '.join(str(cause).split()) or type(cause).__name__:.300}"
