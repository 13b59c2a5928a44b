"""What is typed after --tokens: files of tokens, ids of bases, and what is refused with what to write."""

import itertools
import json
from pathlib import Path

import pytest

from sparselrp_cli.errors import ModelError
from sparselrp_cli.model.token_text import AskedTokens, read_tokens

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
OF_ESM = ["<unk>", "<pad>", "<mask>", "<cls>", "<eos>", "<bos>"]


def pieces(*lengths: int) -> list[str]:
    return ["".join(letters) for k in lengths for letters in itertools.product("ACGT", repeat=k)]


def listed(folder: Path, tokens: list[str]) -> Path:
    path = folder / "vocab.txt"
    path.write_text("\n".join(tokens) + "\n")
    return path


def split(asked: AskedTokens, sequence: str) -> str:
    return " ".join(asked.tokeniser.name(token.number) for token in asked.tokeniser.split(sequence))


def test_a_list_of_k_mers_alone_is_of_overlapping_ones_between_special_tokens(tmp_path):
    asked = read_tokens(str(listed(tmp_path, [*SPECIAL, *pieces(3)])))
    assert split(asked, "ACGTNA") == "[CLS] ACG CGT [UNK] [UNK] [SEP]"
    assert (asked.count_for(10), asked.tokeniser.padding, len(asked.files)) == (10, 0, 1)
    assert asked.tokeniser.split("ACGT")[1:3] == ((SPECIAL.index("[MASK]") + 7, 0, 3), (32, 1, 4))


def test_a_list_with_single_bases_is_of_k_mers_one_after_the_other_with_those_left_over(tmp_path):
    asked = read_tokens(str(listed(tmp_path, [*OF_ESM, *pieces(3), "A", "T", "C", "G", "N"])))
    assert split(asked, "ACGTTTAC") == "<cls> ACG TTT A C"
    assert split(asked, "ACNTTTAC") == "<cls> A C N TTT A C"
    assert (asked.count_for(8), asked.tokeniser.padding, asked.tokeniser.varies) == (5, 1, True)


@pytest.mark.parametrize(
    ("details", "becomes"),
    [
        ("", "[CLS] ACG CGT GTA [SEP]"),
        (",step=2", "[CLS] ACG GTA [SEP]"),
        (",step=3", "[CLS] ACG [SEP]"),
        (",front=", "ACG CGT GTA [SEP]"),
        (",front=,end=", "ACG CGT GTA"),
        (",front=[MASK]+[CLS],end=0", "[MASK] [CLS] ACG CGT GTA [PAD]"),
    ],
    ids=["nothing", "step of 2", "step of 3", "no front", "neither", "others"],
)
def test_details_say_what_the_file_leaves_open(tmp_path, details, becomes):
    asked = read_tokens(f"{listed(tmp_path, [*SPECIAL, *pieces(3)])}{details}")
    assert split(asked, "ACGTA") == becomes


def test_ids_of_bases_are_typed_as_they_are(tmp_path):
    asked = read_tokens("A=7,C=8,G=9,T=10,N=11,end=1")
    assert [token.number for token in asked.tokeniser.split("ACGTN")] == [7, 8, 9, 10, 11, 1]
    assert (asked.count_for(5), asked.files) == (6, ())


def test_a_table_of_ids_is_read_as_a_list_of_tokens(tmp_path):
    path = tmp_path / "vocab.json"
    path.write_text(json.dumps({"A": 3, "C": 4, "G": 5, "T": 6, "[UNK]": 0}))
    assert [token.number for token in read_tokens(str(path)).tokeniser.split("GATN")] == [5, 3, 6, 0]


def test_room_for_more_tokens_is_asked_for(tmp_path):
    path = listed(tmp_path, [*OF_ESM, *pieces(3), "A", "C", "G", "T"])
    assert read_tokens(f"{path},tokens=12").count_for(8) == 12


WRONG = {
    "no file": ("nothing.txt", {}, "no such file; give one such as tokenizer.json, vocab.txt,step=6 or A=7"),
    "two bases": ("A=1,C=2", {}, "no such file; or the ids of A, C, G and T; such as tokenizer.json, "),
    "an id": ("A=x,C=2,G=3,T=4", {}, "'x' isn't a whole number"),
    "a word": ("A=1,C=2,G=3,T=4,stop=3", {}, "unknown 'stop='; known are step=, front=, end=, unknown=, "),
    "a word of a file": ("v.txt,stop=3", {"v.txt": "A\nC"}, "unknown 'stop='; known are step=, front=, end="),
    "no bases": ("v.txt", {"v.txt": "L\nK\n"}, "it holds no tokens of the letters A, C, G and T"),
    "small letters": ("v.txt", {"v.txt": "a\nc\ng\nt"}, "its tokens are of the letters a, c, g and t, and"),
    "byte pairs": (
        "v.txt", {"v.txt": "A\nC\nG\nT\nAC\nACG"},
        "its tokens are of 1 to 3 bases: byte pairs need to know which are joined first; give their",
    ),
    "a step": ("v.txt,step=2", {"v.txt": "A\nC\nG\nT"}, "step=2: must be between 1 and the 1 bp of a token"),
    "a token": ("v.txt,end=[END]", {"v.txt": "A\nC\nG\nT"}, "it holds no token '[END]'"),
    "a token twice": ("v.txt", {"v.txt": "A\nC\nG\nT\nA"}, "'A' stands in line 1 and in line 5, so"),
    "a base too few": ("v.txt", {"v.txt": "A\nC\nG"}, "none of its tokens holds the base T; give the list"),
    "none": ("v.txt,tokens=0", {"v.txt": "A\nC\nG\nT"}, "tokens=0 leaves no room for any"),
    "other JSON": ("v.json", {"v.json": "[1]"}, "neither a tokenizer.json nor a table of tokens with"),
    "no JSON": ("v.json", {"v.json": "{"}, "not JSON"),
    "no text": ("v.txt", {"v.txt": b"\xff\xfe\x00"}, "can't be read as text; a vocab.txt has a token in"),
    "no tokenizer": (
        "v.json", {"v.json": '{"model": 3}'}, "not a tokenizer.json as the package tokenizers writes it"
    ),
    "expressions": (
        "v.json",
        {"v.json": '{"model": {"type": "BPE", "vocab": {}}, "added_tokens": [], "pre_tokenizer":'
                   ' {"type": "Split", "pattern": {"Regex": "(a+)+b"}}}'},
        "it cuts by a regular expression, which isn't supported",
    ),
    "k-mers' words": (
        "v.json,step=2", {"v.json": '{"model": {"type": "BPE"}}'},
        "'step=' is for lists of k-mers; a tokenizer.json says it itself",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "files", "message"), WRONG.values(), ids=WRONG)
def test_what_is_typed_wrong_is_refused_with_what_to_write(text, files, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, content in files.items():
        content = content if isinstance(content, bytes) else content.encode()
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError) as caught:
        read_tokens(text)
    told = str(caught.value)
    assert told.startswith(f"--tokens '{text}': ")
    assert message in told
    assert "\n" not in told
