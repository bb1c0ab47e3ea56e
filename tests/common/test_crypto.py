import pytest
from hypothesis import given
from hypothesis import strategies as st

from aftersales.common import crypto

OLD = {"k1": b"1" * 32}
NEW = {"k2": b"2" * 32, **OLD}
CONTEXT = "customers_contact:phone:2f1e"


@given(st.binary(max_size=300), st.text(max_size=40))
def test_it_reads_what_it_wrote(plain: bytes, context: str) -> None:
    blob = crypto.encrypt(plain, context=context, keys=OLD)
    assert crypto.decrypt(blob, context=context, keys=OLD) == plain
    assert len(plain) < 8 or plain not in blob


@given(st.binary(min_size=1, max_size=40), st.data())
def test_it_refuses_a_blob_with_any_bit_flipped(plain: bytes, data: st.DataObject) -> None:
    blob = bytearray(crypto.encrypt(plain, context=CONTEXT, keys=OLD))
    place = data.draw(st.integers(0, len(blob) * 8 - 1))
    blob[place // 8] ^= 1 << place % 8
    with pytest.raises(crypto.CryptoError):
        crypto.decrypt(bytes(blob), context=CONTEXT, keys=OLD)


def test_it_refuses_every_truncation() -> None:
    blob = crypto.encrypt(b"13812345678", context=CONTEXT, keys=OLD)
    for length in range(len(blob)):
        with pytest.raises(crypto.CryptoError):
            crypto.decrypt(blob[:length], context=CONTEXT, keys=OLD)


@pytest.mark.parametrize(
    "context",
    [
        "customers_contact:phone:2f1f",
        "customers_contact:email:2f1e",
        "customers_order:phone:2f1e",
        "",
    ],
)
def test_it_refuses_a_blob_that_was_moved(context: str) -> None:
    blob = crypto.encrypt(b"13812345678", context=CONTEXT, keys=OLD)
    with pytest.raises(crypto.UndecryptableError):
        crypto.decrypt(blob, context=context, keys=OLD)


def test_it_never_writes_the_same_bytes_twice() -> None:
    assert len({crypto.encrypt(b"x", context=CONTEXT, keys=OLD) for _ in range(100)}) == 100


def test_it_reads_the_old_key_and_writes_the_first() -> None:
    old = crypto.encrypt(b"x", context=CONTEXT, keys=OLD)
    new = crypto.encrypt(b"x", context=CONTEXT, keys=NEW)
    assert crypto.decrypt(old, context=CONTEXT, keys=NEW) == b"x"
    assert new.startswith(crypto.VERSION + crypto.active_prefix(NEW))
    with pytest.raises(crypto.UnknownKeyError):
        crypto.decrypt(new, context=CONTEXT, keys=OLD)


def test_it_refuses_another_key_under_the_same_name() -> None:
    blob = crypto.encrypt(b"x", context=CONTEXT, keys=OLD)
    with pytest.raises(crypto.UndecryptableError):
        crypto.decrypt(blob, context=CONTEXT, keys={"k1": b"3" * 32})


def test_its_errors_hold_nothing_of_the_value() -> None:
    for blob in (b"13812345678", b"\x01\x02k1" + b"13812345678" * 4):
        with pytest.raises(crypto.CryptoError) as caught:
            crypto.decrypt(blob, context=CONTEXT, keys=OLD)
        assert "13812345678" not in str(caught.value) + repr(caught.value)


def test_an_index_is_equal_for_equal_values_and_bound_to_key_and_column() -> None:
    def index(
        value: str = "+8613812345678", column: str = "c:phone", keys: crypto.Keyring = OLD
    ) -> bytes:
        return crypto.blind_index(value, column=column, keys=keys)

    # Another key under the same name, too: who sees the name can still make no index.
    other = dict.fromkeys(OLD, b"x" * 32)
    others = [
        index(value="+8613812345679"),
        index(column="o:phone"),
        index(keys=NEW),
        index(keys=other),
    ]
    assert index() == index()
    assert len({index(), *others}) == 5


def test_a_lookup_tries_every_key_of_the_ring() -> None:
    old = crypto.blind_index("x", column="c", keys=OLD)
    assert crypto.blind_indexes("x", column="c", keys=NEW) == [
        crypto.blind_index("x", column="c", keys=NEW),
        old,
    ]
