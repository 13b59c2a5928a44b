"""A motif detector with weights set by hand, whose relevance is known on paper."""

import torch
from helpers.captures import captured_once
from torch import Tensor, nn

from sparselrp_cli.graph.capture import capture
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.relevance.composites import PRESETS
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.pruning import Pruning

TARGET = Target("score", (Term(0, 0, None),))


class TataDetector(nn.Module):
    """Counts matches of TATA beyond three: 2 x the sum of relu(matching bases - 3) over positions."""

    def __init__(self) -> None:
        super().__init__()
        self.scan = nn.Conv1d(4, 1, 4)
        self.score = nn.Linear(1, 1, bias=False)
        with torch.no_grad():
            self.scan.weight.copy_(one_hot("TATA"))
            self.scan.bias.fill_(-3.0)
            self.score.weight.fill_(2.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.score(torch.relu(self.scan(x)).sum(2))


def one_hot(sequence: str) -> Tensor:
    index = torch.tensor(["ACGT".index(base) for base in sequence])
    return nn.functional.one_hot(index, 4).T[None].double()


def explain(composite: str, p: float = 0.0):
    module = TataDetector().double()
    graph = captured_once(module, one_hot("CCTATACC").expand(2, -1, -1).contiguous())
    explainer = Explainer(graph, [TARGET], composite=PRESETS[composite], pruning=Pruning(p))
    return explainer.explain(one_hot("CCTATACC"))[0]


def test_z_plus_gives_each_base_of_the_motif_a_quarter_of_the_score():
    explanation = explain("epsilon-plus")
    expected = torch.tensor([0, 0, 0.5, 0.5, 0.5, 0.5, 0, 0], dtype=torch.float64)
    torch.testing.assert_close(explanation.contributions[0].sum(0), expected, rtol=1e-5, atol=0)
    assert explanation.score.item() == 2.0


def test_z_plus_hypothetical_contributions_are_the_motif_itself():
    hypothetical = explain("epsilon-plus").hypothetical[0, :, 2:6]
    torch.testing.assert_close(hypothetical, 0.5 * one_hot("TATA")[0], rtol=1e-5, atol=0)


def test_epsilon_leaves_the_bias_its_share():
    explanation = explain("epsilon")
    # Four bases give 4, the bias takes 3: each base's relevance is 2, the bias absorbs -6.
    expected = torch.tensor([0, 0, 2.0, 2, 2, 2, 0, 0], dtype=torch.float64)
    torch.testing.assert_close(explanation.contributions[0].sum(0), expected, rtol=1e-5, atol=0)
    torch.testing.assert_close(
        explanation.absorbed, torch.tensor([-6.0], dtype=torch.float64), rtol=1e-5, atol=0
    )


def test_a_single_active_neuron_survives_any_pruning():
    torch.testing.assert_close(
        explain("epsilon-plus", 0.9).contributions, explain("epsilon-plus").contributions
    )


def test_masked_relevance_does_not_turn_where_more_negative_than_positive_terms_are_kept():
    """Terms 4, 3.5, 3, 1.5, -5, -4: p = 0.9 keeps 4 and -5, whose sum is negative though the score is 3.

    Shared over that sum, the site's relevance would be -12. The neuron falls back to its unmasked column.
    """
    terms = torch.tensor([4.0, 3.5, 3.0, 1.5, -5.0, -4.0], dtype=torch.float64)
    hidden, score = nn.Linear(6, 6, bias=False), nn.Linear(6, 1, bias=False)
    with torch.no_grad():
        hidden.weight.copy_(torch.eye(6))
        score.weight.copy_(terms[None])
    module = nn.Sequential(hidden, nn.ReLU(), score).double()
    x = torch.ones(1, 6, dtype=torch.float64)
    graph = capture(module, x.expand(2, -1).contiguous())
    pruning = Pruning(0.9, redistribute="m")
    (found,) = Explainer(graph, [TARGET], composite=PRESETS["zero"], pruning=pruning).explain(x)
    assert torch.allclose(found.contributions, terms[None], atol=1e-5)
    assert found.ledger.pruned_layers[0].fallback_columns.tolist() == [1]
