"""What happens on the wire: exact addresses, no cookies, retries, redirects, TLS, proxies."""

from __future__ import annotations

import datetime
import ipaddress
import os
import random
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from registry.client import RegistryClient, RegistryOptions
from registry.errors import BadInput, ImgctlError, NotFound, RegistryError, Unreachable
from registry.oci import OCI_LAYER_GZIP, Descriptor, sha256
from registry.progress import SilentProgress
from registry.proxies import Proxies
from registry.retry import RetryPolicy, parse_retry_after
from registry.url import Url, is_loopback
from registry.workers import work
from tests.support.reqresp import Entry, serve

FAST = RetryPolicy(attempts=3, first=0.001, longest=0.01)
BLOB = b"0123456789" * 5000
LAYER = Descriptor(OCI_LAYER_GZIP, sha256(BLOB), len(BLOB))
BLOB_PATH = f"/v2/a/b/blobs/{LAYER.digest}"


def client_for(**options: Any) -> RegistryClient:
    return RegistryClient(RegistryOptions(retry=FAST, timeout=5, **options))


def ping(entry: Entry, **options: Any) -> ImgctlError:
    """The error a ping against one scripted reply ends with."""
    with (
        serve(entry) as server,
        client_for(**options) as client,
        pytest.raises(ImgctlError) as caught,
    ):
        client.ping(server.host)
    return caught.value


# --- requests ---


def test_cookies_never_come_back() -> None:
    """Harbor answers 403 to an unsafe request that carries its session cookie."""
    entries = (
        Entry("GET", "/v2/", reply={"Set-Cookie": "sid=1; Path=/"}),
        Entry("HEAD", BLOB_PATH, headers={"cookie": None}, status=404),
    )
    with serve(*entries) as server, client_for() as client:
        client.ping(server.host)
        assert not client.repository(server.host, "a/b").blob_exists(LAYER.digest)


def test_requests_and_bytes_are_counted() -> None:
    entries = (Entry("GET", "/v2/"), Entry("GET", BLOB_PATH, content=BLOB))
    with serve(*entries) as server, client_for() as client:
        client.ping(server.host)
        assert client.repository(server.host, "a/b").blob_bytes(LAYER) == BLOB
        assert (client.requests, client.bytes_received, client.bytes_sent) == (2, len(BLOB), 0)


def test_one_connection_serves_many_requests() -> None:
    with serve(Entry("GET", "/v2/", content=b"{}")) as server, client_for() as client:
        for _ in range(5):
            client.ping(server.host)
        assert len({seen.headers["host"] for seen in server.requests}) == 1
        assert server.connections == 1


# --- retries ---


@pytest.mark.parametrize("status", [408, 429, 499, 500, 502, 503, 504])
def test_a_safe_request_is_repeated_while_the_registry_is_busy(status: int) -> None:
    busy = Entry("GET", "/v2/", status=status, once=True)
    with serve(busy, Entry("GET", "/v2/")) as server, client_for() as client:
        client.ping(server.host)
        assert server.lines == ["GET /v2/"] * 2


def test_a_broken_connection_is_tried_again() -> None:
    entries = (Entry("GET", "/v2/", drop=True, once=True), Entry("GET", "/v2/"))
    with serve(*entries) as server, client_for() as client:
        client.ping(server.host)


def test_in_the_end_the_last_failure_is_told() -> None:
    error = ping(Entry("GET", "/v2/", status=503, content=b"<html><h1>Sorry, busy</h1></html>"))
    assert isinstance(error, RegistryError)
    assert error.status == 503
    assert "Sorry, busy" in error.why


def test_what_will_not_get_better_is_asked_once() -> None:
    with (
        serve(Entry("GET", "/v2/", status=418)) as server,
        client_for() as client,
        pytest.raises(RegistryError),
    ):
        client.ping(server.host)
    assert client.requests == 1


def test_retry_after_is_obeyed() -> None:
    slow = Entry("GET", "/v2/", status=429, reply={"Retry-After": "1"}, once=True)
    with serve(slow, Entry("GET", "/v2/")) as server, client_for() as client:
        started = time.monotonic()
        client.ping(server.host)
        assert time.monotonic() - started >= 1


class Told(SilentProgress):
    """A Progress that keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


def test_the_user_is_told_of_waits_that_last() -> None:
    busy = Entry("GET", "/v2/", status=503, once=True)
    told = Told()
    with serve(busy, busy, Entry("GET", "/v2/")) as server:
        options = RegistryOptions(retry=RetryPolicy(attempts=3, first=0.001, longest=0.01))
        with RegistryClient(options, told) as client:
            client.ping(server.host)
    assert told.lines == [f"{server.host} answered 503; trying again"]


def test_the_user_is_told_at_once_of_a_host_that_lets_time_run_out() -> None:
    told = Told()
    silent = Entry("GET", "/v2/", delay=2, content=b"x", once=True)
    with serve(silent, Entry("GET", "/v2/")) as server:
        policy = RetryPolicy(attempts=2, first=0.001, longest=0.01)
        with RegistryClient(RegistryOptions(retry=policy, timeout=0.1), told) as client:
            client.ping(server.host)
    assert told.lines == [f"{server.host} does not answer; trying again"]


def test_a_hiccup_is_not_worth_a_word() -> None:
    told = Told()
    with serve(Entry("GET", "/v2/", drop=True, once=True), Entry("GET", "/v2/")) as server:
        options = RegistryOptions(retry=RetryPolicy(attempts=3, first=0.001, longest=0.01))
        with RegistryClient(options, told) as client:
            client.ping(server.host)
    assert told.lines == []


def test_retry_after_comes_in_seconds_or_as_a_date() -> None:
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=30)
    assert parse_retry_after("7") == 7
    assert parse_retry_after(format_datetime(later, usegmt=True)) == pytest.approx(30, abs=2)
    assert parse_retry_after("soon") is None


def test_no_server_can_make_us_wait_for_ever() -> None:
    policy = RetryPolicy(longest_asked=60)
    assert policy.delay(1, "86400") == 60
    assert policy.delay(1, "Thu, 01 Jan 1970 00:00:00 GMT") == 0


@given(st.text(max_size=40) | st.just("9" * 400))
def test_any_retry_after_gives_a_wait_within_bounds(value: str) -> None:
    policy = RetryPolicy(first=0.25, longest=20, longest_asked=60)
    for attempt in range(1, 12):
        assert 0 <= policy.delay(attempt, value) <= 60


def test_waits_grow_and_differ() -> None:
    policy = RetryPolicy(first=1, longest=8)
    waits = [[policy.delay(attempt) for _ in range(50)] for attempt in (1, 2, 3, 4, 5)]
    for bound, some in zip((1, 2, 4, 8, 8), waits, strict=True):
        assert all(bound / 2 <= wait <= bound for wait in some)
        assert len(set(some)) > 1


def test_closing_the_client_ends_a_wait() -> None:
    slow = Entry("GET", "/v2/", status=503, reply={"Retry-After": "30"})
    with serve(slow) as server, client_for() as client:
        threading.Timer(0.1, client.close).start()
        started = time.monotonic()
        with pytest.raises(Unreachable, match="stopped waiting"):
            client.ping(server.host)
        assert time.monotonic() - started < 5


# --- redirects and addresses ---


def test_a_redirected_blob_gets_there_without_the_password() -> None:
    from registry.credentials import Credentials

    secret = Credentials("user", "pass")
    storage = Entry("GET", "/bucket/x", "sig=a%2Fb+c~%7E", {"authorization": None}, content=BLOB)
    challenge = {"WWW-Authenticate": 'Basic realm="r"'}
    with serve(storage) as other:
        entries = (
            Entry("GET", BLOB_PATH, headers={"authorization": None}, status=401, reply=challenge),
            Entry(
                "GET",
                BLOB_PATH,
                status=307,
                reply={"Location": f"{other.base}/bucket/x?sig=a%2Fb+c~%7E"},
            ),
        )
        with serve(*entries) as server, client_for(credentials=lambda host: secret) as client:
            assert client.repository(server.host, "a/b").blob_bytes(LAYER) == BLOB
            assert "authorization" in server.requests[-1].headers


def test_redirects_without_end_end() -> None:
    loop = Entry("GET", BLOB_PATH, status=307, reply={"Location": "{base}" + BLOB_PATH})
    with (
        serve(loop) as server,
        client_for() as client,
        pytest.raises(RegistryError, match="redirects without end"),
    ):
        client.repository(server.host, "a/b").blob_bytes(LAYER)


@pytest.mark.parametrize(
    ("seen_at", "location", "url"),
    [
        ("https://h:1/v2/x", "https://o/p?q=%2f%2F", "https://o/p?q=%2f%2F"),
        ("https://h:1/v2/x", "/p?_state=a==&b=[1]|", "https://h:1/p?_state=a==&b=[1]|"),
        ("https://h:1/v2/x", "//o/p", "https://o/p"),
        ("https://h:1/v2/x/", "../y?z", "https://h:1/v2/y?z"),
        (
            "https://h:1/v2/x",
            "/v2/a/tags/list?last=a b&n=ü",
            "https://h:1/v2/a/tags/list?last=a%20b&n=%C3%BC",
        ),
        ("https://h:1/v2/x", "https://o", "https://o/"),
        ("https://h:1/v2/x", "https://o?x=1#frag", "https://o/?x=1"),
    ],
)
def test_where_a_location_points(seen_at: str, location: str, url: str) -> None:
    assert str(Url.parse(seen_at).follow(location)) == url


def test_a_query_is_added_to_and_never_rewritten() -> None:
    url = Url.parse("https://h/up?_state=x%3D%3d")
    assert url.with_query("digest=d").target == "/up?_state=x%3D%3d&digest=d"
    assert Url.parse("https://h/up").with_query("digest=d").target == "/up?digest=d"


@pytest.mark.parametrize("text", ["ftp://h/", "h/x", "", "https:///x", "https://user:pw@h/"])
def test_an_address_that_cannot_be_used_is_refused(text: str) -> None:
    with pytest.raises(RegistryError, match="address that cannot be used"):
        Url.parse(text)


@given(st.text(max_size=60))
def test_any_location_is_followed_or_refused(location: str) -> None:
    try:
        url = Url.parse("https://h:1/v2/a/").follow(location)
    except RegistryError:
        return
    assert url.target.isascii()
    assert not any(char.isspace() for char in url.target)


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:5000", "127.0.0.1:1", "127.9.9.9", "[::1]:5"]
)
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["localhost.evil.example", "10.0.0.1", "h", "127.0.0.1.example"])
def test_not_loopback(host: str) -> None:
    assert not is_loopback(host)


# --- blobs that break off ---


def test_a_blob_that_breaks_off_is_taken_up_where_it_ended() -> None:
    entries = (
        Entry("GET", BLOB_PATH, headers={"range": None}, content=BLOB, cut=20000, once=True),
        Entry(
            "GET",
            BLOB_PATH,
            headers={"range": f"bytes=20000-{len(BLOB) - 1}"},
            status=206,
            reply={"Content-Range": f"bytes 20000-{len(BLOB) - 1}/{len(BLOB)}"},
            content=BLOB[20000:],
            once=True,
        ),
    )
    with serve(*entries) as server, client_for() as client:
        assert client.repository(server.host, "a/b").blob_bytes(LAYER) == BLOB


def test_a_registry_without_ranges_sends_the_blob_again() -> None:
    entries = (
        Entry("GET", BLOB_PATH, content=BLOB, cut=30000, once=True),
        Entry("GET", BLOB_PATH, content=BLOB, once=True),
    )
    with serve(*entries) as server, client_for() as client:
        assert client.repository(server.host, "a/b").blob_bytes(LAYER) == BLOB


def test_a_blob_that_never_comes_is_given_up() -> None:
    with (
        serve(Entry("GET", BLOB_PATH, content=BLOB, cut=0)) as server,
        client_for() as client,
        pytest.raises(Unreachable, match="broke"),
    ):
        client.repository(server.host, "a/b").blob_bytes(LAYER)


# --- hosts that are not what they should be ---


def test_nobody_there() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{free.getsockname()[1]}"
    with client_for() as client, pytest.raises(Unreachable) as caught:
        client.ping(host)
    assert "connection refused" in str(caught.value)
    assert client.requests == 1, "a host that never answered is not asked again"


def test_no_such_name() -> None:
    with client_for() as client, pytest.raises(Unreachable) as caught:
        client.ping("registry.invalid")
    assert "cannot connect to registry.invalid" in str(caught.value)
    assert "https" not in str(caught.value)


def test_a_web_page_is_not_a_registry() -> None:
    page = Entry("GET", "/v2/", reply={"Content-Type": "text/html"}, content=b"<html>portal</html>")
    error = ping(page)
    assert "is not a container registry" in error.what
    assert "a web page" in error.why


def test_no_v2_is_not_a_registry() -> None:
    assert "is not a container registry" in ping(Entry("GET", "/v2/", status=404)).what


def test_silence_is_told_as_such() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        host = f"127.0.0.1:{mute.getsockname()[1]}"
        options = RegistryOptions(retry=RetryPolicy(attempts=1), timeout=0.1)
        with RegistryClient(options) as client, pytest.raises(Unreachable, match="does not answer"):
            client.ping(host)


def test_a_server_that_speaks_something_else() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"220 mail.example ESMTP\r\n\r\n")
                connection.recv(1000)

        thread = threading.Thread(target=greet)
        thread.start()
        host = f"127.0.0.1:{server.getsockname()[1]}"
        with (
            client_for(plain_http=frozenset({host})) as client,
            pytest.raises(Unreachable) as caught,
        ):
            client.ping(host)
        thread.join()
    assert "does not speak plain HTTP" in caught.value.what


# --- TLS ---


class Authority:
    """A certificate authority of the test's own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Test authority")])
        self.certificate = self._sign(self.name, self.key, ca=True)
        self.file = folder / "ca.crt"
        self.file.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def server_files(
        self, *, address: str = "127.0.0.1", days: int = 1, self_signed: bool = False
    ) -> tuple[Path, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "registry")])
        certificate = self._sign(name, key, address=address, days=days, self_signed=self_signed)
        return self._write("server", certificate, key)

    def client_files(self) -> tuple[Path, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "client")])
        return self._write("client", self._sign(name, key), key)

    def _write(
        self, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
    ) -> tuple[Path, Path]:
        pem = serialization.Encoding.PEM
        paths = self.folder / f"{name}.cert", self.folder / f"{name}.key"
        paths[0].write_bytes(certificate.public_bytes(pem))
        plain = serialization.NoEncryption()
        paths[1].write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
        return paths

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        *,
        ca: bool = False,
        address: str = "127.0.0.1",
        days: int = 1,
        self_signed: bool = False,
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        start = now - datetime.timedelta(days=3)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if self_signed else self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]),
                critical=False,
            )
        )
        return builder.sign(key if self_signed else self.key, hashes.SHA256())


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


class _Empty(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def do_HEAD(self) -> None:
        self.send_response(404)
        self.send_header("Content-Length", "2")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


class _QuietServer(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        pass


@contextmanager
def tls_server(
    files: tuple[Path, Path],
    client_ca: Path | None = None,
    handler: type[BaseHTTPRequestHandler] = _Empty,
) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    if client_ca is not None:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    server = _QuietServer(("127.0.0.1", 0), handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _LikeGo(_QuietServer):
    """TLS, and a word to those who speak plain HTTP to it."""

    context: ssl.SSLContext

    def finish_request(self, request: Any, client_address: Any) -> None:
        if request.recv(1, socket.MSG_PEEK) == b"\x16":
            with self.context.wrap_socket(request, server_side=True) as secured:
                super().finish_request(secured, client_address)
            return
        request.recv(1 << 16)
        time.sleep(0.1)  # so that all who ask at once are answered at once
        said = b"Client sent an HTTP request to an HTTPS server.\n"
        request.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n" + said)


@contextmanager
def like_go(authority: Authority) -> Iterator[str]:
    server = _LikeGo(("127.0.0.1", 0), _Empty)
    server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.context.load_cert_chain(*authority.server_files())
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_that_loopback_speaks_tls_is_found_out_for_all_who_ask_at_once(
    authority: Authority,
) -> None:
    with like_go(authority) as host, client_for(ca_cert=authority.file) as client:
        repository = client.repository(host, "p/r")
        tags = [f"v{number}" for number in range(8)]
        found = work(repository.manifest_descriptor, tags, len(tags), threading.Event())
    assert found == [None] * len(tags)


@pytest.mark.parametrize("call", ["manifest_descriptor", "manifest"])
def test_that_loopback_speaks_tls_that_is_not_trusted_is_told_as_that(
    authority: Authority, call: str
) -> None:
    """A HEAD, whose refusal has no words, as well as a GET."""
    with (
        like_go(authority) as host,
        client_for() as client,
        pytest.raises(Unreachable, match="not to be trusted"),
    ):
        getattr(client.repository(host, "p/r"), call)("1.0")


def test_a_private_authority_by_ca_cert(authority: Authority) -> None:
    with tls_server(authority.server_files()) as host, client_for(ca_cert=authority.file) as client:
        client.ping(host)


class _Large(_Empty):
    """Answers with three megabytes; the first time, half of them and then nothing."""

    content = random.Random(1).randbytes(3_000_000)
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        start = int(self.headers.get("Range", "bytes=0-").partition("=")[2].partition("-")[0])
        self.asked.append(self.path)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(self.content) - start))
        if start:
            whole = len(self.content)
            self.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
        self.end_headers()
        if len(self.asked) == 1:
            self.wfile.write(self.content[:1_500_000])
            self.close_connection = True
            return
        self.wfile.write(self.content[start:])


def test_a_large_body_comes_whole_over_tls_though_the_connection_breaks(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Large, "asked", [])
    content = _Large.content
    layer = Descriptor(OCI_LAYER_GZIP, sha256(content), len(content))
    with (
        tls_server(authority.server_files(), handler=_Large) as host,
        client_for(ca_cert=authority.file) as client,
        client.repository(host, "p/r").open_blob(layer) as chunks,
    ):
        assert b"".join(chunks) == content
    assert len(_Large.asked) == 2


def test_an_authority_instead_of_the_systems(authority: Authority) -> None:
    options = {"trust_file": authority.file}
    with tls_server(authority.server_files()) as host, client_for(**options) as client:
        client.ping(host)


def test_docker_s_certificate_folders_with_a_client_certificate(authority: Authority) -> None:
    files = authority.server_files()
    with tls_server(files, client_ca=authority.file) as host:
        folder = authority.folder / "certs.d" / host
        folder.mkdir(parents=True)
        (folder / "ca.crt").write_bytes(authority.file.read_bytes())
        certificate, key = authority.client_files()
        (folder / "client.cert").write_bytes(certificate.read_bytes())
        (folder / "client.key").write_bytes(key.read_bytes())
        with client_for(certs_d=(authority.folder / "certs.d",)) as client:
            client.ping(host)


def test_certificate_folders_that_may_not_be_looked_into_are_none(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = "/etc/docker/certs.d"
    look = os.stat

    def refuse(path: Any, **options: Any) -> os.stat_result:
        # Whoever runs the tests may be root, whom no mode of a folder keeps out.
        if str(path).startswith(closed):
            raise PermissionError(13, "Permission denied", str(path))
        return look(path, **options)

    monkeypatch.setattr(os, "stat", refuse)
    options = {"trust_file": authority.file, "certs_d": (Path(closed),)}
    with tls_server(authority.server_files()) as host, client_for(**options) as client:
        client.ping(host)


def tls_failure(host: str, **options: Any) -> Unreachable:
    with client_for(**options) as client, pytest.raises(Unreachable) as caught:
        client.ping(host)
    return caught.value


def test_an_expired_certificate(authority: Authority) -> None:
    with tls_server(authority.server_files(days=-1)) as host:
        error = tls_failure(host, ca_cert=authority.file)
    assert "expired" in error.why


def test_a_certificate_is_not_looked_at_twice(authority: Authority) -> None:
    """It does not get better by asking again."""
    with tls_server(authority.server_files()) as host:
        (authority.folder / host).mkdir()
        with client_for(certs_d=(authority.folder,)) as client, pytest.raises(Unreachable):
            client.ping(host)
        assert client.requests == 1


def test_a_self_signed_certificate(authority: Authority) -> None:
    with tls_server(authority.server_files(self_signed=True)) as host:
        error = tls_failure(host)
    assert "self-signed" in error.why
    assert "--ca-cert" in error.hint


def test_an_unknown_authority(authority: Authority) -> None:
    with tls_server(authority.server_files()) as host:
        error = tls_failure(host)
    assert "authority is not known" in error.why
    assert f"certs.d/{host}/ca.crt" in error.hint


def test_a_certificate_for_another_name(authority: Authority) -> None:
    with tls_server(authority.server_files(address="10.9.8.7")) as host:
        error = tls_failure(host, ca_cert=authority.file)
    assert "another name" in error.why


def test_plain_http_named_for_a_tls_port(authority: Authority) -> None:
    with tls_server(authority.server_files()) as host:
        error = tls_failure(host, plain_http=frozenset({host}))
    assert f"if {host} speaks TLS, do not name it with --plain-http" in error.hint


def test_tls_to_a_port_that_speaks_plain_http(tmp_path: Path) -> None:
    with serve() as server:
        (tmp_path / server.host).mkdir()  # certificates for it: TLS is expected
        error = tls_failure(server.host, certs_d=(tmp_path,))
    assert "speaks plain HTTP, not TLS" in error.what
    assert f"--plain-http {server.host}" in error.hint


@pytest.mark.parametrize(
    "page",
    [
        b"Client sent an HTTP request to an HTTPS server.\n",
        b"<html><h1>400 Bad Request</h1>The plain HTTP request was sent to HTTPS port</html>",
    ],
)
def test_a_tls_port_that_says_so_to_plain_http(page: bytes) -> None:
    with serve(Entry("GET", "/v2/", status=400, content=page)) as server:
        error = tls_failure(server.host, plain_http=frozenset({server.host}))
    assert "speaks TLS" in error.what


def test_a_certificate_file_that_is_none(tmp_path: Path) -> None:
    junk = tmp_path / "ca.crt"
    junk.write_text("hello")
    with client_for(ca_cert=junk) as client, pytest.raises(BadInput, match="no certificate"):
        client.ping("h.invalid")


# --- proxies ---


def test_a_proxy_gets_the_whole_address() -> None:
    with serve(Entry("GET", "http://h.invalid:81/v2/")) as proxy:
        options = {"proxies": Proxies(http=proxy.base), "plain_http": frozenset({"h.invalid:81"})}
        with client_for(**options) as client:
            client.ping("h.invalid:81")


def test_tls_goes_through_a_tunnel(authority: Authority) -> None:
    """The proxy refuses: what matters is that it was asked, and is named in the error."""
    with serve(Entry("CONNECT", "h.invalid:443", status=403)) as proxy:
        options = {"proxies": Proxies.parse({"https_proxy": f"http://u:secret@{proxy.host}"})}
        with client_for(**options) as client, pytest.raises(Unreachable) as caught:
            client.ping("h.invalid")
    assert f"the proxy http://{proxy.host} does not reach h.invalid" in caught.value.what
    assert "NO_PROXY" in caught.value.hint
    assert "secret" not in str(caught.value)


def test_loopback_is_never_proxied() -> None:
    with (
        serve(Entry("GET", "/v2/")) as server,
        client_for(proxies=Proxies(http="http://127.0.0.1:1")) as client,
    ):
        client.ping(server.host)


@pytest.mark.parametrize(
    ("no_proxy", "host", "proxied"),
    [
        ("", "h.example", True),
        ("*", "h.example", False),
        ("example", "h.example", False),
        (".example", "h.example:5000", False),
        ("*.example", "h.example", False),
        ("ample", "h.example", True),
        ("h.example:5000", "h.example:5000", False),
        ("h.example:5000", "h.example", True),
        ("10.0.0.0/8, other", "10.1.2.3:443", False),
        ("10.0.0.0/8", "11.1.2.3", True),
        ("10.1.2.3", "10.1.2.3:443", False),
        ("H.EXAMPLE", "h.example", False),
    ],
)
def test_no_proxy(no_proxy: str, host: str, proxied: bool) -> None:
    proxies = Proxies.parse({"HTTPS_PROXY": "p.example:3128", "NO_PROXY": no_proxy})
    assert proxies.for_host("https", host) == ("http://p.example:3128" if proxied else None)


def test_lower_case_wins_and_all_proxy_fills_in() -> None:
    environment = {"HTTP_PROXY": "http://a", "http_proxy": "http://b", "all_proxy": "http://c"}
    proxies = Proxies.parse(environment)
    assert (proxies.http, proxies.https) == ("http://b", "http://c")


def test_a_proxy_of_no_known_kind() -> None:
    with pytest.raises(BadInput, match="HTTPS_PROXY"):
        Proxies.parse({"HTTPS_PROXY": "gopher://u:secret@p"})


def test_not_found_names_what_was_asked() -> None:
    missing = b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}'
    with (
        serve(Entry("GET", "/v2/a/b/manifests/1", status=404, content=missing)) as server,
        client_for() as client,
        pytest.raises(NotFound) as caught,
    ):
        client.repository(server.host, "a/b").manifest("1")
    assert f"{server.host}/a/b:1" in caught.value.what
