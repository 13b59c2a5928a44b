"""CI-SpliceAI's graph: taken apart, it must compute what the graph computes node by node."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from graph_numpy import Evaluation

from sparselrp_cli.errors import ModelError
from sparselrp_cli.model.importing import ImportRequest, import_model
from sparselrp_cli.model.importing.graphdef import read_graph

pytest.importorskip("google.protobuf", reason="protobuf isn't installed")
from graph_files import GraphWriter


def one_hot(length):
    return np.eye(4)[np.random.default_rng(1).integers(0, 4, (1, length))]


def networks_of(graph):
    """Give the mean over networks and the outputs it is taken of, by name."""
    (mean,) = [node for node in graph.values() if node.op == "Mean"]
    return mean.name, graph[mean.inputs[0]].inputs


def probabilities(model, x):
    with torch.no_grad():
        logits = model.build(model.name).double()(torch.tensor(x).transpose(1, 2))
    return logits.softmax(1).transpose(1, 2).numpy()


def test_each_network_computes_what_its_part_of_the_graph_computes(tmp_path):
    path = GraphWriter().write(tmp_path / "graph.pb")
    models = import_model(path, "auto", ImportRequest(window=40))
    graph = read_graph(path)
    evaluate = Evaluation(graph, one_hot(40))
    mean, networks = networks_of(graph)
    found = [probabilities(model, one_hot(40)) for model in models]
    for network, values in zip(networks, found, strict=True):
        np.testing.assert_allclose(values, evaluate(network), atol=1e-9)
    np.testing.assert_allclose(np.mean(found, 0), evaluate(mean), atol=1e-9)


def test_the_networks_are_described(tmp_path):
    path = GraphWriter().write(tmp_path / "graph.pb")
    first, second = import_model(path, "cispliceai", ImportRequest())
    assert (first.subfolder, second.subfolder) == ("1", "2")
    assert first.name == "ci-spliceai-1"
    assert first.window == 19
    assert first.arguments == {
        "channels": 3, "widths": [3, 4, 5], "dilations": [1, 4, 2], "context": 18, "skips": [0, 2, 3],
        "eps": 0.001,
    }  # fmt: skip
    assert first.outputs[0].tasks == ("neither", "acceptor", "donor")
    assert first.licence == "CC-BY-4.0"


@pytest.mark.skipif("SPARSELRP_PUBLISHED" not in os.environ, reason="SPARSELRP_PUBLISHED names no folder")
@pytest.mark.slow
def test_the_published_networks_compute_what_the_published_graph_computes():
    path = Path(os.environ["SPARSELRP_PUBLISHED"]) / "CI-SpliceAI.pb"
    if not path.is_file():
        pytest.skip(f"no {path}")
    models = import_model(path, "auto", ImportRequest())
    assert [model.window for model in models] == [10001] * 5
    graph, x = read_graph(path), one_hot(10_013)
    evaluate = Evaluation(graph, x)
    _, networks = networks_of(graph)
    assert len(networks) == 5
    for number in (0, 4):
        found = probabilities(models[number], x)
        np.testing.assert_allclose(found, evaluate(networks[number]), atol=1e-9)


def test_a_graph_of_another_network_is_refused(tmp_path):
    writer = GraphWriter()
    x = writer.node("Placeholder")
    pack = writer.node("Pack", writer.node("Relu", x))
    writer.node("Mean", pack, writer.integers([0]))
    path = tmp_path / "graph.pb"
    path.write_bytes(writer.message.SerializeToString())
    with pytest.raises(ModelError, match=r"not that of CI-SpliceAI \('node1' is Relu, not RealDiv\)"):
        import_model(path, "auto", ImportRequest())


def test_a_block_that_skips_its_input_is_refused(tmp_path):
    writer = GraphWriter(widths=(3,), dilations=(1,), skips=(0, 1))
    block = writer.block
    writer.block = lambda h, width, dilation: block(writer.node("Relu", h), width, dilation)
    with pytest.raises(ModelError, match="not that of CI-SpliceAI"):
        import_model(writer.write(tmp_path / "graph.pb"), "auto", ImportRequest())


def test_a_damaged_graph_is_refused(tmp_path):
    whole = GraphWriter().write(tmp_path / "graph.pb").read_bytes()
    (tmp_path / "cut.pb").write_bytes(whole[:-50])
    with pytest.raises(ModelError, match="not a frozen TensorFlow graph, or a damaged one"):
        import_model(tmp_path / "cut.pb", "auto", ImportRequest())


def test_a_window_within_the_context_is_refused(tmp_path):
    path = GraphWriter().write(tmp_path / "graph.pb")
    with pytest.raises(ModelError, match="a window of 18 bp leaves no output; 18 bp are context"):
        import_model(path, "auto", ImportRequest(window=18))
