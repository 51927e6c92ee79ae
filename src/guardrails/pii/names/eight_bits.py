"""
The name model with whole numbers in its multiplications: it takes half as long and finds as much.

As published, its weights are numbers of 4 bits with a scale for each 32 of them, and are multiplied as floats. Here each becomes
one of 7 bits with a scale for each column, and what it is multiplied with one of 8 bits with a scale for each text. The first
layer stays as it is: what comes from the table of words differs most in size, and half of the error is made there.

7 bits and not 8: processors without VNNI add two products in 16 bits, where 2 * 255 * 64 still fits. So none overflows; what
is left of floats differs between processors in its last digits, as it always did.

Why, and what was measured: docs/adr/0011-the-name-model-in-whole-numbers.md.
Source: the operators `MatMulNBits` of onnxruntime, `DynamicQuantizeLinear` and `MatMulInteger` of ONNX, and its onnx.proto.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from guardrails.pii.names.wire import Written, content, fields, message, pieces, text, whole

# Numbers of the fields of onnx.proto.
_GRAPH: Final = 7  # of a model
_NODE, _INITIALIZER = 1, 5  # of a graph
_INPUT, _OUTPUT, _OPERATOR, _ATTRIBUTE = 1, 2, 4, 5  # of a node
_ATTRIBUTE_NAME, _ATTRIBUTE_INT, _ATTRIBUTE_KIND = 1, 3, 20
_DIMENSION, _DATA_TYPE, _TENSOR_NAME, _RAW, _ELSEWHERE, _PLACE = 1, 2, 8, 9, 13, 14  # of a tensor
# And values of theirs.
_KIND_INT: Final = 2
_FLOAT, _UINT8, _INT8 = 1, 2, 3
_EXTERNAL: Final = 1

_KEPT: Final = 6  # products of the first layer: query, key, value, what joins the heads, and two of the step forward
_ZERO: Final = 8  # what stands for nothing among numbers of 4 bits
_MOST: Final = 64  # either way, of numbers of 7 bits
_LARGE: Final = 1 << 16  # bytes of a tensor that is handed over beside the file, and not copied twice on the way


class _Product(NamedTuple):
    """A multiplication by packed weights."""

    given: str
    weights: str
    scales: str
    answer: str
    rows: int
    columns: int
    block: int


def in_whole_numbers(model: bytes) -> tuple[bytes, dict[str, NDArray[Any]]]:
    """
    *model*, an ONNX file, with whole numbers in its multiplications by packed weights.

    Returns:
        The file without its large tensors, and those by name, for `SessionOptions.add_external_initializers`.

    Raises:
        ValueError: It is no such file.
    """
    large: dict[str, NDArray[Any]] = {}
    rewritten = message(
        (number, pieces(_graph(content(value), large)) if number == _GRAPH else value) for number, value in fields(model)
    )
    return rewritten, large


def _graph(graph: memoryview, large: dict[str, NDArray[Any]]) -> Iterator[Written]:
    """The fields of *graph*, with other nodes and weights in place of the packed ones; *large* gets what is left out."""
    every = list(fields(graph))
    products = {
        place: product
        for place, (number, value) in enumerate(every)
        if number == _NODE and (product := _product(content(value))) is not None
    }
    for place in list(products)[:_KEPT]:
        del products[place]
    packed = {name for product in products.values() for name in (product.weights, product.scales)}
    tensors: dict[str, memoryview] = {}
    rounded: set[str] = set()
    for place, (number, value) in enumerate(every):
        if place in products:
            product = products[place]
            nodes = _nodes(product, rounds=product.given not in rounded)
            rounded.add(product.given)
            yield from ((_NODE, node) for node in nodes)
            continue
        if number == _INITIALIZER:
            tensor = dict(fields(content(value)))
            if (name := text(tensor[_TENSOR_NAME])) in packed:
                tensors[name] = content(tensor[_RAW])
                continue
            if tensor[_DATA_TYPE] == _UINT8 and len(raw := content(tensor.get(_RAW, memoryview(b"")))) > _LARGE:
                shape = [whole(size) for field, size in fields(content(value)) if field == _DIMENSION]
                large[name] = np.frombuffer(raw, dtype=np.uint8).reshape(shape)
                yield _INITIALIZER, _stub(name, _UINT8, large[name])
                continue
        yield number, value
    for product in products.values():
        small, column = _weights(product, tensors[product.weights], tensors[product.scales])
        large[f"{product.weights}_small"] = small
        yield _INITIALIZER, _stub(f"{product.weights}_small", _INT8, small)
        yield _INITIALIZER, _tensor(f"{product.scales}_column", column)


def _product(node: memoryview) -> _Product | None:
    """*node*, if it is a multiplication by packed weights."""
    given: list[str] = []
    answer = operator = ""
    attributes: dict[str, int] = {}
    for number, value in fields(node):
        if number == _INPUT:
            given.append(text(value))
        elif number == _OUTPUT:
            answer = text(value)
        elif number == _OPERATOR:
            operator = text(value)
        elif number == _ATTRIBUTE:
            attribute = dict(fields(content(value)))
            if _ATTRIBUTE_INT in attribute:
                attributes[text(attribute[_ATTRIBUTE_NAME])] = whole(attribute[_ATTRIBUTE_INT])
    if operator != "MatMulNBits":
        return None
    if len(given) != 3 or attributes["bits"] != 4:  # noqa: PLR2004 - without the optional zeros
        raise ValueError("weights that are packed another way")
    rows, columns, block = (attributes[name] for name in ("K", "N", "block_size"))
    return _Product(given[0], given[1], given[2], answer, rows, columns, block)


def _nodes(product: _Product, *, rounds: bool) -> Iterator[bytes]:
    """What multiplies by whole numbers; first, if it *rounds*, what makes whole numbers of what is given."""
    given, answer = product.given, product.answer
    small, scale, zero = f"{given}_small", f"{given}_scale", f"{given}_zero"
    if rounds:
        yield _node("DynamicQuantizeLinear", [given], [small, scale, zero])
    yield _node("MatMulInteger", [small, f"{product.weights}_small", zero], [f"{answer}_whole"])
    yield _node("Cast", [f"{answer}_whole"], [f"{answer}_float"], to=_FLOAT)
    yield _node("Mul", [scale, f"{product.scales}_column"], [f"{answer}_scale"])
    yield _node("Mul", [f"{answer}_float", f"{answer}_scale"], [answer])


def _node(operator: str, given: list[str], answers: list[str], **attributes: int) -> bytes:
    return message(
        [
            *((_INPUT, one) for one in given),
            *((_OUTPUT, one) for one in answers),
            (_OPERATOR, operator),
            *(
                (_ATTRIBUTE, message([(_ATTRIBUTE_NAME, name), (_ATTRIBUTE_INT, value), (_ATTRIBUTE_KIND, _KIND_INT)]))
                for name, value in attributes.items()
            ),
        ]
    )


def _weights(product: _Product, packed: memoryview, scales: memoryview) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """The weights of *product* as numbers of 7 bits, and the scale of each column."""
    pairs = np.frombuffer(packed, dtype=np.uint8)
    fours = np.stack((pairs & 15, pairs >> 4), axis=-1).reshape(-1, product.block).astype(np.float32)
    exact = (fours - _ZERO) * np.frombuffer(scales, dtype="<f4").reshape(-1, 1)
    exact = exact.reshape(product.columns, -1)[:, : product.rows]
    column = np.maximum(np.abs(exact).max(axis=1, keepdims=True) / _MOST, np.float32(1e-9)).astype(np.float32)
    small = np.ascontiguousarray(np.rint(exact / column).astype(np.int8).T)
    return small, column.reshape(-1)


def _tensor(name: str, values: NDArray[np.float32]) -> bytes:
    sizes = ((_DIMENSION, size) for size in values.shape)
    return message([*sizes, (_DATA_TYPE, _FLOAT), (_TENSOR_NAME, name), (_RAW, values.astype("<f4").tobytes())])


def _stub(name: str, kind: int, values: NDArray[Any]) -> bytes:
    """A tensor whose values are elsewhere."""
    place = message([(1, "location"), (2, "memory")])
    sizes = ((_DIMENSION, size) for size in values.shape)
    return message([*sizes, (_DATA_TYPE, kind), (_TENSOR_NAME, name), (_ELSEWHERE, place), (_PLACE, _EXTERNAL)])
