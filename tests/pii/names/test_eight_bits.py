"""The name model in whole numbers: nearly the published one's answers, the same weights everywhere, and nothing else is read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import onnxruntime  # type: ignore[import-untyped]  # it has no types
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails.pii.names.eight_bits import in_whole_numbers
from guardrails.pii.names.files import RAMPART, find, folders, read_checked
from guardrails.pii.names.runtime import Runtime, runtime
from guardrails.pii.names.wire import content, fields, message, text, whole

TEXTS: Final = (
    "My name is Maria de la Cruz, I live at 221B Baker Street, London. Please call.",
    "hi bob, can u call carol smith? she moved to 10 downing street, london last week",
    "Your order 0012345 has shipped and should arrive on Tuesday between 10:00 and 12:30.",
    "Sehr geehrter Herr Dr. Jonas Weber, Ihre neue Adresse ist Lindenallee 12, 10115 Berlin.",
    "ok see you at seven then, bring the blue one",
)


@pytest.fixture(scope="module")
def published() -> bytes:
    folder = find(RAMPART, folders())
    assert folder is not None
    return read_checked(folder, RAMPART.files[0])


@pytest.fixture(scope="module")
def rewritten(published: bytes) -> tuple[bytes, dict[str, Any]]:
    return in_whole_numbers(published)


def of_graph(model: bytes, number: int) -> Iterator[memoryview]:
    graph = next(content(value) for field, value in fields(model) if field == 7)
    return (content(value) for field, value in fields(graph) if field == number)


def operators(model: bytes) -> list[str]:
    return [text(value) for node in of_graph(model, 1) for field, value in fields(node) if field == 4]


def test_all_but_the_first_layer_multiplies_whole_numbers(
    published: bytes, rewritten: tuple[bytes, dict[str, Any]]
) -> None:
    before, after = operators(published), operators(rewritten[0])
    assert (before.count("MatMulNBits"), before.count("MatMulInteger")) == (37, 0)
    assert (after.count("MatMulNBits"), after.count("MatMulInteger")) == (6, 31)
    assert after.count("DynamicQuantizeLinear") == 21  # query, key and value share one


def test_no_weight_takes_more_than_seven_bits_so_that_no_processor_overflows(
    rewritten: tuple[bytes, dict[str, Any]],
) -> None:
    small = [values for name, values in rewritten[1].items() if name.endswith("_small")]
    assert len(small) == 31
    assert {int(np.abs(one.astype(int)).max()) for one in small} == {64}


def test_the_weights_are_the_same_on_every_machine(rewritten: tuple[bytes, dict[str, Any]]) -> None:
    model, large = rewritten
    digest = hashlib.sha256(model)
    for name, values in large.items():
        digest.update(name.encode())
        digest.update(values.tobytes())
    assert digest.hexdigest() == DIGEST


def test_large_tensors_are_handed_over_beside_the_file(rewritten: tuple[bytes, dict[str, Any]]) -> None:
    model, large = rewritten
    assert len(model) < 1_500_000
    assert sum(one.nbytes for one in large.values()) > 15_000_000


DIGEST: Final = "dffe12f3bba2c78bbe6632584c740bd6109b93982ffd11ed886c6d7402d4799e"


def test_its_answers_are_nearly_those_of_the_published_model(published: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = runtime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    mine = [ours.words(one) for one in TEXTS]
    theirs = _with_session(
        ours, onnxruntime.InferenceSession(published, options, providers=["CPUExecutionProvider"]), monkeypatch
    )
    for one, other in zip(mine, [theirs.words(one) for one in TEXTS], strict=True):
        assert [word[:2] for word in one] == [word[:2] for word in other]
        assert np.mean([abs(a.sure - b.sure) for a, b in zip(one, other, strict=True)]) < 0.03
        assert {
            a.group for a, b in zip(one, other, strict=True) if min(a.sure, b.sure) > 0.9 and a.group != b.group
        } == set()


def _with_session(model: Runtime, session: Any, monkeypatch: pytest.MonkeyPatch) -> Runtime:
    monkeypatch.setattr(model, "_session", session)
    return model


@pytest.mark.parametrize("broken", [b"\xff", b"\x3a\x05abc", b"\x3b", b"\x38\x01", b"\x3a\x02\x08\x01"])
def test_what_is_no_model_is_not_read(broken: bytes) -> None:
    with pytest.raises(ValueError, match="protocol buffers"):
        in_whole_numbers(broken)


def test_weights_that_are_packed_another_way_are_not_read() -> None:
    bits = message([(1, "bits"), (3, 8), (20, 2)])
    node = message([(1, "x"), (1, "weights"), (1, "scales"), (2, "y"), (4, "MatMulNBits"), (5, bits)])
    with pytest.raises(ValueError, match="packed another way"):
        in_whole_numbers(message([(7, message([(1, node)]))]))


@given(st.lists(st.tuples(st.integers(1, 2_000), st.one_of(st.integers(0, 2**40), st.binary(max_size=200)))))
def test_what_is_written_is_read_back(written: list[tuple[int, int | bytes]]) -> None:
    read = [(number, value if isinstance(value, int) else bytes(value)) for number, value in fields(message(written))]
    assert read == written


def test_fields_of_fixed_size_are_passed_over() -> None:
    assert [(number, bytes(content(value))) for number, value in fields(b"\x0d\x01\x02\x03\x04\x11" + b"8" * 8)] == [
        (1, b"\x01\x02\x03\x04"),
        (2, b"8" * 8),
    ]


def test_a_field_of_another_kind_is_refused() -> None:
    for wrong in (lambda: whole(memoryview(b"a")), lambda: content(1), lambda: text(1)):
        with pytest.raises(ValueError, match="another one than was expected"):
            wrong()
