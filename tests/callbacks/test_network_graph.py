"""The graph is the network's: its layers, its edges, its shapes."""

from pathlib import Path

import pytest
import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.loggers import TensorBoardLogger
from torch import Tensor, nn

from dropout_lab.callbacks import BestStep, TensorBoardPages
from dropout_lab.callbacks.network_graph import network_graph
from dropout_lab.models.dropout import StandardDropout
from dropout_lab.models.networks import FullyConnected, GavierCIFAR


def test_nodes_are_layers_and_edges_are_tensors() -> None:
    network = FullyConnected([20], (1, 8, 8), dropout=lambda: StandardDropout(0.3))
    graph = network_graph(network, torch.zeros(2, 1, 8, 8))
    nodes = {node.name: node for node in graph.node}
    stage = "network/head/stage"
    assert nodes["network/body/0"].op == "Flatten"
    assert nodes[f"{stage}/affine"].op == "Linear"
    assert nodes[f"{stage}/dropout"].op == "StandardDropout"
    assert nodes[f"{stage}/dropout"].attr["settings"].s == b"p=0.3, inverted=True"
    assert list(nodes[f"{stage}/activation"].input) == [f"{stage}/affine"]
    # The dropout before the logits is handed the next layer's weight.
    assert list(nodes[f"{stage}/dropout"].input) == [f"{stage}/activation", "network/head/linear/weight"]
    shape = nodes["network/head/linear"].attr["_output_shapes"].list.shape[0]
    assert [dim.size for dim in shape.dim] == [2, 10]


def test_every_input_is_a_node_and_names_are_unique() -> None:
    graph = network_graph(GavierCIFAR(), torch.zeros(1, 3, 32, 32))
    names = [node.name for node in graph.node]
    assert len(set(names)) == len(names)
    assert all(source in names for node in graph.node for source in node.input)
    assert sum(node.op == "Conv2d" for node in graph.node) == 6


@pytest.mark.parametrize("training", [True, False])
def test_leaves_the_network_as_it_was(training: bool) -> None:
    network = GavierCIFAR().train(training)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    random_state = torch.get_rng_state()
    network_graph(network, torch.zeros(1, 3, 32, 32))
    assert all(module.training == training for module in network.modules())
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert torch.equal(random_state, torch.get_rng_state())


class Branching(nn.Module):
    """Cannot be traced: what it does depends on the values."""

    def forward(self, images: Tensor) -> Tensor:
        return images if images.sum() > 0 else -images


def test_a_network_that_cannot_be_followed_is_said_so(tmp_path: Path) -> None:
    logger = TensorBoardLogger(tmp_path)
    trainer = Trainer(accelerator="cpu", logger=logger, enable_checkpointing=False, enable_progress_bar=False)
    pages = TensorBoardPages({}, BestStep(), {}, Branching(), (1, 4, 4), lambda images: images)
    with pytest.warns(UserWarning, match="Branching is not drawn in TensorBoard"):
        pages.on_fit_start(trainer, LightningModule())
    # Else it writes after the folder is gone.
    logger.experiment.close()
