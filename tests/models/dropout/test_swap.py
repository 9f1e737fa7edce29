"""Dropout of any module swapped: torchvision's networks, and small ones made to be difficult."""

import copy
import functools
import pickle
from collections.abc import Callable

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torchvision.ops import DropBlock2d

from dropout_lab.models.dropout import (
    TORCH_DROPOUTS,
    Chain,
    DropAlan,
    DropConnect,
    Dropout,
    ForeignDropout,
    LabelledHead,
    MalDrop,
    NoDropout,
    StandardDropout,
    Standout,
    VariationalDropout,
    labels,
    swap_dropout,
)
from dropout_lab.models.dropout.base import Stage
from dropout_lab.models.dropout.drop_connect import DropConnectStage

PLACES = {
    "vgg16": 2,
    "alexnet": 2,
    "efficientnet_b0": 1,
    "mobilenet_v3_small": 1,
    "mobilenet_v3_large": 1,
}
WITH_HEAD = ["vgg16", "efficientnet_b0", "mobilenet_v3_small", "mobilenet_v3_large"]
HEAVY = {"alexnet", "mobilenet_v3_large", "vgg16"}
CASES = {name: pytest.param(name, marks=pytest.mark.slow if name in HEAVY else ()) for name in PLACES}
STAGES = [DropAlan, Standout, DropConnect]


@functools.cache
def built(name: str) -> nn.Module:
    network: nn.Module = getattr(torchvision.models, name)(weights=None, num_classes=10)
    return network


def network_of(name: str) -> nn.Module:
    return copy.deepcopy(built(name))


def images_for(name: str, count: int = 2) -> Tensor:
    side = 64 if name == "alexnet" else 32
    return torch.randn(count, 3, side, side)


def dropouts_of(module: nn.Module) -> list[nn.Module]:
    return [each for each in module.modules() if isinstance(each, TORCH_DROPOUTS)]


def layers_of(module: nn.Module) -> list[Dropout]:
    return [each for each in module.modules() if isinstance(each, Dropout)]


def small(dropout: Callable[[], nn.Module] = nn.Dropout) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(6, 8),
        nn.ReLU(inplace=True),
        dropout(),
        nn.Linear(8, 8),
        nn.ReLU(),
        dropout(),
        nn.Linear(8, 3),
    )


def picture(module: nn.Module) -> list[tuple[str, int, bool, object]]:
    """Which module stands where, in which mode, and whether it works in place."""
    return [
        (name, id(each), each.training, getattr(each, "inplace", None))
        for name, each in module.named_modules(remove_duplicate=False)
    ]


@pytest.mark.parametrize(
    "make",
    [pytest.param(NoDropout, marks=pytest.mark.slow), lambda: StandardDropout(0.3)],
    ids=["none", "standard"],
)
@pytest.mark.parametrize("name", [*CASES.values()])
def test_every_layer_of_a_torchvision_network(name: str, make: Callable[[], Dropout]) -> None:
    network, images = network_of(name), images_for(name)
    assert len(dropouts_of(network)) == PLACES[name]
    keys = set(network.state_dict())
    with torch.no_grad():
        expected = network.eval()(images)
        network.train()
        assert swap_dropout(network, make) == PLACES[name]
        assert not dropouts_of(network)
        assert len({id(layer) for layer in layers_of(network)}) == PLACES[name]
        assert all(getattr(layer, "p", 0.3) == 0.3 for layer in layers_of(network))
        assert network.train()(images).shape == (2, 10)
        if isinstance(make(), StandardDropout):
            assert all(layer.kept is not None for layer in layers_of(network))
        # The statistics of BatchNorm have moved.
        network.load_state_dict(built(name).state_dict())
        assert torch.equal(network.eval()(images), expected)
    assert set(network.state_dict()) == keys


class Many(nn.Module):
    """Each dropout layer of torch.nn, in containers of every kind; some in more than one place."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Dropout1d(0.1)
        self.parts = nn.ModuleList(
            [nn.Dropout2d(0.2), nn.Sequential(nn.Dropout3d(0.3), nn.AlphaDropout(0.4))]
        )
        self.named = nn.ModuleDict({"feature": nn.FeatureAlphaDropout(0.5), "shared": self.one})
        self.twice = self.again = nn.Dropout(0.6)
        self.missing: nn.Module | None = None

    def forward(self, x: Tensor) -> Tensor:
        for layer in (self.one, *self.parts, *self.named.values(), self.twice, self.again):
            x = layer(x)
        return x


def test_every_kind_of_torch_in_every_container() -> None:
    module, x = Many(), torch.ones(2, 3, 4, 4, 4)
    assert swap_dropout(module, StandardDropout) == 8
    assert not dropouts_of(module)
    assert len(layers_of(module)) == 8
    assert (module(x) == 0).any()
    assert module.eval()(x) is x


def test_layers_that_stand_in_two_places_of_a_sequential() -> None:
    relu, dropout = nn.ReLU(), nn.Dropout()
    for make, stages in ((StandardDropout, 0), (Standout, 2)):
        module = nn.Sequential(
            nn.Linear(4, 5), relu, dropout, nn.Linear(5, 5), relu, dropout, nn.Linear(5, 2)
        )
        assert swap_dropout(module, make) == 2
        assert not dropouts_of(module)
        assert len(layers_of(module)) == 2
        assert sum(isinstance(each, Stage) for each in module) == stages
        assert module(torch.randn(3, 4)).shape == (3, 2)


def test_nothing_to_swap() -> None:
    for make in (StandardDropout, MalDrop, DropAlan):
        module = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
        before = picture(module)
        assert swap_dropout(module, make) == 0  # type: ignore[arg-type]
        assert picture(module) == before
        assert swap_dropout(nn.ReLU(), make) == 0  # type: ignore[arg-type]


@pytest.mark.parametrize("make", [lambda layer: layer, lambda layer: Chain([layer, NoDropout()])])
def test_a_factory_that_gives_one_layer_again_and_again(make: Callable[[Dropout], Dropout]) -> None:
    shared = StandardDropout(0.3)
    module = small()
    assert swap_dropout(module, lambda: make(shared)) == 2
    standard = [layer for layer in layers_of(module) if isinstance(layer, StandardDropout)]
    assert [layer.p for layer in standard] == [0.3, 0.3]


def test_the_factory_is_called_once_for_each_place() -> None:
    made: list[Dropout] = []

    def make() -> Dropout:
        made.append(StandardDropout())
        return made[-1]

    module = small()
    swap_dropout(module, make)
    assert made == layers_of(module)


@pytest.mark.parametrize(
    "make", [StandardDropout, DropAlan, lambda: MalDrop(2), DropConnect, nn.AlphaDropout]
)
def test_new_layers_are_in_the_mode_and_on_the_device_of_the_old(make: Callable[[], nn.Module]) -> None:
    module = small().eval()
    swap_dropout(module, make)
    assert not any(each.training for each in module.modules())
    module = small().to("meta")
    module[2].eval()
    swap_dropout(module, make)
    assert all(buffer.is_meta for buffer in module.buffers())
    assert module.training
    layer = next(layer for layer in layers_of(module))
    assert not layer.training


@pytest.mark.parametrize(
    "make", [lambda: DropBlock2d(0.1, 3), lambda: nn.AlphaDropout(0.7)], ids=["dropblock", "alpha"]
)
def test_layers_from_elsewhere(make: Callable[[], nn.Module]) -> None:
    module = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Dropout2d(), nn.Conv2d(4, 4, 3), nn.Dropout())
    x = torch.randn(2, 1, 9, 9)
    expected = module.eval()(x)
    module.train()
    assert swap_dropout(module, make) == 2
    assert all(isinstance(layer, ForeignDropout) for layer in layers_of(module))
    assert len({id(layer.layer) for layer in layers_of(module) if isinstance(layer, ForeignDropout)}) == 2
    assert not torch.equal(module(x), module(x))
    assert torch.equal(module.eval()(x), expected)


def test_what_is_no_module_is_refused() -> None:
    module = small()
    before = picture(module)
    with pytest.raises(TypeError, match=r"a dropout place needs a torch\.nn\.Module, got int"):
        swap_dropout(module, lambda: 3)  # type: ignore[arg-type, return-value]
    assert picture(module) == before


@pytest.mark.parametrize("name", [CASES[name] for name in WITH_HEAD])
def test_maldrop_learns_in_a_torchvision_network(name: str) -> None:
    network, images, target = network_of(name), images_for(name), torch.tensor([1, 7])
    assert swap_dropout(network, lambda: MalDrop(16)) == PLACES[name]
    head = network.get_submodule("classifier")[-1]  # type: ignore[index]
    assert isinstance(head, LabelledHead)
    assert isinstance(head.dropout, MalDrop)
    assert [type(layer) for layer in layers_of(network)] == [NoDropout] * (PLACES[name] - 1) + [MalDrop]
    with labels(network, target):
        loss = nn.functional.cross_entropy(network(images), target)
    loss.backward()  # type: ignore[no-untyped-call]
    before = head.linear.weight.detach().clone()
    torch.optim.SGD(network.parameters(), lr=0.1).step()
    assert not torch.equal(head.linear.weight, before)
    assert head.dropout.kept is not None
    assert ((~head.dropout.kept).sum(1) == 16).all()
    assert head.dropout.pass_rate.mean().item() == pytest.approx(1 - 16 / head.linear.in_features, rel=1e-5)
    assert network.eval()(images).shape == (2, 10)


def test_maldrop_before_any_training_is_the_original_in_evaluation() -> None:
    network, images = network_of("mobilenet_v3_small"), images_for("mobilenet_v3_small")
    expected = network.eval()(images)
    swap_dropout(network, lambda: MalDrop(16))
    assert torch.equal(network(images), expected)


def test_maldrop_scores_by_the_final_weight() -> None:
    module, x, target = small(), torch.randn(5, 6), torch.tensor([0, 1, 2, 0, 1])
    other = copy.deepcopy(module)
    swap_dropout(module, lambda: MalDrop(3))
    with labels(module, target):
        found = module(x)
    final = other[-1]
    assert isinstance(final, nn.Linear)
    units = nn.Sequential(*other[:-1]).eval()(x)
    assert torch.equal(found, final(MalDrop(3)(units, target, final.weight)))


@pytest.mark.parametrize("fails", [False, True])
def test_labels_are_there_inside_the_context_alone(fails: bool) -> None:
    module, x, target = small(), torch.randn(2, 6), torch.tensor([0, 1])
    swap_dropout(module, lambda: MalDrop(3))
    head = module[-1]
    try:
        with labels(module, target):
            module(x)
            assert head.target is target
            if fails:
                raise KeyError
    except KeyError:
        assert fails
    assert head.target is None
    with pytest.raises(
        ValueError, match=r"needs labels .*swap_dropout and dropout_lab\.models\.dropout\.labels"
    ):
        module(x)
    module.eval()(x)


@pytest.mark.slow
def test_maldrop_refuses_a_network_without_dropout_before_its_final_layer() -> None:
    network = network_of("alexnet")
    before, keys = picture(network), list(network.state_dict())
    with pytest.raises(
        ValueError,
        match="no dropout layer of AlexNet stands right before its final linear layer, where MalDrop",
    ):
        swap_dropout(network, lambda: MalDrop(16))
    assert picture(network) == before
    assert list(network.state_dict()) == keys


def test_copies_and_state_of_a_module_with_maldrop() -> None:
    module, x, target = small(), torch.randn(4, 6), torch.tensor([0, 1, 2, 0])
    swap_dropout(module, lambda: MalDrop(3))
    unused = copy.deepcopy(module)
    with labels(module, target):
        module(x)
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert other[-1].linear is not module[-1].linear
        assert torch.equal(other.eval()(x), module.eval()(x))
        module.train()
        with labels(other.train(), target):
            other(x)
        assert module[-1].target is None
    state = module.state_dict()
    places = [tensor.data_ptr() for tensor in state.values()]
    assert len(places) == len(set(places))
    unused.load_state_dict(state)
    assert torch.equal(unused.eval()(x), module.eval()(x))


def test_maldrop_compiles_and_rho_does_not_recompile() -> None:
    module, x = small(), torch.randn(4, 6)
    swap_dropout(module, lambda: MalDrop(3))
    torch._dynamo.reset()
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    (layer,) = (each for each in layers_of(module) if isinstance(each, MalDrop))
    with torch._dynamo.config.patch(error_on_recompile=True):
        for rho in (3, 0, 8, 5):
            layer.rho = rho
            with labels(module, torch.randint(3, (4,))):
                compiled(x)
            assert layer.kept is not None
            assert ((~layer.kept).sum(1) == rho).all()


@pytest.mark.parametrize("kind", STAGES)
def test_stage_variants_take_over_a_classifier(kind: type[Dropout]) -> None:
    full = network_of("alexnet")
    # The first dropout of alexnet follows a pooling; the second one an affine map.
    classifier = full.get_submodule("classifier")
    assert isinstance(classifier, nn.Sequential)
    module = nn.Sequential(*classifier[1:4], nn.Linear(4096, 10))
    x = torch.randn(1, 9216)
    assert swap_dropout(module, kind) == 1
    assert [type(each) for each in module[1:3]] == [nn.Identity, nn.Identity]
    stage = module[0]
    assert isinstance(stage, Stage | DropConnectStage)
    assert stage.affine is classifier[1]
    assert not classifier[2].inplace
    with torch.no_grad():
        z = stage.affine(x)
        out = module(x)
        assert out.shape == (1, 10)
        if kind is DropAlan:
            assert torch.equal(module.eval()(x), module[3](z))
        if kind is Standout:
            assert torch.allclose(module.eval()(x), module[3](z.relu() * z.sigmoid()), atol=1e-6)
        if kind is DropConnect:
            stage.dropout.set_rate(0.0)
            assert torch.allclose(module.eval()(x), module[3](z.relu()), atol=1e-5)


@pytest.mark.parametrize("kind", STAGES)
def test_an_activation_in_place_is_harmless(kind: type[Dropout]) -> None:
    in_place, apart, x = small(), small(), torch.randn(5, 6)
    apart.load_state_dict(in_place.state_dict())
    vars(apart[1])["inplace"] = False
    outputs = []
    for module in (in_place, apart):
        swap_dropout(module, kind)
        torch.manual_seed(3)
        outputs.append(module(x))
        outputs[-1].sum().backward()
    assert torch.equal(*outputs)
    for one, two in zip(in_place.parameters(), apart.parameters(), strict=True):
        assert one.grad is not None
        assert two.grad is not None
        assert torch.equal(one.grad, two.grad)


@pytest.mark.parametrize("kind", STAGES)
@pytest.mark.parametrize(
    "before",
    [
        [nn.Linear(6, 6), nn.LayerNorm(6)],
        [nn.Linear(6, 6), nn.Flatten()],
        [nn.Linear(6, 6), nn.MaxPool1d(1)],
        [nn.Linear(6, 6), nn.LayerNorm(6), nn.ReLU()],
        [nn.ReLU()],
        [],
    ],
    ids=lambda before: "-".join(type(each).__name__ for each in before) or "nothing",
)
def test_stage_variants_refuse_what_is_no_stage(kind: type[Dropout], before: list[nn.Module]) -> None:
    # The first place is a stage; it must be as it was, its activation in place too.
    start = [nn.Linear(6, 6), nn.ReLU(inplace=True), nn.Dropout()]
    module = nn.Sequential(nn.Sequential(*start), nn.Sequential(*before, nn.Dropout()))
    found = picture(module)
    with pytest.raises(ValueError, match=f"{kind.__name__} works on an affine map .* cannot stand after"):
        swap_dropout(module, kind)
    assert picture(module) == found


@pytest.mark.parametrize("kind", STAGES)
def test_stage_variants_refuse_alexnet(kind: type[Dropout]) -> None:
    network = network_of("alexnet")
    before = picture(network)
    with pytest.raises(ValueError, match=f"{kind.__name__} .* what is before '0' in Sequential"):
        swap_dropout(network, kind)
    assert picture(network) == before


def test_dropconnect_refuses_a_convolution_and_changes_nothing() -> None:
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(inplace=True), nn.Dropout())
    before = picture(module)
    with pytest.raises(ValueError, match="cannot follow Conv2d"):
        swap_dropout(module, DropConnect)
    assert picture(module) == before
    assert swap_dropout(module, Standout) == 1
    assert module(torch.randn(1, 1, 5, 5)).shape == (1, 2, 3, 3)


def test_a_chain_of_a_stage_variant_and_maldrop() -> None:
    module, x, target = small(), torch.randn(4, 6), torch.tensor([0, 1, 2, 0])
    assert swap_dropout(module, lambda: Chain([DropConnect(0.5), MalDrop(3)])) == 2
    assert [type(layer) for layer in layers_of(module) if not isinstance(layer, Chain)] == [
        DropConnect,
        NoDropout,
        DropConnect,
        MalDrop,
    ]
    with labels(module, target):
        assert not torch.equal(module(x), module(x))
    (layer,) = (each for each in layers_of(module) if isinstance(each, MalDrop))
    assert layer.kept is not None
    assert ((~layer.kept).sum(1) == 3).all()
    assert module.eval()(x).shape == (4, 3)


def test_learned_noise_is_among_the_parameters() -> None:
    module = small()
    swap_dropout(module, VariationalDropout)
    names = [name for name, _ in module.named_parameters()]
    assert "2.log_alpha" in names
    assert "5.log_alpha" in names


@pytest.mark.parametrize(
    ("module", "first"),
    [
        (nn.TransformerEncoderLayer(8, 2, 8, dropout=0.5), "self_attn"),
        (nn.LSTM(8, 8, num_layers=2, dropout=0.5), "LSTM"),
        (nn.Sequential(nn.MultiheadAttention(8, 2, dropout=0.5)), "0"),
    ],
)
def test_what_drops_by_itself_is_said(module: nn.Module, first: str) -> None:
    with pytest.warns(
        UserWarning, match=rf"1 attention or recurrent layer\(s\) of torch.nn, {first} first, drop by"
    ):
        swap_dropout(module, NoDropout)


def test_what_does_not_drop_by_itself_is_not() -> None:
    network = nn.TransformerEncoderLayer(8, 2, 8, dropout=0.0)
    assert swap_dropout(network, NoDropout) == 3
    x = torch.randn(2, 3, 8)
    assert torch.equal(network(x), network(x))
