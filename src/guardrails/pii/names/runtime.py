"""
Runs the name model: text in, for each word of it how likely it belongs to a name, an address, a number or none of them.

1. One session and one tokenizer a process, shared by every control and thread; each run uses the thread that asks, no other.
2. A text is run by itself, never beside another: what is found in it depends on nothing else. (Another one beside it, and the
   padding of the shorter, would change the scale of the whole numbers that the model multiplies: `names.eight_bits`.)
3. Nothing is reported to anybody: onnxruntime's telemetry is off.
4. A text of more tokens than one run takes is run in overlapping windows, counted from its start.
"""

from __future__ import annotations

import os
import re
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, TypeAlias, final

from guardrails.errors import ConfigError
from guardrails.pii.names.decode import GROUPS, Word
from guardrails.pii.names.files import RAMPART, find, folders, missing, read_checked

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Rows: TypeAlias = NDArray[np.float32]

PACKAGES: Final = ("onnxruntime", "tokenizers", "numpy")
# The model's labels, in its order (config.json of the release); each has a B- and an I- class after "O".
_LABELS: Final = (
    *("PERSON", "PERSON", "EMAIL", "PHONE", "URL"),  # given name, surname, ...
    *("ID", "ID", "ID", "ID", "ID", "ID"),  # tax id, account, routing number, government id, passport, driver's licence
    *("LOCATION", "LOCATION", "LOCATION", "LOCATION", "LOCATION", "LOCATION"),  # building, street, unit, city, state, zip
)
_CLASSES: Final = 1 + 2 * len(_LABELS)
TOKENS: Final = 256  # in one run, without the two that frame it; the model was made for 512
OVERLAP: Final = 64  # tokens that neighbouring runs share; each decides about its half


def missing_packages() -> list[str]:
    """Which packages of the extra `names` are not installed."""
    return [name for name in PACKAGES if find_spec(name) is None]


@final
class Runtime:
    """
    The loaded model.

    Args:
        folder: Where its files are.

    Raises:
        ConfigError: The extra `names` or the model is missing, or a file is not the one we know.
    """

    def __init__(self, folder: Path) -> None:
        if missing_packages():
            raise ConfigError(missing())
        contents = {file.name: read_checked(folder, file) for file in RAMPART.files if file.name != "LICENSE"}
        import numpy as np  # noqa: PLC0415 - optional, and slow to import

        # Before the import: later nothing stops its event about the process.
        # Source: https://github.com/microsoft/onnxruntime/pull/27379
        os.environ.update(_NO_TELEMETRY)
        import onnxruntime  # type: ignore[import-untyped]  # noqa: PLC0415 - it has no types

        onnxruntime.disable_telemetry_events()  # for an application that imported it before us
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # in the caller's thread: bounded by our workers, and nothing to lose in a fork
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # what went wrong is raised; nothing is printed
        from guardrails.pii.names.eight_bits import in_whole_numbers  # noqa: PLC0415 - needs numpy

        rewritten, large = in_whole_numbers(contents.pop("model_q4.onnx"))
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(one) for one in large.values()]  # each holds its array
        options.add_external_initializers([*large], values)
        self._session: Any = onnxruntime.InferenceSession(rewritten, options, providers=["CPUExecutionProvider"])
        del rewritten, large, values, options  # the session has what it needs
        self._tokenizer: Any = _tokenizer(contents["vocab.txt"].decode())
        self._np = np
        groups = np.zeros((_CLASSES, len(GROUPS)), dtype=np.float32)
        for number, label in enumerate(_LABELS):
            groups[1 + 2 * number : 3 + 2 * number, GROUPS.index(label)] = 1
        self._groups = groups

    def words(self, text: str) -> list[Word]:
        """The words of *text*, in order."""
        # Half of a surrogate pair has no UTF-8; any other character in its place keeps all positions.
        encoded = self._tokenizer.encode(HALVES.sub("\ufffd", text), add_special_tokens=False)
        ids: list[int] = encoded.ids
        if not ids:
            return []
        sure = self._sure(ids)
        np = self._np
        numbers = np.asarray(encoded.word_ids)
        begins = np.flatnonzero(np.diff(numbers, prepend=-1))
        groups = np.maximum.reduceat(sure, begins).argmax(axis=1).tolist()
        likely = np.maximum.reduceat(sure.sum(axis=1), begins).tolist()
        offsets: list[tuple[int, int]] = encoded.offsets
        firsts = begins.tolist()
        lasts = [place - 1 for place in (*firsts[1:], len(ids))]
        words = [
            Word(offsets[first][0], offsets[last][1], GROUPS[group], sure)
            for first, last, group, sure in zip(firsts, lasts, groups, likely, strict=True)
        ]
        return [word for word in words if word.start < word.end]

    def _sure(self, ids: list[int]) -> Rows:
        """Probability of each group for each token."""
        if len(ids) <= TOKENS:
            return self._run(ids)
        parts: list[Rows] = []
        stride = TOKENS - OVERLAP
        start = 0
        while True:
            last = start + TOKENS >= len(ids)
            rows = self._run(ids[start : start + TOKENS])
            parts.append(rows[OVERLAP // 2 if start else 0 : None if last else TOKENS - OVERLAP // 2])
            if last:
                return self._np.concatenate(parts)
            start += stride

    def _run(self, ids: list[int]) -> Rows:
        np = self._np
        framed = np.empty((1, len(ids) + 2), dtype=np.int64)
        framed[0, 0], framed[0, -1] = _CLS, _SEP
        framed[0, 1:-1] = ids
        given = {"input_ids": framed, "attention_mask": np.ones_like(framed), "token_type_ids": np.zeros_like(framed)}
        logits = self._session.run(["logits"], given)[0][0, 1:-1]
        exact = np.exp(logits - logits.max(axis=-1, keepdims=True))
        sure: Rows = (exact / exact.sum(axis=-1, keepdims=True)) @ self._groups
        if sure.shape != (len(ids), len(GROUPS)) or not np.isfinite(sure).all():
            raise ValueError("the name model answered with something else than probabilities")
        return sure

    def __repr__(self) -> str:
        return "Runtime(rampart)"


# On Linux and macOS onnxruntime 1.32 reports to its maker, unless told not to; the older name of the variable too.
_NO_TELEMETRY: Final = {"ORT_DISABLE_TELEMETRY": "1", "ORT_TELEMETRY_DISABLED": "1"}
_CLS: Final = 2  # lines of vocab.txt, counted from 0
_SEP: Final = 3
_UNKNOWN: Final = "[UNK]"
HALVES: Final = re.compile("[\ud800-\udfff]")


def _tokenizer(vocabulary: str) -> Any:
    from tokenizers import Tokenizer  # noqa: PLC0415
    from tokenizers.models import WordPiece  # noqa: PLC0415
    from tokenizers.normalizers import BertNormalizer  # noqa: PLC0415
    from tokenizers.pre_tokenizers import BertPreTokenizer  # noqa: PLC0415

    numbers = {word: number for number, word in enumerate(vocabulary.rstrip("\n").split("\n"))}
    model = WordPiece(numbers, unk_token=_UNKNOWN, max_input_chars_per_word=100)
    tokenizer = Tokenizer(model)
    # As the release's tokenizer.json says; None strips accents because it lowers the case.
    tokenizer.normalizer = BertNormalizer(clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    return tokenizer


_lock = Lock()
_loaded: dict[Path, Runtime] = {}


def runtime() -> Runtime:
    """
    The model that is installed here, loaded once a process: about 0.3 seconds and 60 MB.

    Raises:
        ConfigError: The extra `names` or the model is missing, or a file is not the one we know.
    """
    roots = folders()
    folder = find(RAMPART, roots) or roots[0] / RAMPART.folder
    with _lock:
        if folder not in _loaded:
            _loaded[folder] = Runtime(folder)
        return _loaded[folder]


def _after_fork() -> None:
    global _lock  # noqa: PLW0603 - another thread of the parent may have held it
    _lock = Lock()


os.register_at_fork(after_in_child=_after_fork)
