"""Personal data in free text: what goes, what stays, glued to whatever people glue it to."""

import re
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aftersales.customers.freetext import mask_personal_data, masked

MASKED = [
    # mobiles
    ("请打13812345678谢谢", "请打138****5678谢谢"),
    ("电话13812345678。", "电话138****5678。"),
    ("电话：138-1234-5678，找老王", "电话：138****5678，找老王"),
    ("+86 138 1234 5678", "138****5678"),
    ("（+86）13812345678", "138****5678"),
    ("（13812345678）", "（138****5678）"),
    ("+8613812345678", "138****5678"),
    ("8613812345678", "138****5678"),
    ("0086-138-1234-5678", "138****5678"),
    ("我的号1381234 5678", "我的号138****5678"),
    ("138 12345678", "138****5678"),
    ("1381 234 5678", "138****5678"),
    ("138 12 34 56 78", "138****5678"),
    ("1 3 8 1 2 3 4 5 6 7 8", "138****5678"),
    ("138.1234.5678", "138****5678"),
    ("138\u00a01234\u30005678", "138****5678"),
    ("١٣٨١٢٣٤٥٦٧٨", "138****5678"),
    ("138—1234—5678", "138****5678"),
    ("138\u200b1234\u200b5678", "138****5678"),
    ("手机１３８１２３４５６７８。", "手机138****5678。"),
    ("138－1234－5678", "138****5678"),
    ("13812345678/13912345678", "138****5678/139****5678"),
    ("13812345678、13912345678或15012345678", "138****5678、139****5678或150****5678"),
    ("虚拟号13812345678-1234有效", "虚拟号138****5678有效"),
    ("13812345678转1234", "138****5678"),
    ("Tel13812345678", "Tel138****5678"),
    ("微信wx13812345678", "微信wx138****5678"),
    ("my number is13812345678thanks", "my number is138****5678thanks"),
    # land lines
    ("010-62781234", "010****1234"),
    ("（010）62781234", "010****1234"),
    ("(0755) 8321 4567转803", "075****4567"),
    ("座机01062781234白天有人", "座机010****1234白天有人"),
    ("021 6278 1234-803", "021****1234"),
    ("+86 21 6278 1234", "021****1234"),
    ("0571-8888888", "057****8888"),
    ("座机62781234", "座机****34"),
    ("电话:6278-1234", "电话:****34"),
    # foreign
    ("+852 9123 4567", "+852****4567"),
    ("call +1 (415) 555-2671 please", "call +141****2671 please"),
    ("00852 91234567", "+852****4567"),
    # mail
    ("邮箱zhang.wei@example.com。谢谢", "邮箱z****@example.com。谢谢"),
    ("发到zhang_wei+a@mail.example.com.cn，急", "发到z****@mail.example.com.cn，急"),
    ("ｚｈａｎｇ＠１６３．ｃｏｍ", "z****@163.com"),
    ("zhang@163。com", "z****@163.com"),
    ("zhang @ qq.com", "z****@qq.com"),
    ("张伟@example.com", "张****@example.com"),
    ("<12345@qq.com>", "<1****@qq.com>"),
    ("13812345678@139.com", "1****@139.com"),
    # ID numbers
    ("身份证11010519491231002X", "身份证****2X"),
    ("身份证：11010519491231002x，办退款", "身份证：****2X，办退款"),
    ("110105 19491231 002X", "****2X"),
    ("ID110105194912310021", "ID****21"),  # a wrong check digit still gives the person away
    ("１１０１０５１９４９１２３１００２Ｘ", "****2X"),
    # bank cards
    ("退到卡号6222021234567890128", "退到卡号****0128"),
    ("银行卡4111 1111 1111 1111", "银行卡****1111"),
    ("6222 0212 3456 7890 128", "****0128"),
]
KEPT = [
    "订单号WX20231001001",
    "序列号SN20231001001，型号KX-100",
    "SN13812345678",
    "KX-2023-13812345678",
    "A1B2-C3D4-13812345678",
    "550e8400-e29b-41d4-a716-446655440000",
    "订单3578901234567890123",
    "订单291234567890",
    "订单888888202310010001",
    "2023-10-01 13:45:00",
    "20231001123456",
    "2023年10月1日下午3点",
    "价格1380.00元，运费12.50",
    "电压220V 50Hz 1350rpm",
    "客服热线400-810-8888",
    "4008108888",
    "+86 400 810 8888",
    "800-810-8888",
    "打12315投诉，95588也打了",
    "IMEI 356938035643809",
    "订单6222021234567890129",
    "卡号6222021234567890129",  # no card has this check digit
    "0.1062781234",
    "+999 123 456 789",
    "+1 000 000 0000",
    "138 1234 567",
    "138****5678",
    "z****@example.com",
    "微博@小米公司",
    "3 + 4 = 7",
    "批次20230815-02，数量1500",
    "固件 v1.3.8.12345678",
    "MAC 13:81:23:45:67:89",
    "192.168.100.200",
    "",
]


@pytest.mark.parametrize(("text", "mask"), MASKED)
def test_personal_data_is_masked(text: str, mask: str) -> None:
    assert mask_personal_data(text) == (mask, True)


def test_remarks_keep_no_original() -> None:
    assert masked("请打13812345678") == "请打138****5678"


@pytest.mark.parametrize("text", KEPT)
def test_everything_else_stays(text: str) -> None:
    assert mask_personal_data(text) == (text, False)


@pytest.mark.parametrize("text", [text for text, _ in MASKED])
def test_what_is_masked_is_left_alone_the_next_time(text: str) -> None:
    result, _ = mask_personal_data(text)
    assert mask_personal_data(result) == (result, False)


def test_all_of_a_letter_is_masked() -> None:
    letter = "\n".join(text for text, _ in MASKED)
    result, found = mask_personal_data(letter)
    assert found
    assert result == "\n".join(mask for _, mask in MASKED)


CHINESE = st.text(alphabet="我的电话是机号手请回复急谢，。！：、（）；\n ", max_size=12)
MOBILE = st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True)
SHAPES = st.sampled_from(
    ["{0}{1}{2}", "{0} {1} {2}", "{0}-{1}-{2}", "+86{0}{1}{2}", "+86 {0} {1} {2}", "86-{0}{1}{2}"]
)
WIDE = str.maketrans("0123456789+-", "０１２３４５６７８９＋－")


@given(CHINESE, MOBILE, SHAPES, st.booleans(), CHINESE)
def test_a_mobile_is_found_among_chinese_in_every_shape(
    before: str, number: str, shape: str, wide: bool, after: str
) -> None:
    spelled = shape.format(number[:3], number[3:7], number[7:])
    result, found = mask_personal_data(
        before + (spelled.translate(WIDE) if wide else spelled) + after
    )
    assert found
    assert f"{number[:3]}****{number[7:]}" in result
    assert len(re.findall(r"\d", result)) == 7


@given(
    CHINESE,
    st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}@[a-z0-9]{1,9}\.(com|cn)", fullmatch=True),
    CHINESE,
)
def test_a_mail_address_is_found_among_chinese(before: str, mail: str, after: str) -> None:
    result, found = mask_personal_data(before + mail + after)
    assert found
    assert f"{mail[0]}****@{mail.rpartition('@')[2]}" in result


@given(CHINESE, st.dates(date(1900, 1, 1), date(2009, 12, 31)), st.integers(0, 999), CHINESE)
def test_an_id_number_is_found_among_chinese(
    before: str, born: date, rest: int, after: str
) -> None:
    digits = f"440305{born:%Y%m%d}{rest:03d}"
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    check = "10X98765432"[sum(w * int(d) for w, d in zip(weights, digits, strict=True)) % 11]
    result, found = mask_personal_data(before + digits + check + after)
    assert found
    assert digits not in result


@given(st.text(max_size=200))
def test_any_text_passes_and_the_second_time_nothing_is_left(text: str) -> None:
    result, found = mask_personal_data(text)
    assert found or result == text
    assert mask_personal_data(result)[1] is False


@given(st.text(alphabet="0123456789 -+@.1a（）", max_size=80))
def test_so_does_any_heap_of_digits(text: str) -> None:
    assert mask_personal_data(mask_personal_data(text)[0])[1] is False


@pytest.mark.parametrize("text", ["1" * 20_000, "138 " * 5_000, "a" * 20_000, "+86" * 7_000,
                                  "@" * 20_000, "62220 " * 3_000, "电话" * 10_000])  # fmt: skip
@pytest.mark.timeout(20)
def test_a_hostile_text_is_read_in_no_time(text: str) -> None:
    mask_personal_data(text)
