"""How settings are typed, and what is said of what isn't right."""

import pytest

from sparselrp_cli.settings.kinds import (
    BatchSize,
    Composition,
    Device,
    NameList,
    PresetOrFile,
    Proportion,
    Shard,
    ShardKind,
)
from sparselrp_cli.settings.reading import WrongValueError

NAMES = NameList(("h5", "bigwig"), "format")
PRESETS = PresetOrFile(("epsilon-plus", "gamma"))


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Proportion(), "0", 0.0),
        (Proportion(), "2e-2", 0.02),
        (Proportion(auto=True), "auto", "auto"),
        (NAMES, "bigwig, h5,,bigwig", ("bigwig", "h5")),
        (PRESETS, "gamma", "gamma"),
        (PRESETS, __file__, __file__),
        (Composition(), "uniform", (0.25, 0.25, 0.25, 0.25)),
        (Composition(), "none", ()),
        (Composition(), "0.3,0.2,0.2,.3", (0.3, 0.2, 0.2, 0.3)),
        (Composition(), "0,0,0.5,0.5", (0.0, 0.0, 0.5, 0.5)),
        (BatchSize(), "auto", None),
        (BatchSize(), "12", 12),
        (BatchSize(), "999999", 999_999),
        (Device(), "cuda:1", "cuda:1"),
        (Device(), "cuda:999", "cuda:999"),
        (ShardKind(), "2/8", Shard(2, 8)),
    ],
)
def test_what_is_typed_right_is_read(kind, text, value):
    assert kind.parse(text) == value


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        (Proportion(), "auto", "'auto' isn't a proportion: 0 <= P < 1"),
        (Proportion(auto=True), "1", "'1' isn't a proportion: 0 <= P < 1, or auto"),
        (Proportion(), "nan", "'nan' isn't a proportion: 0 <= P < 1"),
        (NAMES, "h5,wig", "unknown format 'wig'; choose among h5, bigwig"),
        (NAMES, " , ", "no format; choose among h5, bigwig"),
        (
            PRESETS,
            "gama",
            "'gama' is neither a file nor a preset; did you mean 'gamma'?",
        ),
        (PRESETS, "xyz", "'xyz' is neither a file nor a preset; the presets are epsilon-plus, gamma"),
        (
            Composition(),
            "0.5,0.5",
            "'0.5,0.5' isn't uniform, none, or four shares of A, C, G and T such as 0.3,0.2,0.2,0.3",
        ),
        (
            Composition(),
            "gc",
            "'gc' isn't uniform, none, or four shares of A, C, G and T such as 0.3,0.2,0.2,0.3",
        ),
        (
            Composition(),
            "nan,0.2,0.2,0.3",
            "'nan,0.2,0.2,0.3' isn't uniform, none, or four shares of A, C, G and T such as 0.3,0.2,0.2,0.3",
        ),
        (
            Composition(),
            "0.3,0.3,0.3,0.3",
            "the shares '0.3,0.3,0.3,0.3' of A, C, G and T add up to 1.2, not to 1",
        ),
        (BatchSize(), "0", "'0' isn't a number of windows (1 or more) or auto"),
        (
            BatchSize(),
            "\N{SUPERSCRIPT TWO}",
            "'\N{SUPERSCRIPT TWO}' isn't a number of windows (1 or more) or auto",
        ),
        (BatchSize(), "1000000", "'1000000' windows at a time fit into no memory; give fewer, or auto"),
        (Device(), "gpu", "'gpu' isn't a device: auto, cpu, cuda or cuda:N"),
        (Device(), "cuda:1000", "'cuda:1000' isn't a device: auto, cpu, cuda or cuda:N"),
        (ShardKind(), "1", "'1' isn't I/N, such as 2/8"),
        (ShardKind(), "3/2", "'3/2': the parts are counted from 1/2 to 2/2"),
    ],
)
def test_what_is_typed_wrong_is_said(kind, text, message):
    with pytest.raises(WrongValueError) as told:
        kind.parse(text)

    assert str(told.value) == message
