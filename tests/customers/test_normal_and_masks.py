import pytest
from hypothesis import given
from hypothesis import strategies as st

from aftersales.customers import masks, normal


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("13812345678", "+8613812345678"),
        (" 138 1234 5678", "+8613812345678"),
        ("138-1234-5678", "+8613812345678"),
        ("138‑1234‑5678", "+8613812345678"),
        ("１３８１２３４５６７８", "+8613812345678"),
        ("+86 138 1234 5678", "+8613812345678"),
        ("8613812345678", "+8613812345678"),
        ("0086-138-1234-5678", "+8613812345678"),
        ("13812345678-1234", "+8613812345678;ext=1234"),
        ("13812345678转1234", "+8613812345678;ext=1234"),
        ("010-62781234", "+861062781234"),
        ("（010）6278 1234", "+861062781234"),
        ("01062781234", "+861062781234"),
        ("+86 10 62781234", "+861062781234"),
        ("021-62781234-803", "+862162781234;ext=803"),
        ("0755-83214567", "+8675583214567"),
        ("400-810-8888", "+864008108888"),
        ("4008108888", "+864008108888"),
        ("12315", "+8612315"),
        ("+852 9123 4567", "+85291234567"),
        ("+1 (415) 555-2671", "+14155552671"),
        ("see my mail", "SEEMYMAIL"),
        ("138123456789012345", "138123456789012345"),
        ("", ""),
    ],
)
def test_a_phone_has_one_key_in_every_spelling(text: str, key: str) -> None:
    assert normal.phone_key(text) == key


@given(st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True), st.lists(st.integers(1, 10), max_size=4))
def test_separators_never_change_a_mobiles_key(number: str, places: list[int]) -> None:
    spaced = "".join(c + (" -"[i % 2] if i in places else "") for i, c in enumerate(number))
    assert normal.phone_key(spaced) == normal.phone_key("+86" + number) == "+86" + number


@given(st.text(max_size=30))
def test_a_key_of_a_key_is_the_key(text: str) -> None:
    for key in (normal.phone_key, normal.email_key, normal.order_key):
        assert key(key(text)) == key(text)


@pytest.mark.parametrize("text", ["13812345678", "010-62781234", "400-810-8888", "12315", "95588",
                                  "+852 9123 4567", "13812345678-1234", "62781234"])  # fmt: skip
def test_a_number_that_can_be_dialled_is_possible(text: str) -> None:
    assert normal.is_possible_phone(text)


@pytest.mark.parametrize("text", ["", "无", "1", "12", "call me", "138123456789012345", "+999 1"])
def test_one_that_cannot_is_not(text: str) -> None:
    assert not normal.is_possible_phone(text)


def test_mail_and_order_numbers_have_one_key() -> None:
    assert normal.email_key(" Zhang.Wei＠Example.COM ") == "zhang.wei@example.com"
    assert normal.order_key(" dd ２０２３-1001\t") == "DD2023-1001"


@pytest.mark.parametrize(
    ("phone", "mask"),
    [
        ("13812345678", "138****5678"),
        ("+86 138 1234 5678", "138****5678"),
        ("13812345678-1234", "138****5678"),
        ("010-62781234", "010****1234"),
        ("0755 8321 4567转803", "075****4567"),
        ("400-810-8888", "400****8888"),
        ("62781234", "****34"),
        ("12315", "****15"),
        ("+852 9123 4567", "+852****4567"),
        ("110", "****"),
        ("", "****"),
    ],
)
def test_a_masked_phone_shows_its_ends(phone: str, mask: str) -> None:
    assert masks.mask_phone(phone) == mask


@pytest.mark.parametrize(
    ("address", "mask"),
    [
        ("广东省深圳市南山区科技园1号", "广东省深圳市****"),
        ("北京市海淀区中关村大街1号", "北京市****"),
        ("内蒙古自治区呼和浩特市新城区", "内蒙古自治区呼和浩特市****"),
        ("12 High Street, London", "****"),
        ("中关村大街1号院", "****"),
        ("", ""),
    ],
)
def test_a_masked_address_shows_no_more_than_the_city(address: str, mask: str) -> None:
    assert masks.mask_address(address) == mask


def test_the_other_masks() -> None:
    assert masks.mask_name("欧阳娜娜") == "欧**"
    assert masks.mask_name("张伟") == "张**"
    assert masks.mask_name("张") == "**"
    assert masks.mask_email("zhang.wei@example.com") == "z****@example.com"
    assert masks.mask_email("nonsense") == "****"
    assert masks.mask_order_number("DD2023100100099") == "****0099"
    assert masks.mask_order_number("DD1") == "****"


@given(st.text(st.characters(exclude_characters="*"), min_size=1, max_size=60))
def test_no_mask_shows_the_whole_value(text: str) -> None:
    for mask in (masks.mask_phone, masks.mask_email, masks.mask_name, masks.mask_order_number):
        assert text not in mask(text)
