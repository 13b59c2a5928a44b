"""Byte pairs, as DNABERT-2 reads: a tokenizer.json, windows of different numbers of tokens, padding."""

import functools
import json

import pytest
import torch
from oracles.attnlrp import attnlrp

from sparselrp_cli.graph.capture import capture
from sparselrp_cli.graph.targets import TargetParser
from sparselrp_cli.graph.token_notes import token_example, token_notes
from sparselrp_cli.model.output_names import OutputNames
from sparselrp_cli.model.token_models import TokenModel, sequences_of, tokens_of
from sparselrp_cli.model.token_text import AskedTokens, read_tokens
from sparselrp_cli.relevance.composites import PRESETS
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.pruning import NONE
from zoo.entry import scatter
from zoo.language import MosaicBert

pytest.importorskip("tokenizers")
WINDOW, IDS = 24, 16
MERGES = ["A A", "T A", "G A", "TA TA", "C G", "GA TA"]
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"ACGT", *(merge.replace(" ", "") for merge in MERGES)]


def document() -> str:
    """As `tokenizers` writes byte pairs between special tokens."""
    special = [
        {"id": i, "content": token, "single_word": False, "lstrip": False, "rstrip": False,
         "normalized": False, "special": True}
        for i, token in enumerate(VOCABULARY[:4])
    ]  # fmt: skip
    ends = {
        token: {"id": token, "ids": [VOCABULARY.index(token)], "tokens": [token]}
        for token in ("[CLS]", "[SEP]")
    }
    pattern = [
        {"SpecialToken": {"id": "[CLS]", "type_id": 0}},
        {"Sequence": {"id": "A", "type_id": 0}},
        {"SpecialToken": {"id": "[SEP]", "type_id": 0}},
    ]
    model = {
        "type": "BPE", "dropout": None, "unk_token": "[UNK]", "continuing_subword_prefix": None,
        "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
        "vocab": {token: i for i, token in enumerate(VOCABULARY)}, "merges": MERGES,
    }  # fmt: skip
    return json.dumps(
        {
            "version": "1.0", "truncation": None, "padding": None, "added_tokens": special,
            "normalizer": None,
            "pre_tokenizer": {"type": "Whitespace"},
            "post_processor": {
                "type": "TemplateProcessing", "single": pattern, "pair": pattern, "special_tokens": ends,
            },
            "decoder": None, "model": model,
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def asked(tmp_path_factory) -> AskedTokens:
    path = tmp_path_factory.mktemp("tokens") / "tokenizer.json"
    path.write_text(document())
    return read_tokens(f"{path},tokens=26")


def windows(seed: int, count: int = 8) -> torch.Tensor:
    """Random ones of few letters, so that pieces are long and their number varies, and one with N."""
    bases = torch.randint(3, (count, WINDOW), generator=torch.Generator().manual_seed(seed))
    x = torch.eye(4, dtype=torch.float64)[torch.tensor([0, 3, 2])[bases]].transpose(1, 2).contiguous()
    x[-1, :, 9:11] = 0
    return x


def explain(net: TokenModel, x: torch.Tensor, centre=None):
    graph = captured(net)
    names = [OutputNames(output.name) for output in graph.outputs]
    target = TargetParser(graph.outputs, names).parse("1")
    return Explainer(graph, [target], names, PRESETS["zero"], NONE, centre=centre).explain(x)[0]


@functools.cache
def captured(net: TokenModel):
    return capture(net, windows(0))


@pytest.fixture(scope="module")
def net(asked) -> TokenModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        module = MosaicBert(IDS)
        scatter(module)
    return TokenModel(module, asked.scheme, asked.count_for(WINDOW)).double().eval()


def test_a_window_is_cut_as_the_tokenizer_says(asked, net):
    assert [asked.tokeniser.name(t.number) for t in asked.tokeniser.split("TATAGATAC")] == [
        "[CLS]", "TATA", "GATA", "C", "[SEP]",
    ]  # fmt: skip
    spans = [t[1:] for t in asked.tokeniser.split("TATANGATA")]
    assert spans == [(0, 0), (0, 4), (4, 5), (5, 9), (0, 0)]
    graph = captured(net)
    assert token_notes(graph)[0] == (
        "a window is read as 26 tokens, special ones and padding included: byte pairs"
    )
    assert token_example(graph, windows(0)).endswith(" ... [PAD]")


def test_relevance_is_attnlrps_whatever_the_number_of_tokens(asked, net):
    x = windows(4)
    found, cut = explain(net, x), [tokens_of(s, asked.scheme, net.count) for s in sequences_of(x)]
    assert len({sum(t.end > t.start for t in row) for row in cut}) > 2
    ids = torch.tensor([[token.number for token in row] for row in cut])
    c, vectors, score = attnlrp(net.module, {"input_ids": ids, "attention_mask": (ids != 0).long()}, 1)
    relevance, expected = (c * vectors).sum(-1), torch.zeros(len(x), WINDOW, dtype=torch.float64)
    for n, row in enumerate(cut):
        for slot, (_, start, end) in enumerate(row):
            known = [p for p in range(start, end) if x[n, :, p].any()]
            expected[n, known] += relevance[n, slot] / max(len(known), 1)
    torch.testing.assert_close(found.contributions.sum(1), expected, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(found.score, score, rtol=1e-12, atol=1e-12)
    assert bool((found.conservation_error < 1e-9).all())


def test_a_window_is_explained_alone_as_in_any_batch_and_without_padding_as_with_it(asked, net):
    x = windows(5)
    together = explain(net, x, (0.25,) * 4).hypothetical
    for n in (0, 3, 7):
        alone = explain(net, x[n : n + 1], (0.25,) * 4).hypothetical[0]
        torch.testing.assert_close(alone, together[n], rtol=1e-9, atol=1e-12)
    (sequence,) = sequences_of(x[:1])
    bare = TokenModel(net.module, asked.scheme, len(asked.tokeniser.split(sequence))).double().eval()
    names = [OutputNames("output")]
    graph = capture(bare, x[:1])
    target = TargetParser(graph.outputs, names).parse("1")
    (found,) = Explainer(graph, [target], names, PRESETS["zero"], NONE, centre=(0.25,) * 4).explain(x[:1])
    torch.testing.assert_close(found.hypothetical[0], together[0], rtol=1e-9, atol=1e-12)
    assert net.change_by_padding(x) == 0


def test_a_piece_that_is_no_token_after_a_change_counts_as_the_mean_of_those_it_is(asked):
    # TATA with its third base changed to C: TA, C and A alone.
    found = [change for change in asked.tokeniser.changes("TATA") if (change.offset, change.base) == (2, 1)]
    numbers = {VOCABULARY[change.number]: change.weight for change in found}
    assert numbers == {"TA": 0.5, "C": 0.25, "A": 0.25}
    # AA becomes TA, a token.
    assert [c[2:] for c in asked.tokeniser.changes("AA") if c[:2] == (0, 3)] == [
        (VOCABULARY.index("TA"), 1.0)
    ]


def test_a_model_that_isnt_told_of_padding_is_seen_to_depend_on_it(asked, net):
    class Deaf(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.table = net.module.word_embeddings

        def forward(self, input_ids):
            return self.table(input_ids).mean(1)

    assert TokenModel(Deaf(), asked.scheme, net.count).change_by_padding(windows(1)) > 0.01
