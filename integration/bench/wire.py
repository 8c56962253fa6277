"""A client of PostgreSQL's protocol that costs little, on a blocking socket of its own.

Where it connects, and as whom, is what libpq would take from PGHOST and so on. It checks what a
benchmark must be sure of (that it is logged in, that there was no error) and nothing else.
"""

import base64
import functools
import hashlib
import hmac
import os
import socket
import ssl
import struct

SSL_REQUEST = struct.pack("!ii", 8, 80877103)
PROTOCOL_3 = 196608
CHUNK = 1 << 20


class Refused(Exception):
    """The server said no, or something that does not belong there."""


@functools.cache
def scram_keys(password: str, salt: bytes, rounds: int) -> tuple[bytes, bytes]:
    """The client's key and its digest. Dear on purpose, so it is done once for all clients."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, rounds)
    key = hmac.digest(salted, b"Client Key", "sha256")
    return key, hashlib.sha256(key).digest()


@functools.cache
def tls_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # As libpq with sslmode=require.
    return context


def message(tag: bytes, body: bytes) -> bytes:
    return tag + struct.pack("!i", len(body) + 4) + body


def error_text(body: bytes) -> str:
    fields = {field[:1]: field[1:].decode(errors="replace") for field in body.split(b"\0") if field}
    return f"{fields.get(b'C')}: {fields.get(b'M')}"


class Client:
    """A connection that has logged in."""

    def __init__(self, source: str = "127.0.0.1", tls: bool = False) -> None:
        address = (os.environ["PGHOST"], int(os.environ["PGPORT"]))
        self.socket = socket.create_connection(address, timeout=60, source_address=(source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.unread = b""
        if tls:
            self.socket.sendall(SSL_REQUEST)
            if self.socket.recv(1) != b"S":
                raise Refused("there is no TLS")
            self.socket = tls_context().wrap_socket(self.socket)
        self.log_in()

    def log_in(self) -> None:
        user, database = os.environ["PGUSER"], os.environ["PGDATABASE"]
        settings = f"user\0{user}\0database\0{database}\0\0".encode()
        self.socket.sendall(struct.pack("!ii", len(settings) + 8, PROTOCOL_3) + settings)
        bare = b"n=,r=" + base64.b64encode(os.urandom(18))
        while True:
            tag, body = self.read()
            if tag == b"E":
                raise Refused(error_text(body))
            if tag == b"Z":
                return
            if tag == b"R":
                kind = int.from_bytes(body[:4], "big")
                if kind == 10:
                    first = b"n,," + bare
                    start = b"SCRAM-SHA-256\0" + struct.pack("!i", len(first)) + first
                    self.socket.sendall(message(b"p", start))
                elif kind == 11:
                    self.socket.sendall(message(b"p", scram_proof(bare, body[4:])))
                elif kind not in (0, 12):
                    raise Refused(f"authentication of kind {kind}")

    def read(self) -> tuple[bytes, bytes]:
        """The next message: its tag and its body."""
        while True:
            if len(self.unread) >= 5:
                end = 1 + int.from_bytes(self.unread[1:5], "big")
                if len(self.unread) >= end:
                    tag, body, self.unread = self.unread[:1], self.unread[5:end], self.unread[end:]
                    return tag, body
            more = self.socket.recv(8192)
            if not more:
                raise Refused("the connection was closed")
            self.unread += more

    def query(self, text: str) -> None:
        """Runs a short query and reads its whole answer."""
        self.socket.sendall(message(b"Q", text.encode() + b"\0"))
        while (read := self.read())[0] != b"Z":
            if read[0] == b"E":
                raise Refused(error_text(read[1]))

    def discard(self, text: str) -> int:
        """Runs a query, throws its answer away unread, and returns how many bytes that was.

        Its end is known by its last six bytes: neither text rows nor COPY's text hold a NUL
        behind a Z, so nothing else looks like ReadyForQuery.
        """
        self.socket.sendall(message(b"Q", text.encode() + b"\0"))
        buffer = bytearray(CHUNK)
        total, last = 0, b""
        while not (last.startswith(b"Z\0\0\0\5") and len(last) == 6):
            count = self.socket.recv_into(buffer)
            if not count:
                raise Refused("the connection was closed")
            if not total and buffer[:1] == b"E":
                raise Refused(error_text(bytes(buffer[5:count])))
            total += count
            last = (last + bytes(buffer[max(0, count - 6):count]))[-6:]
        return total


def scram_proof(bare: bytes, server_first: bytes) -> bytes:
    fields = dict(field.split(b"=", 1) for field in server_first.split(b","))
    salt, rounds = base64.b64decode(fields[b"s"]), int(fields[b"i"])
    key, stored = scram_keys(os.environ["PGPASSWORD"], salt, rounds)
    final = b"c=biws,r=" + fields[b"r"]
    signature = hmac.digest(stored, b",".join((bare, server_first, final)), "sha256")
    proof = bytes(a ^ b for a, b in zip(key, signature))
    return final + b",p=" + base64.b64encode(proof)
