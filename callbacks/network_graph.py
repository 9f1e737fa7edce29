"""The graph of a network as TensorBoard draws it: a node a layer, grouped by module names."""

from typing import Any, final

import torch
from tensorboard.compat.proto.graph_pb2 import GraphDef
from torch import Tensor, fx, nn

from dropout_lab.models.dropout import Dropout


@final
class _Images(nn.Module):
    """A network as a function of images alone: what else its forward takes is for training."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(images)
        return logits


@final
class _Tracer(fx.Tracer):
    """Takes layers of torch.nn and dropout variants as single nodes."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, Dropout) or super().is_leaf_module(m, module_qualified_name)


@final
class _Shapes(fx.Interpreter):
    """Runs a traced network and keeps the shape of every tensor."""

    def __init__(self, traced: fx.GraphModule) -> None:
        super().__init__(traced)
        self.found: dict[fx.Node, torch.Size] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if isinstance(result, Tensor):
            self.found[n] = result.shape
        return result


def network_graph(network: nn.Module, images: Tensor) -> GraphDef:
    """Trace a network in evaluation and return its graph: a node a layer, grouped by module names.

    ``SummaryWriter.add_graph`` rests on ``torch.jit.trace``, which PyTorch has discontinued; this rests on
    ``torch.fx``. The images are an example batch, for the shapes. The network is left in the mode it was in.
    """
    training = network.training
    network.eval()
    try:
        root = _Images(network)
        traced = fx.GraphModule(root, _Tracer().trace(root))
        shapes = _Shapes(traced)
        with torch.no_grad():
            shapes.run(images)
    finally:
        network.train(training)
    graph = GraphDef()
    names: dict[fx.Node, str] = {}
    for node in traced.graph.nodes:
        names[node] = _name(node)
        drawn = graph.node.add(name=names[node], op=node.name)
        drawn.input.extend(names[source] for source in node.all_input_nodes)
        if node.op == "call_module":
            layer = traced.get_submodule(str(node.target))
            drawn.op = type(layer).__name__
            drawn.attr["settings"].s = layer.extra_repr().encode()
        if node in shapes.found:
            shape = drawn.attr["_output_shapes"].list.shape.add()
            for size in shapes.found[node]:
                shape.dim.add(size=size)
    return graph


def _name(node: fx.Node) -> str:
    if node.op in ("call_module", "get_attr"):
        return str(node.target).replace(".", "/")
    # An operation belongs to the module in whose forward it stands.
    scopes = list(node.meta.get("nn_module_stack", ()))
    return "/".join([*(scopes[-1].split(".") if scopes else []), node.name])
