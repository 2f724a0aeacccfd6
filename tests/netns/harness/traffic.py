"""Servers and clients whose sockets live in given namespaces; all run as threads of the test."""

from __future__ import annotations

import select
import socket
import struct
import threading
import time
from collections.abc import Callable

from .namespace import Namespace

ECHO, SINK, SOURCE, HTTP = 7, 9, 19, 80
SO_RCVBUFFORCE, SO_MAX_PACING_RATE = 33, 47  # <asm-generic/socket.h>
_CHUNK = b"\xa5" * 65536


class Servers:
    """TCP echo, sink and source, and UDP echo, on these addresses of a namespace."""

    def __init__(self, namespace: Namespace, *addresses: str) -> None:
        self._wake, self._stop = socket.socketpair()
        self._listeners: dict[socket.socket, Callable[[socket.socket], None]] = {}
        self._connections: list[socket.socket] = []
        self._udp: list[socket.socket] = []
        for address in addresses:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            for port, serve in ((ECHO, self._echo), (SINK, self._sink), (SOURCE, self._source)):
                listener = namespace.socket(family, socket.SOCK_STREAM)
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind((address, port))
                listener.listen(64)
                self._listeners[listener] = serve
            udp = namespace.socket(family, socket.SOCK_DGRAM)
            udp.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
            udp.bind((address, ECHO))
            self._udp.append(udp)
        self._threads = [
            threading.Thread(target=self._accept, daemon=True),
            threading.Thread(target=self._udp_echo, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def pace(self, rate: int) -> None:
        """What connections made from now on send at most, bytes a second."""
        for listener in self._listeners:
            listener.setsockopt(socket.SOL_SOCKET, SO_MAX_PACING_RATE, rate)

    def close(self) -> None:
        self._stop.close()
        for thread in self._threads:
            thread.join(5)
        for sock in [*self._listeners, *self._udp, *self._connections]:
            sock.close()

    def _accept(self) -> None:
        while True:
            ready, _, _ = select.select([self._wake, *self._listeners], [], [])
            if self._wake in ready:
                return
            for listener in ready:
                connection, _ = listener.accept()
                self._connections.append(connection)
                threading.Thread(target=self._guarded, args=(self._listeners[listener], connection), daemon=True).start()

    @staticmethod
    def _guarded(serve, connection: socket.socket) -> None:
        try:
            with connection:
                serve(connection)
        except OSError:
            pass  # the client went away

    def _udp_echo(self) -> None:
        while True:
            ready, _, _ = select.select([self._wake, *self._udp], [], [])
            if self._wake in ready:
                return
            for sock in ready:
                try:
                    data, peer = sock.recvfrom(65536)
                    sock.sendto(data, peer)
                except OSError:
                    continue  # an ICMP error about an earlier answer

    @staticmethod
    def _echo(connection: socket.socket) -> None:
        while data := connection.recv(65536):
            connection.sendall(data)

    @staticmethod
    def _sink(connection: socket.socket) -> None:
        while connection.recv(1 << 20):
            pass

    @staticmethod
    def _source(connection: socket.socket) -> None:
        while True:
            connection.sendall(_CHUNK)


class Client:
    """A host that talks IPv4: the router through one tun, or a LAN host (no device)."""

    def __init__(self, namespace: Namespace, device: str | None = None) -> None:
        self.namespace = namespace
        self.device = device

    def socket(self, kind: int, timeout: float = 5, proto: int = 0) -> socket.socket:
        sock = self.namespace.socket(socket.AF_INET, kind, proto, device=self.device)
        sock.settimeout(timeout)
        return sock

    def tcp_echo(self, host: str, size: int = 200_000, timeout: float = 10) -> None:
        """Raises unless the bytes come back the same."""
        payload = bytes(i * 7 & 0xFF for i in range(size))
        with self.socket(socket.SOCK_STREAM, timeout) as sock:
            sock.connect((host, ECHO))
            sender = threading.Thread(target=lambda: (sock.sendall(payload), sock.shutdown(socket.SHUT_WR)), daemon=True)
            sender.start()
            received = bytearray()
            while data := sock.recv(65536):
                received += data
            sender.join(timeout)
        if bytes(received) != payload:
            raise AssertionError(f"TCP echo: {len(received)} of {size} bytes, or other bytes")

    def udp_echo(self, host: str, size: int = 100, tries: int = 3, timeout: float = 1) -> None:
        payload = bytes(i * 11 & 0xFF for i in range(size))
        with self.socket(socket.SOCK_DGRAM, timeout) as sock:
            sock.connect((host, ECHO))
            for _ in range(tries):
                try:
                    sock.send(payload)
                    if sock.recv(65536) == payload:
                        return
                except (TimeoutError, ConnectionRefusedError, OSError) as error:
                    last = error
                    if isinstance(error, OSError) and not isinstance(error, TimeoutError):
                        time.sleep(0.05)
        raise AssertionError(f"no UDP echo from {host} through {self.device}: {last}")

    def udp_works(self, host: str, timeout: float = 0.3, tries: int = 1) -> bool:
        try:
            self.udp_echo(host, tries=tries, timeout=timeout)
        except (AssertionError, OSError):
            return False
        return True

    def ping(self, host: str, count: int = 3, *, size: int = 56, wait: int = 5, interval: float = 0.2) -> int:
        """Number of answers."""
        device = ("-I", self.device) if self.device else ()
        text = self.namespace.run(
            "ping", "-n", "-c", str(count), "-i", str(interval), "-s", str(size), "-W", str(wait), "-w",
            str(wait + int(count * interval)), *device, host, check=False, timeout=wait + count * interval + 10,
        )  # fmt: skip
        for line in text.splitlines():
            if "packets transmitted" in line:
                return int(line.split(",")[1].split()[0])
        return 0


class Bulk:
    """One TCP transfer that records when bytes arrived. Downloads, or uploads with `upload`."""

    def __init__(self, client: Client, host: str, *, upload: bool = False, rate: int | None = None) -> None:
        """`rate`: of an upload, bytes a second at most; that of a download is the server's."""
        self.arrivals: list[tuple[float, int]] = []  # downloads: received; uploads: accepted by the kernel
        self._upload = upload
        self._sock = client.socket(socket.SOCK_STREAM, 30)
        if upload:  # a small buffer, so that what the kernel accepts follows what the peer acknowledges
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 128 << 10)
        if rate:
            self._sock.setsockopt(socket.SOL_SOCKET, SO_MAX_PACING_RATE, rate)
        self._sock.connect((host, SINK if upload else SOURCE))
        self._error: Exception | None = None
        self._stopping = False
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        if not self._started.wait(10):
            raise AssertionError("no byte arrived")

    def _run(self) -> None:
        buffer = bytearray(1 << 18)
        try:
            while not self._stopping:
                size = self._sock.send(_CHUNK) if self._upload else self._sock.recv_into(buffer)
                if size == 0:
                    raise ConnectionError("closed by the peer")
                self.arrivals.append((time.monotonic(), size))
                self._started.set()
        except Exception as error:  # told by finish()
            if not self._stopping:
                self._error = error

    def segment_size(self) -> int:
        """Bytes of data in a full segment that this end sends."""
        return self._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)

    def wait_bytes(self, size: int, timeout: float = 30) -> None:
        """Until that many more bytes went through."""
        done = 0
        seen = len(self.arrivals)
        end = time.monotonic() + timeout
        while done < size:
            if time.monotonic() > end or not self._thread.is_alive():
                raise AssertionError(f"{done} of {size} bytes within {timeout} s: {self._error}")
            time.sleep(0.02)
            done += sum(n for _, n in self.arrivals[seen:])
            seen = len(self.arrivals)

    def finish(self) -> float:
        """Ends the transfer; the longest time without a byte, seconds."""
        now = time.monotonic()
        self._stopping = True
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._thread.join(5)
        self._sock.close()
        if self._error:
            raise AssertionError(f"transfer broke: {self._error}")
        times = [at for at, _ in self.arrivals if at <= now] + [now]
        return max(later - earlier for earlier, later in zip(times, times[1:]))

    def total(self) -> int:
        return sum(size for _, size in self.arrivals)

    def per_100ms(self) -> list[int]:
        begin = self.arrivals[0][0]
        buckets = [0] * (int((self.arrivals[-1][0] - begin) * 10) + 1)
        for at, size in self.arrivals:
            buckets[int((at - begin) * 10)] += size
        return buckets


class UdpStream:
    """Numbered datagrams at a steady rate to the echo server; counts what comes back."""

    def __init__(self, client: Client, host: str, rate: int, size: int = 64) -> None:
        self._sock = client.socket(socket.SOCK_DGRAM, 1)
        self._sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        self._sock.connect((host, ECHO))
        self._rate, self._size = rate, size
        self.sent = 0
        self.send_errors = 0
        self._seen: set[int] = set()
        self._stopping = False
        self._sender = threading.Thread(target=self._send, daemon=True)
        self._receiver = threading.Thread(target=self._receive, daemon=True)
        self._receiver.start()
        self._sender.start()

    def _send(self) -> None:
        begin = time.monotonic()
        while not self._stopping:
            due = int((time.monotonic() - begin) * self._rate)
            while self.sent < due:
                try:
                    self._sock.send(struct.pack("!Q", self.sent).ljust(self._size, b"\0"))
                except OSError:
                    self.send_errors += 1
                self.sent += 1
            time.sleep(0.002)

    def _receive(self) -> None:
        while True:
            try:
                data = self._sock.recv(2048)
            except TimeoutError:
                if self._stopping:
                    return
                continue
            except OSError:
                if self._stopping:
                    return
                continue
            if len(data) >= 8:
                self._seen.add(struct.unpack("!Q", data[:8])[0])

    @property
    def received(self) -> int:
        return len(self._seen)

    def finish(self) -> tuple[int, int]:
        """Datagrams sent and lost; one quiet second decides that nothing is on its way any more."""
        self._stopping = True
        self._sender.join(5)
        self._receiver.join(10)
        self._sock.close()
        return self.sent, self.sent - self.received
