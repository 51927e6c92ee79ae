"""Proofs of single records, trees and notes, against implementations and vectors that others published."""

from __future__ import annotations

import base64
import json
from hashlib import sha256
from pathlib import Path

import pymerkle
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from guardrails import ConfigError
from guardrails.audit import read_records
from guardrails.audit.merkle import Tree, inclusion, leaf_hash, root_from
from guardrails.audit.note import Trust, signed_checkpoint, verifier_key
from guardrails.audit.proof import WrongProofError, check_proof, prove, read_proof
from tests.audit.test_anchors import new_signer, trusted, written

# Source: google/certificate-transparency, cpp/merkletree/merkle_tree_test.cc: leaves, roots by size, and two paths.
LEAVES = [
    bytes.fromhex(one)
    for one in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
PATHS = {
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
}


def test_roots_and_paths_are_those_of_certificate_transparency() -> None:
    tree, many = Tree(), Tree()
    for size, (leaf, root) in enumerate(zip(LEAVES, ROOTS, strict=True), 1):
        tree.add(leaf)
        assert tree.root().hex() == root
        many = Tree()
        many.extend(LEAVES[:size])
        assert many.root().hex() == root
    hashes = [leaf_hash(leaf) for leaf in LEAVES]
    for (index, size), path in PATHS.items():
        assert [one.hex() for one in inclusion(hashes[:size], index)] == path
        assert root_from(LEAVES[index], index, size, list(map(bytes.fromhex, path))) == tree.root()


def test_roots_and_paths_are_those_of_pymerkle_for_each_size_and_place() -> None:
    theirs = pymerkle.InmemoryTree(algorithm="sha256")
    leaves = [b"leaf %d" % number for number in range(70)]
    for size, leaf in enumerate(leaves, 1):
        theirs.append_entry(leaf)
        ours = Tree()
        ours.extend(leaves[: size // 3])
        ours.extend(leaves[size // 3 : size])
        assert ours.root() == theirs.get_root(size)
        hashes = [leaf_hash(one) for one in leaves[:size]]
        for index in range(size):
            path = inclusion(hashes, index)
            assert root_from(leaves[index], index, size, path) == ours.root()
            proof = theirs.prove_inclusion(index + 1, size)
            pymerkle.verify_inclusion(leaf_hash(leaves[index]), ours.root(), proof)


def test_a_path_of_another_length_place_or_size_leads_nowhere() -> None:
    hashes = [leaf_hash(leaf) for leaf in LEAVES]
    path = inclusion(hashes, 5)
    root = root_from(LEAVES[5], 5, 8, path)
    for wrong in (path[:-1], [*path, path[0]], path[::-1], []):
        assert root_from(LEAVES[5], 5, 8, wrong) != root
    for index, size in ((4, 8), (5, 6), (5, 9), (8, 8), (-1, 8), (0, 0)):
        assert root_from(LEAVES[5], index, size, path) != root


def independent(note: bytes, vkey: str) -> bytes:
    """The text of a signed note, by another reading of C2SP signed-note than ours."""
    name, key_hash, encoded = vkey.split("+", 2)
    key = base64.b64decode(encoded)
    assert key[0] == 1
    assert sha256(name.encode() + b"\n" + key).digest()[:4].hex() == key_hash
    text, _, signatures = note.rpartition(b"\n\n")
    for line in signatures.decode().removesuffix("\n").split("\n"):
        dash, signer, encoded = line.split(" ")
        signature = base64.b64decode(encoded)
        if (dash, signer, signature[:4].hex()) == ("\u2014", name, key_hash):
            Ed25519PublicKey.from_public_bytes(key[1:]).verify(signature[4:], text + b"\n")
            return text + b"\n"
    raise AssertionError("no signature by that key")


def test_our_notes_hold_for_another_verifier(tmp_path: Path) -> None:
    signer = new_signer(tmp_path)
    note = signed_checkpoint("a" * 32, 7, b"r" * 32, signer)
    origin, size, root, rest = independent(note, verifier_key(signer)).split(b"\n")
    assert (origin, size, base64.b64decode(root), rest) == (b"platform-guardrails/audit/" + b"a" * 32, b"7", b"r" * 32, b"")


def test_a_note_that_others_published_holds_for_us(tmp_path: Path) -> None:
    # Source: golang.org/x/mod/sumdb/note, the example of its documentation.
    vkey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    text = b"If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
    signature = (
        "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
    )
    assert independent(text + b"\n" + signature.encode() + b"\n", vkey) == text
    (tmp_path / "trust").write_text(vkey + "\n")
    assert Trust(tmp_path / "trust")._holds(text, signature)
    assert not Trust(tmp_path / "trust")._holds(text + b"x", signature)


# -- proofs of records


@pytest.fixture
def anchored(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A log, its anchor, and the trust file."""
    signer = new_signer(tmp_path)
    written(tmp_path, signer, sends=20, streams=2)
    return tmp_path / "log", tmp_path / "anchor", trusted(tmp_path, signer)


def test_each_record_is_proven_with_its_checkpoint_alone(anchored: tuple[Path, Path, Path]) -> None:
    log, anchor, trust = anchored
    for record in read_records(log):
        proof = prove(log, record["event_id"], anchor=anchor)
        assert check_proof(proof, Trust(trust)) == record
        if record["stage"] == "intent":
            assert prove(log, record["send_id"], anchor=anchor) == proof


def test_the_proof_has_the_published_form_and_others_can_check_it(anchored: tuple[Path, Path, Path]) -> None:
    log, anchor, trust = anchored
    wanted = next(one for one in read_records(log) if one["stage"] == "outcome")
    head, _, note = prove(log, wanted["event_id"], anchor=anchor).partition(b"\n\n")
    magic, extra, index, *path = head.decode().split("\n")
    assert magic == "c2sp.org/tlog-proof@v1"  # Source: C2SP tlog-proof
    line = base64.b64decode(extra.removeprefix("extra "))
    assert json.loads(line) == wanted
    vkey = next(one for one in trust.read_text().splitlines() if not one.startswith("#"))
    _, size, root, _ = independent(note, vkey).split(b"\n")
    place = int(index.removeprefix("index "))
    assert root_from(line, place, int(size), list(map(base64.b64decode, path))) == base64.b64decode(root)


def test_g7_a_changed_proof_proves_nothing(anchored: tuple[Path, Path, Path]) -> None:
    log, anchor, trust_file = anchored
    trust = Trust(trust_file)
    ids = [one["event_id"] for one in read_records(log)]
    proof = prove(log, ids[3], anchor=anchor)
    for at in range(0, len(proof), 3):
        with pytest.raises(WrongProofError):
            check_proof(proof[:at] + bytes([proof[at] ^ 1]) + proof[at + 1 :], trust)
    other = prove(log, ids[5], anchor=anchor)
    swapped = proof.split(b"\n")
    swapped[1] = other.split(b"\n")[1]
    with pytest.raises(WrongProofError):
        check_proof(b"\n".join(swapped), trust)
    for wrong in (b"", b"x", proof[:40], proof.replace(b"extra ", b"extra !"), b"c2sp.org/tlog-proof@v1\n\n"):
        with pytest.raises(WrongProofError):
            check_proof(wrong, trust)


def test_a_checkpoint_of_ones_own_must_be_the_one(anchored: tuple[Path, Path, Path]) -> None:
    log, anchor, trust = anchored
    record = next(iter(read_records(log)))
    proof = prove(log, record["event_id"], anchor=anchor)
    own = proof.partition(b"\n\n")[2]
    assert check_proof(proof, Trust(trust), checkpoint=own) == record
    other = next(path.read_bytes() for path in sorted(anchor.iterdir()) if path.read_bytes() != own)
    with pytest.raises(WrongProofError, match="another checkpoint"):
        check_proof(proof, Trust(trust), checkpoint=other)


def test_what_is_not_there_or_not_covered_is_said(anchored: tuple[Path, Path, Path], tmp_path: Path) -> None:
    log, anchor, _ = anchored
    with pytest.raises(ConfigError, match="32 hex digits"):
        prove(log, "x", anchor=anchor)
    with pytest.raises(ConfigError, match="no record"):
        prove(log, "0" * 32, anchor=anchor)
    (tmp_path / "bare").mkdir()
    record = [one for one in read_records(log) if one["stage"] == "close"][0]  # noqa: RUF015 - the first stream's
    with pytest.raises(ConfigError, match="no checkpoint"):
        prove(log, record["event_id"], anchor=tmp_path / "bare")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_proof(tmp_path / "nowhere")
    path = min(log.iterdir())
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], *lines[-1:]]))
    with pytest.raises(ConfigError, match="less than was anchored"):
        prove(log, record["event_id"], anchor=anchor)
