"""socket_client.py - a WebSocket client as small as these tests need: RFC 6455 texts over one loopback connection."""
import base64
import http.client
import json
import os
import struct
import urllib.parse

ANSWER_S = 60
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


class Refused(Exception):
    """The upgrade was answered with a reply of HTTP: status, body."""


class Closed(Exception):
    """The server closed the connection: code, reason."""


class Socket:
    def __init__(self, url, key=None, path="/v1/responses"):
        self.http = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=ANSWER_S)
        headers = {"upgrade": "websocket", "connection": "Upgrade", "sec-websocket-version": "13",
                   "sec-websocket-key": base64.b64encode(os.urandom(16)).decode()}
        if key:
            headers["authorization"] = "Bearer " + key
        self.http.request("GET", path, headers=headers)
        reply = self.http.sock.makefile("rb", buffering=0)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = reply.read(1)
            if not byte:
                raise Closed(None, "during the handshake")
            head += byte
        status = int(head.split()[1])
        if status != 101:
            length = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
            raise Refused(status, reply.read(int(length[0].split(b":")[1])) if length else b"")
        self.socket = self.http.sock

    def frame(self, opcode, payload):
        mask = os.urandom(4)
        n = len(payload)
        size = struct.pack("!B", 0x80 | n) if n < 126 else struct.pack("!BH", 0xFE, n) if n < 65536 else struct.pack("!BQ", 0xFF, n)
        self.socket.sendall(bytes([0x80 | opcode]) + size + mask + bytes(b ^ mask[i & 3] for i, b in enumerate(payload)))

    def text(self, text):
        self.frame(TEXT, text.encode())

    def send(self, message):
        self.text(json.dumps(message))

    def exactly(self, n):
        got = b""
        while len(got) < n:
            more = self.socket.recv(n - len(got))
            if not more:
                raise Closed(None, "without a close frame")
            got += more
        return got

    def receive(self):
        """The next message's JSON. Servers' frames are not masked, and ours are never in pieces."""
        while True:
            head = self.exactly(2)
            n = head[1] & 0x7F
            n = n if n < 126 else struct.unpack("!H", self.exactly(2))[0] if n == 126 else struct.unpack("!Q", self.exactly(8))[0]
            opcode, payload = head[0] & 0xF, self.exactly(n)
            if opcode == TEXT:
                return json.loads(payload)
            if opcode == PING:
                self.frame(PONG, payload)
            if opcode == CLOSE:
                raise Closed(*(struct.unpack("!H", payload[:2])[0], payload[2:].decode()) if payload else (None, ""))

    def create(self, **body):
        self.send({"type": "response.create", "model": "o3", **body})

    def turn(self):
        """The messages of one response up to its end: the terminal event, or the error that stands in its place."""
        seen = []
        while True:
            seen.append(self.receive())
            kind = seen[-1]["type"]
            if kind in ("response.completed", "response.incomplete", "response.failed") or (kind == "error" and "sequence_number" not in seen[-1]):
                return seen

    def ask(self, **body):
        self.create(**body)
        return self.turn()

    def close(self):
        self.socket.close()
        self.http.close()
