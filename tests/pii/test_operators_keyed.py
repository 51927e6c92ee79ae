"""The operators that need a key, and the two that need nothing: redact, keep, block."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails import Guard
from guardrails.errors import Blocked, ConfigError
from guardrails.keys import Keys
from guardrails.pii import Block, Encrypt, Hash, Keep, MaskPII, Redact

OLD, NEW = b"o" * 32, b"n" * 32
KEYS = Keys(NEW)
GSM_7 = frozenset("@£$¥èéùìòÇØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./:;<=>?¡ÄÖÑÜ§¿äöñüà\n\r") | frozenset(
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
)
VALUES = st.text(max_size=40)


@given(value=VALUES)
def test_g5_what_was_encrypted_comes_back_exactly(value: str) -> None:
    encrypt = Encrypt(KEYS)
    sealed = encrypt.apply("PERSON", value)
    assert encrypt.decrypt(f"<PERSON> {sealed}, {sealed.upper()}.") == f"<PERSON> {value}, {value}."


@given(value=VALUES, entity=st.sampled_from(["PERSON", "US_SSN"]))
def test_what_keyed_operators_write_fits_an_sms_and_holds_no_digit(value: str, entity: str) -> None:
    for written in (Hash(KEYS).apply(entity, value), Encrypt(KEYS).apply(entity, value)):
        assert set(written) <= GSM_7
        assert not any(character.isdigit() for character in written)


@given(position=st.integers(0, 1_000), letter=st.sampled_from("abcdefghijklmnop"))
def test_g5_an_altered_ciphertext_is_left_as_it_stands(position: int, letter: str) -> None:
    sealed = Encrypt(KEYS).apply("PERSON", "Ann")
    first = sealed.index(":enc:") + 5
    place = first + position % (len(sealed) - first - 1)
    altered = sealed[:place] + letter + sealed[place + 1 :]
    assert Encrypt(KEYS).decrypt(altered) == ("Ann" if altered == sealed else altered)


def test_g5_a_ciphertext_opens_only_for_its_tenant_its_entity_and_its_key() -> None:
    sealed = Encrypt(KEYS, tenant="acme").apply("PERSON", "Ann")
    moved = sealed.replace("PERSON", "US_SSN")
    assert Encrypt(KEYS, tenant="acme").decrypt(sealed) == "Ann"
    assert Encrypt(KEYS, tenant="acme").decrypt(moved) == moved
    for other in (
        Encrypt(KEYS),
        Encrypt(KEYS, tenant=""),
        Encrypt(KEYS, tenant="other"),
        Encrypt(Keys(OLD), tenant="acme"),
    ):
        assert other.decrypt(sealed) == sealed


def test_old_keys_still_decrypt_and_new_ones_encrypt() -> None:
    rotated = Keys((NEW, OLD))
    assert Encrypt(rotated).decrypt(Encrypt(Keys(OLD)).apply("URL", "example.com")) == "example.com"
    assert Encrypt(KEYS).decrypt(Encrypt(rotated).apply("URL", "example.com")) == "example.com"


def test_encrypting_twice_gives_two_ciphertexts() -> None:
    assert Encrypt(KEYS).apply("URL", "example.com") != Encrypt(KEYS).apply("URL", "example.com")


def test_a_digest_joins_spellings_of_one_address_and_separates_everything_else() -> None:
    digest = Hash(KEYS, tenant="acme").apply
    same = digest("PHONE_NUMBER", "+1 212 555 0173")
    assert digest("PHONE_NUMBER", "+1 (212) 555-0173") == same
    assert digest("EMAIL_ADDRESS", "Ann@EXAMPLE.com") == digest("EMAIL_ADDRESS", "ann@example.com")
    others = {
        same,
        digest("PHONE_NUMBER", "+1 212 555 0174"),
        digest("US_BANK_NUMBER", "+1 212 555 0173"),
        Hash(KEYS).apply("PHONE_NUMBER", "+1 212 555 0173"),
        Hash(Keys(OLD), tenant="acme").apply("PHONE_NUMBER", "+1 212 555 0173"),
    }
    assert len(others) == 5


def test_masking_again_changes_nothing_that_a_keyed_operator_wrote() -> None:
    control = MaskPII(operators={"DEFAULT": Hash(KEYS), "CREDIT_CARD": Encrypt(KEYS)})
    for _ in range(100):  # each ciphertext is another one, and some look like a place to the model
        masked = control.mask("ann@example.com, +1 212 555 0173, 4242 4242 4242 4242, 219-09-9999")[0]
        assert control.mask(masked) == (masked, [])


def test_redact_leaves_nothing_and_keep_leaves_everything_on_the_record() -> None:
    control = MaskPII(operators={"URL": Redact(), "EMAIL_ADDRESS": Keep(), "PHONE_NUMBER": "redact"})
    masked, findings = control.mask("https://example.com ann@example.com +1 212 555 0173")
    assert masked == " ann@example.com "
    assert [finding.type for finding in findings] == ["URL", "EMAIL_ADDRESS", "PHONE_NUMBER"]


def test_g2_a_blocked_entity_refuses_the_message_and_names_its_type_only() -> None:
    sent: list[str] = []
    guard = Guard(MaskPII(operators={"US_SSN": "block"}), channel="sms")

    @guard
    def send(to: str, body: str) -> None:
        sent.append(body)

    with pytest.raises(Blocked) as raised:
        send("+12125550199", "Your number is 219-09-9999")
    assert (sent, raised.value.findings, raised.value.sent) == ([], {"US_SSN": 1}, False)
    assert "219" not in str(raised.value)
    assert raised.value.__context__ is None
    assert not guard.preview("219-09-9999", recipient="+12125550199").allowed
    send("+12125550199", "Write to ann@example.com")
    assert sent == ["Write to <EMAIL_ADDRESS>"]


def test_a_blocked_entity_ends_a_stream_before_it_is_seen() -> None:
    def ask(prompt: str):  # type: ignore[no-untyped-def]  # noqa: ANN202 - any stream
        yield "All is well. "
        yield "It is 219-09-"
        yield "9999. Bye."

    chunks = Guard(MaskPII(operators={"US_SSN": Block()}), channel="llm").wrap(ask)("?")
    seen: list[str] = []
    with pytest.raises(Blocked):
        seen.extend(chunks)
    assert "219" not in "".join(seen)


@pytest.mark.parametrize("operator", [Hash, Encrypt])
def test_keyed_operators_refuse_what_is_no_key_and_show_none(operator: type[Hash | Encrypt]) -> None:
    with pytest.raises(ConfigError, match="takes Keys"):
        operator(b"x" * 32)  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(ConfigError, match="takes a str or None"):
        operator(KEYS, tenant=5)  # type: ignore[arg-type]  # wrong on purpose
    assert "keys" not in repr(operator(KEYS))


@pytest.mark.parametrize("operator", ["hash", Encrypt(Keys.ephemeral())])
def test_production_refuses_operators_with_a_key_that_nobody_chose(
    operator: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GUARDRAILS_KEY", raising=False)
    with pytest.raises(ConfigError, match="production needs a key"):
        Guard(MaskPII(operators={"URL": operator}), channel="sms", production=True)
    Guard(MaskPII(operators={"URL": Hash(KEYS)}), channel="sms", production=True)


def test_a_reply_with_a_blocked_entity_is_withheld() -> None:
    def ask(prompt: str) -> str:
        return "It is 219-09-9999"

    with pytest.raises(Blocked) as raised:
        Guard(MaskPII(operators={"US_SSN": "block"}), channel="llm").wrap(ask)("?")
    assert (raised.value.sent, raised.value.findings) == (True, {"US_SSN": 1})
