"""Names are found by what is said around them, in scripts that the model does not read, and where they are everyday words."""

from __future__ import annotations

import pytest

from guardrails.pii import MaskPII
from guardrails.pii.names.said import said_names


def said(text: str) -> set[str]:
    return {text[start:end] for start, end in said_names(text)}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Уважаемый Иван Петров, ваш заказ готов.", "Иван Петров"),
        ("ФИО: Соколов Алексей Николаевич", "Соколов Алексей Николаевич"),
        ("Анна Сергеевна, доброе утро!", "Анна Сергеевна"),
        ("Шановний Олександр Шевченко, ваше замовлення готове.", "Олександр Шевченко"),
        ("Αγαπητέ Γιώργο Παπαδόπουλε, η παραγγελία σας είναι έτοιμη.", "Γιώργο Παπαδόπουλε"),
        ("请联系王小明先生，您的快递已到。", "王小明"),
        ("姓名：陈静", "陈静"),
        ("鈴木さん、明日の会議は10時からです。", "鈴木"),
        ("私は高橋花子です。", "高橋花子"),
        ("안녕하세요 이준호 고객님, 택배가 도착했습니다.", "이준호"),
        ("저는 김민수입니다", "김민수"),
        ("مرحبا محمد، موعدك غدا", "محمد"),
        ("שלום דוד, התור שלך מחר.", "דוד"),
        ("नमस्ते प्रिया जी", "प्रिया"),
        ("เรียนคุณสมชาย คำสั่งซื้อของคุณพร้อมแล้ว", "สมชาย"),
        ("Will, your haircut is at 4pm.", "Will"),
        ("Tell Bill to pay the bill", "Bill"),
        ("My wife April will sign", "April"),
        ("Faith called in sick", "Faith"),
        ("Assigned to Rich; reviewer: Ann", "Rich"),
    ],
)
def test_a_name_is_found_and_nothing_around_it(text: str, name: str) -> None:
    assert said(text) == {name}


@pytest.mark.parametrize(
    "text",
    [
        "Здравствуйте, Ваш заказ готов.",
        "Встреча перенесена на понедельник в 10:00.",
        "您的验证码是482913，请勿泄露。",
        "尊敬的客户，您好！",
        "お客様、ご注文の商品は明日届きます。",
        "皆さん、こんにちは",
        "고객님, 주문하신 상품이 배송되었습니다.",
        "تم تسليم طلبك بنجاح.",
        "ההזמנה שלך נשלחה.",
        "आपका ऑर्डर भेज दिया गया है।",
        "พัสดุของคุณจัดส่งแล้ว",
        "We hope for joy and grace in the summer.",
        "Will call later. May I ask? Hope you are well",
        "Meet in May, from April 3 on, and see June 2026",
        "Summer and autumn sale. Chase the deal and Bill Payments",
        "tell bill to wait",
    ],
)
def test_ordinary_messages_have_none(text: str) -> None:
    assert said(text) == set()


def test_the_control_finds_them_as_people(with_names: MaskPII) -> None:
    assert with_names.mask("尊敬的李娜女士，您好！")[0] == "尊敬的<PERSON>女士，您好！"
    assert with_names.mask("Art and Sunny joined")[0] == "<PERSON> and <PERSON> joined"
