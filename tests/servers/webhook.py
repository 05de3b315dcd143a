"""A server on loopback that takes messages and keeps them, as Slack or Discord would."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Webhook:
    """The server's state.

    Attributes:
        url: where to post to; its path is a secret.
        status: answered to everything.
        redirect: status and place that the address itself answers with; None takes the message.
        messages: bodies received.
    """

    url: str = ""
    status: int = 200
    redirect: tuple[int, str] | None = None
    messages: list[dict[str, Any]] = field(default_factory=list)


@contextmanager
def serve() -> Iterator[Webhook]:
    """Take messages until the block ends."""
    state = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *words: Any) -> None:
            """Quiet."""

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            moved = state.redirect is not None and not self.path.endswith("/moved")
            if not moved:
                state.messages.append(json.loads(body))
            self.send_response(state.redirect[0] if moved and state.redirect else state.status)
            if moved and state.redirect:
                self.send_header("Location", state.redirect[1])
            self.send_header("Content-Length", "0")
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}/services/SECRETSECRET"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
