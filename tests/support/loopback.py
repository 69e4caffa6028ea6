"""A server on the loopback address for the length of a block."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Loopback:
    """`with` starts a server at `url`; each request gets a `handler`, whose `state` is this object."""

    handler: type[BaseHTTPRequestHandler]
    port = 0  # any that is free

    def __enter__(self):
        ThreadingHTTPServer.request_queue_size = 128
        handler = type("Handler", (self.handler,), {"state": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
