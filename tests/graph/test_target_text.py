"""What is typed after -t is read as it looks, or refused with spellings that can be read."""

import re

import pytest
import torch

from sparselrp_cli.errors import TargetError
from sparselrp_cli.graph.canonical import GraphOutput
from sparselrp_cli.graph.shapes import BatchDim
from sparselrp_cli.graph.targets import Logarithm, TargetParser, Term
from sparselrp_cli.graph.targets.text import DEEPEST
from sparselrp_cli.model.output_names import OutputNames

N = BatchDim()


def parser_of(*tasks: str, shape: tuple[int, ...] = (), name: str = "out", axes: str = "NTP") -> TargetParser:
    """The parser of a model with one output."""
    return TargetParser([GraphOutput(name, "y", (N, len(tasks), *shape))], [OutputNames(name, tasks, axes)])


TRACKS = TargetParser([GraphOutput("output", "y", (N, 3, 101))], [OutputNames("output")])
TWO = TargetParser(
    [
        GraphOutput("profile", "p", (N, 2, 10)),
        GraphOutput("counts", "c", (N, 2)),
        GraphOutput("log/it", "l", (N, 1)),
    ],
    [
        OutputNames("profile", ("oct4", "sox2")),
        OutputNames("counts", ("oct4", "sox2", "all")),
        OutputNames("log/it"),
    ],
)
MAP = TargetParser([GraphOutput("map", "y", (N, 1, 10, 10))], [OutputNames("map")])
SIGNS = parser_of("H3K27ac-2", "su(Hw)", "T-cell", "a,b", "CD4 T", "x@5", "0.5*x", "p/q", "5'UTR", "T", "-1x")


def read(parser: TargetParser, text: str) -> tuple[Term | Logarithm, ...]:
    target = parser.parse(text)
    return (*target.terms, *target.logarithms)


def refusal(parser: TargetParser, text: str) -> str:
    with pytest.raises(TargetError) as caught:
        parser.parse(text)
    return str(caught.value)


@pytest.mark.parametrize("name", SIGNS.names[0].tasks)
def test_a_task_is_read_by_its_name_as_typed_and_in_quotes_whatever_signs_it_holds(name):
    number = SIGNS.names[0].tasks.index(name)
    quoted = f'"{name}"' if "'" in name else f"'{name}'"
    assert (
        read(SIGNS, name) == read(SIGNS, quoted) == read(SIGNS, f"out/{quoted}") == (Term(0, number, None),)
    )
    # A name with an @ in it stands in quotes inside a sum: `T-x@5` would look like position 5 of x.
    inside = quoted if "@" in name else name
    assert read(SIGNS, f"T-{inside}" if name != "T" else "5'UTR-T")[1].weight == -1
    other = "T" if name != "T" else "'T-cell'"
    assert [term.weight for term in read(SIGNS, f"0.5*({quoted}-{other})")] == [0.5, -0.5]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("0", " 0 "),
        ("0-1", "0 - 1"),
        ("0,1", "0 , 1"),
        ("0:2", "0,1"),
        ("*", "0:3"),
        ("-1", "2"),
        ("0:-1", "0:2"),
        ("((0))", "0"),
        ("2*(0-1)", "2*0-2*1"),
        ("0--1", "0-2"),
        ("-1*0", "0-2*0"),
        ("+".join("000"), "3*0"),
        ("0@-1", "0@100"),
        ("0@90:", "0@90:101"),
        ("0@:-90", "0@0:11"),
        ("0@:", "0@0:101"),
        ("0@ 5 , 7 : 9", "0@5,7:9"),
        ("(1-0)@50", "1@50-0@50"),
        ("0@centre", "0@50"),
        ("0@centre:3", "0@49:52"),
        ("0@90:-1@90:", "0@90:-(1@90:)"),
        ("0@90:-1", "0@90:100"),
        ("(0)@90:-5", "0@90:96"),
        ("002", "2"),
        ("output/1@3", "1@3"),
        ("0/1@3", "1@3"),
        ("1**@3", "*@3"),
        (".5*0", "0.5*0"),
        ("5e-1*0", "0.5*0"),
        ("0@profile", "output/0@profile"),
        ("(0-1)@profile", "0@profile-1@profile"),
        ("(0-1) @ blocks", "0@blocks-1@blocks"),
        ("log(0+1)@blocks", "log(0@blocks+1@blocks)"),
        ("log(0)@5", "log(0@5)"),
        ("log (0,1)@5:9", "log( 0,1 @ 5:9 )"),
        ("(log(1)-log(0))@centre", "log(1@50)-log(0@50)"),
        ("0.5*(log(1)-log(0))", "0.5*log(1)-0.5*log(0)"),
        ("log(1)+log(1)-1e0*log(0)", "2*log(1)-log(0)"),
        ("log((1+0))", "log(0+1)"),
        ("log(0@4)+1@5-1@5", "log(0@4)"),
        ("log(1+0)-2*log(0+1)", "-1*log(0+1)"),
    ],
)
def test_two_spellings_are_one_target(first, second):
    assert read(TRACKS, first) == read(TRACKS, second)


MIXED = [
    (TRACKS, "1-0@50", "(1-0)@50", "1@0:101-0@50"),
    (TRACKS, "1@50-0", "1@50-0@50", "1@50-0@0:101"),
    (TRACKS, "2-1@5-0@7", "2@5-1@5-0@7", "2@0:101-1@5-0@7"),
    (TRACKS, "0.5*2+(1-0)-0@7:9", "(0.5*2+(1-0)-0)@7:9", "0.5*2@0:101+(1-0)@0:101-0@7:9"),
    (TRACKS, "1-(2@5-0@6)", "1@6-(2@5-0@6)", "1@0:101-(2@5-0@6)"),
    (TRACKS, "0@profile-1", "0@profile-1@profile", "0@profile-1@0:101"),
    (TRACKS, "log(1)-log(0)@50", "(log(1)-log(0))@50", "log(1)@0:101-log(0)@50"),
    (TRACKS, "log(1-0@50)", "(1-0)@50", "1@0:101-0@50"),
    (TWO, "profile/0-profile/1@3", "(profile/0-profile/1)@3", "profile/0@0:10-profile/1@3"),
    (MAP, "0-2*0@3x7", "(0-2*0)@3x7", "0@0:10x0:10-2*0@3x7"),
]


@pytest.mark.parametrize(("parser", "text", "together", "apart"), MIXED, ids=[case[1] for case in MIXED])
def test_positions_of_one_term_beside_one_without_are_refused_with_both_spellings(
    parser, text, together, apart
):
    assert refusal(parser, text) == (
        f"target '{text}': it isn't clear what @ belongs to; write {together} or {apart}"
    )
    assert read(parser, together) != read(parser, apart)


def test_a_term_without_positions_stands_beside_one_with_them_where_only_one_output_has_some():
    assert read(TWO, "profile/0@3-counts/1") == (Term(0, 0, (3, 4)), Term(1, 1, None, weight=-1))


@pytest.mark.parametrize(
    ("parser", "text", "ways"),
    [
        (parser_of("T", "cell", "T-cell"), "T-cell", ("'T-cell'", "'T' - 'cell'")),
        (parser_of("a", "b", "a,b"), "a,b", ("'a,b'", "'a','b'")),
        (parser_of("A", "B-C", "A-B", "C"), "A-B-C", ("'A-B' - 'C'", "'A' - 'B-C'")),
        (parser_of("x", "2*x"), "2*x", ("'2*x'", "2*'x'")),
        (parser_of("1-0", "b"), "1-0", ("'1-0'", "1 - 0")),
        (parser_of("0:2", "b", "c"), "0:2", ("'0:2'", "0,1")),
        (parser_of("0,1", "b"), "0,1", ("'0,1'", "0 , 1")),
        (parser_of("2*1", "b"), "2*1", ("'2*1'", "2 * 1")),
        (parser_of("(1)", "b"), "(1)", ("'(1)'", "1")),
        (parser_of("1@0", "b", shape=(9,)), "1@0", ("'1@0'", "b@0")),
        (parser_of("A-B", "A", "B", "B-C", "C"), "A-B-C", ("'A' - 'B' - 'C'", "'A-B' - 'C'")),
        (parser_of("x@5", "x", shape=(9,)), "x@5", ("'x@5'", "'x'@5")),
        (parser_of("log(x)", "x"), "log(x)", ("'log(x)'", "log( 'x' )")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_text_with_several_meanings_is_refused_with_spellings_that_have_one(parser, text, ways):
    said = refusal(parser, text)
    assert said.startswith(f"target '{text}' can be read in several ways; write ")
    spelled = said.split("; write ")[1].split(" or ")
    assert len({read(parser, way) for way in spelled}) == len(spelled) > 1
    assert {read(parser, way) for way in ways} <= {read(parser, way) for way in spelled}


@pytest.mark.parametrize(
    ("tasks", "text", "message", "ways"),
    [
        (("CTCF", "P", "CTCF"), "CTCF", "task 'CTCF' is both 0 and 2; give the index, 0 or 2", ("0", "2")),
        (("CTCF", "P", "CTCF"), "P-CTCF", "task 'CTCF' is both 0 and 2; give the index, 0 or 2", ()),
        (("CTCF", "P", "CTCF"), "CTCF,P", "task 'CTCF' is both 0 and 2; give the index, 0 or 2", ()),
        (("C", "0", "C"), "C", "task 'C' is both 0 and 2; give the index, 0:1 or 2", ("0:1", "2")),
        (
            ("1", "b"),
            "1",
            "'1' is the name of task 0 and the index of another; write '1' for the name or 1:2 for the index",
            ("'1'", "1:2"),
        ),
        (
            ("b", "0"),
            "b-0",
            "'0' is the name of task 1 and the index of another; write '0' for the name or 0:1 for the index",
            ("b-'0'",),
        ),
        (
            ("out", "b"),
            "out",
            "'out' is an output and the name of a task; write 'out'/'out' or 'out'/TASK",
            ("'out'/'out'",),
        ),
        (
            ("b", "-1", "c"),
            "-1",
            "'-1' is the name of task 1 and the index of another; write '-1' for the name or 2:3"
            " for the index",
            ("'-1'", "2:3"),
        ),
        (("T-c", "T-c", "T", "c"), "T-c", "task 'T-c' is both 0 and 1; give the index, 0 or 1", ("0", "1")),
    ],
)
def test_a_name_of_several_things_is_refused_with_what_to_type_instead(tasks, text, message, ways):
    parser = parser_of(*tasks)
    assert refusal(parser, text) == f"target '{text}': {message}"
    assert len({read(parser, way) for way in ways}) == len(ways)


def test_a_name_with_an_at_sign_is_no_name_inside_a_sum():
    parser = parser_of("a@3", "a", shape=(9,))
    assert refusal(parser, "a@3-a").endswith("write a@3-a@3 or a@3-a@0:9")
    assert refusal(parser, "a@3").endswith("can be read in several ways; write 'a@3' or 'a' @ 3")
    assert read(parser, "'a@3'-a") == (Term(0, 0, None), Term(0, 1, None, weight=-1))


def test_a_number_that_is_the_name_of_the_same_task_or_of_no_index_is_no_question():
    assert read(parser_of("0", "1"), "1") == (Term(0, 1, None),)
    assert read(parser_of("17", "18"), "17") == (Term(0, 0, None),)


def test_outputs_of_one_name_are_told_apart_by_their_number():
    outputs = [GraphOutput("y", "a", (N, 2)), GraphOutput("y", "b", (N, 2))]
    parser = TargetParser(outputs, [OutputNames("y", ("t", "u")), OutputNames("y", ("t", "u"))])
    assert refusal(parser, "y/t") == "target 'y/t': output 'y' is both 0 and 1; give its number, such as 0/0"
    assert read(parser, "1/t-0/t") == (Term(1, 0, None), Term(0, 0, None, weight=-1))


def test_the_name_of_an_output_and_of_another_outputs_task_is_refused():
    outputs = [GraphOutput("a", "a", (N, 1)), GraphOutput("b", "b", (N, 2))]
    parser = TargetParser(outputs, [OutputNames("a", ("x",)), OutputNames("b", ("a", "y"))])
    assert (
        refusal(parser, "a")
        == "target 'a': 'a' is an output and the name of a task; write 'b'/'a' or 'a'/TASK"
    )
    assert read(parser, "'b'/'a'") == (Term(1, 0, None),)


HOW = (
    "positions are written @POSITION, @START:END, @profile or @blocks; also @START:, @:END, @centre,"
    " @centre:WIDTH, several with commas, and @IxJ on a map by pairs of bins"
)


@pytest.mark.parametrize(
    ("parser", "text", "message"),
    [
        (TRACKS, "", "it is empty"),
        (TRACKS, " ", "it is empty"),
        (TRACKS, "0+", "a task is missing at its end"),
        (TRACKS, "+0", "a task is missing before '+0'"),
        (TRACKS, "0,", "a task is missing at its end"),
        (TRACKS, "0,,1", "a task is missing before ',1'"),
        (TRACKS, "()", "a task is missing before ')'"),
        (TRACKS, "(0", "a parenthesis isn't closed"),
        (TRACKS, "0)", "a parenthesis is closed that wasn't opened"),
        (TRACKS, "'0", "the quote ' isn't closed"),
        (TRACKS, "-(0)", "a task is missing before '-(0)'; for less of it write -1*(0)"),
        (TRACKS, "0 1", "unexpected '1'; names with spaces or signs stand in quotes, '...'"),
        (TRACKS, "0@5@6", "a second @ in '0@5@'; each term has one, behind its tasks"),
        (TRACKS, "(0@5)@3", "'(0@5)@3' has positions inside and outside the parenthesis"),
        (TRACKS, "0-0", "its terms cancel: nothing is left to explain"),
        (SIGNS, "3-a,b", "its terms cancel: nothing is left to explain"),
        (TRACKS, "0@5,5", "'@5,5' names a position twice"),
        (TRACKS, "0@5:9,7", "'@5:9,7' names a position twice"),
        (TRACKS, "0,0:2", "task 0 is named twice"),
        (TRACKS, "0*1", "a term can't be weighed by 0: it is 0, or too large or too small"),
        (TRACKS, "1e999*1", "a term can't be weighed by 1e999: it is 0, or too large or too small"),
        (TRACKS, "2:0", "there are no tasks 2:0; tasks are numbered 0 to 2"),
        (TRACKS, "0:", "'0:' lacks an end; a range of tasks has two, such as 0:2"),
        (TRACKS, "0:9", "there are no tasks 0:9; tasks are numbered 0 to 2"),
        (TRACKS, "-4", "there is no task -4; tasks are numbered 0 to 2"),
        (TRACKS, "9" * 30, f"there is no task {'9' * 30}; tasks are numbered 0 to 2"),
        (TRACKS, "0@" + "9" * 30, f"'{'9' * 30}' is out of reach: the output has positions 0 to 100"),
        (TRACKS, "0@" + "9" * 5000, "is out of reach: the output has positions 0 to 100"),
        (TRACKS, "0@-102", "'-102' is out of reach: the output has positions 0 to 100"),
        (TRACKS, "0@5:5", "'5:5' is empty: the output has positions 0 to 100"),
        (TRACKS, "0@centre:102", "'centre:102' is out of reach: the output has positions 0 to 100"),
        (TRACKS, "0@centre:0", "the width of the centre is missing or not positive: @centre:WIDTH"),
        (TRACKS, "0@", f"positions are missing behind '0@'; {HOW}"),
        (TRACKS, "0@x", f"'x' isn't a position; {HOW}"),
        (TRACKS, "0@-0", f"'-0' isn't a position; {HOW}"),
        (TRACKS, "0@٣", f"'٣' isn't a position; {HOW}"),
        (TRACKS, "0@block", f"'block' isn't a position; {HOW}"),
        (TRACKS, "0@5,blocks", "@blocks stands alone, without other positions"),
        (TRACKS, "0@blocks,5", "unexpected ',5'; names with spaces or signs stand in quotes, '...'"),
        (TRACKS, "1-0@blocks", "it isn't clear what @ belongs to; write (1-0)@blocks or 1@0:101-0@blocks"),
        (TRACKS, "0@blocks-0@blocks", "its terms cancel: nothing is left to explain"),
        (TWO, "counts/0@blocks", "output 'counts' has no positions"),
        (MAP, "@blocks", "output 'map' is a map by pairs of bins, and blocks are of bins along the sequence"),
        (TRACKS, "0@5,profile", "@profile stands alone, without other positions"),
        (TRACKS, "0@3x4", f"output 'output' has single positions, no pairs of them; {HOW}"),
        (TRACKS, "log(0", "a parenthesis isn't closed"),
        (TRACKS, "log()", "a task is missing before ')'"),
        (TRACKS, "log", "unknown target 'log'"),
        (TRACKS, "log(log(0)+1)", "log(...) can't stand inside another log(...)"),
        (TRACKS, "log(0-0)", "the terms inside log(...) cancel: nothing is left to explain"),
        (TRACKS, "log(1)-log(1)", "its terms cancel: nothing is left to explain"),
        (TRACKS, "log(0@5)@6", "'log(0@5)@6' has positions inside and outside the parenthesis"),
        (
            TRACKS,
            "log(0@profile)",
            "log(...) is of values above 0, and @profile weighs logits of either sign; leave log out",
        ),
        (
            TRACKS,
            "log(0)@5-1@profile",
            "a sum can't have both log(...), of what the model gives, and @profile, of logits; ask for them",
        ),
        (TRACKS, "@5", "it leaves the task open; choose among output/{0 to 2} @0:101"),
        (
            MAP,
            "@3",
            "output 'map' has pairs of positions, 10 x 10; write @IxJ such as @3x3, or @3x: for all of a row",
        ),
        (MAP, "@profile", "output 'map' is a map by pairs of bins, not a profile"),
        (MAP, "@3x10", "'10' is out of reach: the output has positions 0 to 9"),
        (MAP, "@1x2,0:3x2:4", "'@1x2,0:3x2:4' names a position twice"),
        (TWO, "profil/0", "no output is called 'profil'; the model has "),
        (TWO, "profile/0,counts/1", "OUTPUT/ stands once, before all of its tasks"),
        (
            TWO,
            "oct4,sox2",
            "the model has several outputs; write OUTPUT/oct4,sox2, such as profile/oct4,sox2; it has",
        ),
        (TWO, "(counts/0-profile/1)@5", "output 'counts' has no positions"),
    ],
)
def test_what_cant_be_read_is_refused_with_the_part_that_is_wrong(parser, text, message):
    assert f"target '{text[:900]}"[:900] in refusal(parser, text)
    assert re.search(re.escape(message), refusal(parser, text))


@pytest.mark.parametrize(
    ("parser", "text", "hint"),
    [
        (SIGNS, "su(Hx)", "did you mean 'su(Hw)'?"),
        (SIGNS, "T-cel", "did you mean 'T-cell'?"),
        (TWO, "oct5", "mean 'oct4'?"),
    ],
)
def test_a_name_that_is_nearly_right_is_hinted_at(parser, text, hint):
    assert hint in refusal(parser, text)


def test_an_index_in_other_digits_is_no_index():
    assert "unknown target '٣'" in refusal(TRACKS, "٣")


def test_parentheses_nest_to_a_bound():
    assert read(TRACKS, "(" * DEEPEST + "0" + ")" * DEEPEST) == (Term(0, 0, None),)
    deeper = "(" * (DEEPEST + 1) + "0" + ")" * (DEEPEST + 1)
    assert f"parentheses are nested more than {DEEPEST} deep" in refusal(TRACKS, deeper)
    assert "nested more than" in refusal(TRACKS, "(" * 100_000)


def test_a_text_that_can_be_read_in_more_ways_than_can_be_tried_ends():
    names = ["-".join("a" * n) for n in range(1, 20)]
    assert "can be read in too many ways; put names in quotes" in refusal(
        parser_of(*names), "-".join("a" * 400)
    )


def test_ranges_that_end_before_the_last_position_are_read_in_long_sums():
    terms = read(TRACKS, "+".join(["0@5:-1"] * 40 + ["1@5:-1"] * 40))
    assert terms == (Term(0, 0, (5, 100), weight=40), Term(0, 1, (5, 100), weight=40))


def test_long_lists_and_sums_are_read():
    names = tuple(f"track {i}" for i in range(3000))
    parser = parser_of(*names)
    assert read(parser, ",".join(map(str, range(3000)))) == (Term(0, range(3000), None),)
    assert len(read(parser, "+".join(f"'{name}'" for name in names))) == 3000


EXAMPLES = {
    "tracks": TRACKS,
    "several outputs": TWO,
    "a map": MAP,
    "a square": TargetParser([GraphOutput("y", "y", (N, 9, 9))], [OutputNames("y")]),
    "names with signs": SIGNS,
    "names twice": parser_of("a", "a", "1", "0"),
    "outputs of one name": TargetParser(
        [GraphOutput("y", "a", (N, 2)), GraphOutput("y", "b", (N, 1))], [OutputNames("y"), OutputNames("y")]
    ),
    "both quotes": parser_of("""a'"b""", "c d"),
    "one number": TargetParser([GraphOutput("y", "y", (N,))], [OutputNames("y")]),
    "positions first": parser_of("a", shape=(5,), axes="NPT"),
    "channels last map": TargetParser([GraphOutput("y", "y", (N, 6, 6, 2))], [OutputNames("y", (), "NPT")]),
}


@pytest.mark.parametrize("parser", EXAMPLES.values(), ids=EXAMPLES.keys())
def test_every_example_is_read_and_every_output_has_one(parser):
    examples = parser.examples()
    found = {term.output for text in examples for term in read(parser, text)}
    assert found == set(range(len(parser.outputs)))
    assert len(examples) == len(set(examples)) <= 8 * len(parser.outputs)


def test_rows_of_a_sample_that_lie_along_the_axis_of_samples_are_averaged():
    parser = TargetParser([GraphOutput("y", "y", (BatchDim(3, 3), 2))], [OutputNames("y")])
    seed = parser.parse("1").seeds(parser.outputs, parser.names, {"y": torch.zeros(6, 2)})["y"]
    torch.testing.assert_close(seed, torch.tensor([[0.0, 1 / 3]] * 6))
