"""A real HTTP service that speaks Chat Completions, streamed, and answers from a script."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Answer:
    """One scripted answer: text and calls (name, arguments as a dict or as raw text), or an HTTP error."""

    text: str = ""
    calls: Sequence[tuple[str, dict[str, Any] | str]] = ()
    status: int = 200
    finish: str = ""
    wait: threading.Event | None = None
    prompt_tokens: int = 100
    completion_tokens: int = 10
    raw: bytes | None = None


Script = Sequence[Answer] | Callable[[dict[str, Any]], Answer]


@dataclass
class Service:
    """Serves until `close`. `requests` are the bodies that came in, in order."""

    script: Script
    requests: list[dict[str, Any]] = field(default_factory=list)
    arrived: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def answer(self, request: dict[str, Any]) -> Answer:
        with self._lock:
            number = len(self.requests)
            self.requests.append(request)
            self.arrived.set()
        if callable(self.script):
            return self.script(request)
        if number >= len(self.script):
            return Answer(
                status=400, text=f"the script has {len(self.script)} answers, and this is request {number + 1}"
            )
        return self.script[number]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def submit(summary: str = "done") -> Answer:
    return Answer(calls=[("submit", {"summary": summary})])


def _handler(service: Service) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: Any) -> None:
            pass

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = service.answer(body)
            if answer.wait is not None:
                answer.wait.wait(60)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self._reply(answer)

        def _reply(self, answer: Answer) -> None:
            if answer.raw is not None or answer.status != 200:
                data = answer.raw or json.dumps({"error": {"message": answer.text, "type": "error"}}).encode()
                self.send_response(answer.status)
                if data.startswith(b"{"):
                    self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
                return
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            self.close_connection = True
            if answer.text:
                self._chunk({"role": "assistant", "content": answer.text})
            for index, (name, arguments) in enumerate(answer.calls):
                text = arguments if isinstance(arguments, str) else json.dumps(arguments)
                function = {"name": name, "arguments": text}
                call = {
                    "index": index,
                    "id": f"call_{id(answer)}_{index}",
                    "type": "function",
                    "function": function,
                }
                self._chunk({"tool_calls": [call]})
            self._chunk({}, answer.finish or ("tool_calls" if answer.calls else "stop"))
            tokens = {"prompt_tokens": answer.prompt_tokens, "completion_tokens": answer.completion_tokens}
            self._event({"choices": [], "usage": {**tokens, "total_tokens": sum(tokens.values())}})
            self.wfile.write(b"data: [DONE]\n\n")

        def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> None:
            self._event({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

        def _event(self, body: dict[str, Any]) -> None:
            head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "scripted"}
            self.wfile.write(f"data: {json.dumps({**head, **body})}\n\n".encode())
            self.wfile.flush()

    return Handler
