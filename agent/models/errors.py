"""What went wrong with a model's service: worth another try, or final, and then in one sentence.

Threat model: the text of an error is the service's. It is cut to one short printable line, and the key is
taken out of it, wherever the service may have repeated it.
"""

from __future__ import annotations

import email.utils
import re
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpx
import openai

from agent.models.protocol import ContextOverflow, ModelError

RETRY_AFTER_CAP = 60.0
"""The longest wait a service's Retry-After is given, in seconds."""

_OVERFLOW = re.compile(
    r"context_length_exceeded|exceed_context_size|maximum context length|too many input tokens"
    r"|context (window|size|length) (is |was )?exceeded|exceeds? the (available |maximum )?context"
    r"|(prompt|input) is too long",
    re.IGNORECASE,
)
_QUOTA = re.compile(r"insufficient_quota|billing_hard_limit|insufficient (credit|balance|fund)", re.IGNORECASE)


class Transient(Exception):
    """Worth another try. `wait` is how long the service asked for, in seconds."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Which model, where, and the key that must never be shown."""

    model: str
    base_url: str
    api_key: str

    def __str__(self) -> str:
        return f"model {self.model!r} at {shown_url(self.base_url)}"

    def shown(self, text: str) -> str:
        """`text` of the service as one short printable line without the key."""
        if len(self.api_key) >= 8:  # shorter ones are placeholders and would blot out plain words
            text = text.replace(self.api_key, "***")
        line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return line if len(line) <= 200 else line[:199] + "…"


def shown_url(url: str) -> str:
    """The URL without what may be secret in it: user, password, query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}".rstrip("/")


def judge(error: Exception, where: Endpoint) -> Transient | ModelError:
    """What `error`, raised while asking `where`, amounts to."""
    if isinstance(error, openai.APIStatusError):
        return _judge_status(error, where)
    if isinstance(error, (openai.APITimeoutError, httpx.TimeoutException, TimeoutError)):
        return Transient("it stopped answering")
    if isinstance(error, openai.APIConnectionError):
        return _judge_connection(error, where)
    if isinstance(error, openai.APIError):  # an error told in the middle of a stream
        said = _said(error)
        return _final_by_text(said, where) or Transient(f"it broke off: {where.shown(_message(error))}")
    if isinstance(error, httpx.TransportError):
        return Transient("the connection broke off")
    return Transient(f"its answer was malformed ({type(error).__name__})")


def exhausted(last: Transient, attempts: int, where: Endpoint) -> ModelError:
    """What to say when no try is left."""
    return ModelError(
        f"{where} failed {attempts} times, the last time because {last}: check that the service is up and that "
        "the base URL is right, then `bridle resume`"
    )


def retry_after(headers: httpx.Headers, now: datetime | None = None) -> float | None:
    """Seconds asked for by `Retry-After` (seconds or an HTTP date), at most RETRY_AFTER_CAP; None without one."""
    text = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return min(float(text), RETRY_AFTER_CAP)
    try:
        until = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    seconds = (until - (now or datetime.now(UTC))).total_seconds()
    return min(max(seconds, 0.0), RETRY_AFTER_CAP)


def is_busy(status: int) -> bool:
    """Whether an HTTP status says that the service cannot answer now, whatever it is asked."""
    return status in (408, 429) or status >= 500


def is_overflow(status: int, said: str) -> bool:
    """Whether an answer says that what was asked is longer than the model's context."""
    return status == 413 or (400 <= status < 500 and _OVERFLOW.search(said) is not None)


def overflow(where: Endpoint) -> ContextOverflow:
    """What to say then."""
    return ContextOverflow(f"the conversation is longer than the context of {where}")


def _judge_status(error: openai.APIStatusError, where: Endpoint) -> Transient | ModelError:
    status, said = error.status_code, _said(error)
    detail = where.shown(_message(error))
    if final := _final_by_text(said, where):
        return final
    if is_busy(status):
        return Transient(f"it answered HTTP {status}: {detail}", retry_after(error.response.headers))
    match status:
        case 401:  # what the service says here tends to repeat the key
            return ModelError(f"{where} does not accept the key: check OPENAI_API_KEY and the base URL")
        case 402:
            return _quota(where)
        case 403:
            return ModelError(f"{where} is not allowed for this key ({detail}): use another key or --model")
        case 404 | 405:
            return ModelError(f"{where} was not found ({detail}): check --model and the base URL (often .../v1)")
        case 413:
            return overflow(where)
    return ModelError(f"{where} refused the request with HTTP {status}: {detail}")


def _judge_connection(error: openai.APIConnectionError, where: Endpoint) -> Transient | ModelError:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return ModelError(
                f"{where} has a certificate that cannot be verified: set SSL_CERT_FILE to the right authority"
            )
        if isinstance(cause, httpx.UnsupportedProtocol):
            return ModelError(f"{where} is not an http(s) address: check the base URL")
        reason, cause = cause, cause.__cause__ or cause.__context__
    return Transient(f"it cannot be reached ({where.shown(str(reason) or type(reason).__name__)})")


def _final_by_text(said: str, where: Endpoint) -> ModelError | None:
    if _OVERFLOW.search(said):
        return overflow(where)
    return _quota(where) if _QUOTA.search(said) else None


def _quota(where: Endpoint) -> ModelError:
    return ModelError(f"the quota for {where} is used up: check the account's billing, or use another --model")


def _message(error: openai.APIError) -> str:
    """The service's own words, where it used the usual form."""
    body = error.body
    said = body.get("message") if isinstance(body, dict) else None
    return said if isinstance(said, str) and said else error.message


def _said(error: openai.APIError) -> str:
    return f"{error.code} {error.type} {error.message}"
