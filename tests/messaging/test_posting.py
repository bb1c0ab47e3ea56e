import datetime
import ipaddress
import ssl
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from aftersales.messaging import addresses, posting
from tests.messaging.stubs import Receiver, free_port, running


def post(receiver: Receiver, path: str = "/200", seconds: float = 2.0) -> posting.Answer:
    target = addresses.parse(receiver.url + path, private=True)
    return posting.post(target, "127.0.0.1", headers={"X": "y"}, body=b"{}", seconds=seconds)


def test_it_posts_the_body_under_the_targets_name(receiver: Receiver) -> None:
    target = addresses.parse("http://shop.example:1234/200?x=1", private=True)
    target = addresses.Target("http", target.host, receiver.server_address[1], target.path)
    answer = posting.post(target, "127.0.0.1", headers={"X": "y"}, body=b'{"a":1}')
    assert answer.status == 200
    ((path, headers, body, _),) = receiver.calls
    assert (path, body, headers["x"]) == ("/200?x=1", b'{"a":1}', "y")
    assert headers["host"] == f"shop.example:{receiver.server_address[1]}"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_it_follows_no_redirect(receiver: Receiver, status: int) -> None:
    receiver.answer_headers = {"Location": receiver.url + "/200"}
    assert post(receiver, f"/{status}").status == status
    assert len(receiver.calls) == 1


def test_it_does_not_swallow_a_large_answer(receiver: Receiver) -> None:
    assert post(receiver, "/200/large").status == 200


def test_it_hands_on_the_wait_it_was_asked_for(receiver: Receiver) -> None:
    receiver.answer_headers = {"Retry-After": "120"}
    assert post(receiver, "/503").retry_after == "120"


@pytest.mark.parametrize("mood", ["hang", "drip"])
def test_it_gives_up_after_its_time_however_the_other_side_stalls(
    receiver: Receiver, mood: str
) -> None:
    start = time.monotonic()
    with pytest.raises(posting.NoAnswer, match="Timeout"):
        post(receiver, f"/{mood}", seconds=0.4)
    assert 0.3 < time.monotonic() - start < 5


def test_it_says_when_nobody_listens() -> None:
    target = addresses.parse(f"http://127.0.0.1:{free_port()}/", private=True)
    with pytest.raises(posting.NoAnswer, match="Connection"):
        posting.post(target, "127.0.0.1", headers={}, body=b"")


# --- TLS ---------------------------------------------------------------------------------------


class TlsReceiver(Receiver):
    """The receiver behind a certificate for shop.example; remembers the name it was asked for."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.certificate = make_certificate(folder, "shop.example")
        self.names: list[str | None] = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate)
        context.sni_callback = lambda sock, name, ctx: self.names.append(name)
        self.socket = context.wrap_socket(self.socket, server_side=True)

    def handle_error(self, request: object, client_address: object) -> None:
        pass


def make_certificate(folder: Path, name: str) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.2"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "shop.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return file


def post_tls(server: TlsReceiver, name: str, *, trusted: bool = True) -> posting.Answer:
    target = addresses.Target("https", name, server.server_address[1], "/200")
    trust = ssl.create_default_context(cafile=str(server.certificate)) if trusted else None
    return posting.post(target, "127.0.0.1", headers={}, body=b"{}", seconds=5, trust=trust)


def test_it_asks_for_the_targets_name_and_checks_its_certificate(tmp_path: Path) -> None:
    with running(TlsReceiver(tmp_path)) as server:
        assert post_tls(server, "shop.example").status == 200
        assert server.names == ["shop.example"]


@pytest.mark.parametrize(("name", "trusted"), [("other.example", True), ("shop.example", False)])
def test_it_refuses_another_certificate(tmp_path: Path, name: str, trusted: bool) -> None:
    with running(TlsReceiver(tmp_path)) as server:
        with pytest.raises(posting.NoAnswer, match="SSL"):
            post_tls(server, name, trusted=trusted)
        assert server.calls == []
