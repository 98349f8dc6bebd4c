"""Stands between a master and a slave and breaks what it carries: `faulty_proxy.py UPSTREAM_PORT PORT=FAULT...`.

A fault befalls POST /api/execute only, and all but "never" and "trickle" the first one only, so that the master can ask.
"""
import socket
import struct
import sys
import threading
import time


def reset(connection):
    """Ends a connection with RST instead of FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def read_request(connection):
    """Reads a request with its body, as the client sends it; nothing if there is none any more."""
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = connection.recv(65536)
        if not chunk:
            return b""
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            length = int(value)
    while len(body) < length:
        chunk = connection.recv(65536)
        if not chunk:
            return b""
        body += chunk
    return head + b"\r\n\r\n" + body


class Port:
    def __init__(self, port, fault, upstream):
        self.fault, self.upstream = fault, upstream
        self.lock, self.left = threading.Lock(), 1
        self.listener = socket.create_server(("0.0.0.0", port), backlog=100)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            threading.Thread(target=self.carry, args=(client,), daemon=True).start()

    def breaks(self, request):
        if not request.startswith(b"POST /api/execute "):
            return False
        if self.fault in ("never", "trickle"):
            return True
        with self.lock:
            self.left -= 1
            return self.left >= 0

    def carry(self, client):
        """One request a connection: the answer says that the connection ends, or it ends."""
        try:
            request = read_request(client)
            if request:
                broken = self.fault if self.breaks(request) else ""
                if broken in ("before", "never"):
                    reset(client)
                    return
                slave = socket.create_connection(("127.0.0.1", self.upstream))
                if broken == "during":
                    slave.sendall(request[:-20])
                    time.sleep(.2)
                    reset(slave)
                    reset(client)
                    return
                slave.sendall(request)
                if broken in ("after", "end"):
                    slave.settimeout(.5)
                    try:
                        slave.recv(1, socket.MSG_PEEK)
                    except socket.timeout:
                        pass
                    reset(client) if broken == "after" else client.close()
                    time.sleep(30)  # The slave sees a caller that is still there.
                    return
                self.answer(client, slave, broken)
        except OSError:
            pass
        finally:
            client.close()

    def answer(self, client, slave, broken):
        seen = b""
        while not self.complete(seen):
            chunk = slave.recv(65536)
            if not chunk:
                return
            if broken == "answer":
                client.sendall(chunk[: len(chunk) // 2])
                time.sleep(.2)
                reset(client)
                return
            if broken == "trickle":
                for i in range(len(chunk)):
                    client.sendall(chunk[i : i + 1])
                    time.sleep(1)
            else:
                if not seen:
                    # So that each request comes on a connection of its own, and no thread has to wait for the next.
                    chunk = chunk.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n", 1)
                client.sendall(chunk)
                seen += chunk

    @staticmethod
    def complete(answer):
        head, _, body = answer.partition(b"\r\n\r\n")
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                return len(body) >= int(line.split(b":")[1])
        return False


upstream = int(sys.argv[1])
ports = [Port(int(port), fault, upstream) for port, fault in (word.split("=") for word in sys.argv[2:])]
print("ready", flush=True)
sys.stdin.read()
