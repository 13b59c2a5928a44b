"""The explained number of a model, and its gradient, without any relevance.

Of ends that are held linear it is what the model itself gives, whose slope at a window the explanation takes.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sparselrp_cli.graph.canonical import Node
from sparselrp_cli.graph.operation import At
from sparselrp_cli.graph.shapes import Samples
from sparselrp_cli.graph.targets.functional import NOTHING, Touched
from sparselrp_cli.model.layout import InputLayout
from sparselrp_cli.relevance.ends import find_tail
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.rows import sums
from sparselrp_cli.relevance.windows import Marked

AT_ONCE = 256


class Scorer:
    """Scores windows as an explainer does.

    Parameters
    ----------
    explainer : Explainer
    layout : InputLayout
    target : int
        Which of the explainer's targets.
    """

    def __init__(self, explainer: Explainer, layout: InputLayout, target: int = 0) -> None:
        self.explainer, self.layout = explainer, layout
        self.target = explainer.targets[target]
        self.tail = find_tail(explainer.graph, self.target, explainer.names, explainer.ends)

    def scores(self, one_hot: npt.NDArray[np.uint8], marked: Marked | None = None) -> npt.NDArray[np.float64]:
        """Score windows (n, 4, L): shape (n,).

        Parameters
        ----------
        one_hot : ndarray of uint8, shape (n, 4, L)
            As the model reads them.
        marked : ndarray of uint8, shape (n, L), optional
            For targets that read blocks: 1 where a base lies in one.
        """
        graph = self.explainer.graph
        shapes = {graph.input: graph.input_shape, **{node.name: node.shape for node in graph.nodes}}
        parts = []
        with torch.inference_mode():
            for first in range(0, len(one_hot), AT_ONCE):
                x = self._input(one_hot[first : first + AT_ONCE])
                touched = self._touched(None if marked is None else marked[first : first + AT_ONCE])
                explained = [
                    sums(part, Samples.of(shapes[node], len(x)))
                    for node, part in self._terms(x, touched).items()
                ]
                score = torch.stack(explained).sum(0)
                if self.target.logarithms:
                    score = score + self._beyond(graph.evaluate(x), touched)
                parts.append(score.cpu().numpy())
        return np.concatenate(parts)

    def gradient(self, one_hot: npt.NDArray[Any], marked: Marked | None = None) -> npt.NDArray[np.floating]:
        """Give the gradient by automatic differentiation, at each of the four bases: shape (n, 4, L)."""
        x = self._input(one_hot).requires_grad_()
        terms = self._terms(x, self._touched(marked))
        score = torch.stack([part.sum() for part in terms.values()]).sum()
        (gradient,) = torch.autograd.grad(score, x)
        found: npt.NDArray[np.floating] = self.layout.from_model(gradient).detach().cpu().numpy()
        return found

    def gradient_times_input(self, one_hot: npt.NDArray[np.uint8]) -> npt.NDArray[np.floating]:
        """Give gradient times input, summed over bases: shape (n, L)."""
        found: npt.NDArray[np.floating] = (self.gradient(one_hot) * one_hot).sum(axis=1)
        return found

    def _input(self, one_hot: npt.NDArray[Any]) -> Tensor:
        graph = self.explainer.graph
        x = torch.from_numpy(np.ascontiguousarray(one_hot)).to(graph.device, graph.dtype)
        return self.layout.to_model(x)

    def _touched(self, marked: Marked | None) -> Touched:
        """Say which positions of outputs lie under blocks."""
        if marked is None:
            return self.explainer.touched(None)
        blocks = torch.from_numpy(np.array(marked)).to(self.explainer.graph.device)
        return self.explainer.touched(blocks.bool())

    def _terms(self, x: Tensor, touched: Touched = NOTHING) -> dict[str, Tensor]:
        """Give the terms of the score, by node, shaped as what it makes."""
        return self._terms_of(self.explainer.graph.evaluate(x), touched)

    def _beyond(self, values: dict[str, Tensor], touched: Touched = NOTHING) -> Tensor | float:
        """Give what the score is beside its terms, shape (N,)."""
        graph, outputs = self.explainer.graph, self.tail.outputs(values)
        return self.target.beyond(graph.outputs, self.explainer.names, outputs, touched)

    def _terms_of(self, values: dict[str, Tensor], touched: Touched = NOTHING) -> dict[str, Tensor]:
        """Give the terms of the score of the tensors of a graph, by node, as far as the target reads them."""
        tail, outputs = self.tail, self.explainer.graph.outputs

        def at(node: Node) -> At:
            return At(tuple(values[name] for name in node.inputs), values[node.name])

        with torch.no_grad():
            weights = self.target.seeds(outputs, self.explainer.names, tail.outputs(values), touched)
            seeds = weights if tail.linear else tail.pull(weights, at)
        return {node: values[node].double() * seed.double() for node, seed in seeds.items()}
