"""torchvision's classification models as networks with swappable dropout places."""

import math
from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn
from torchvision.models.googlenet import GoogLeNetOutputs, InceptionAux
from torchvision.ops import StochasticDepth

from dropout_lab.models.dropout import TORCH_DROPOUTS, Dropout, DropoutFactory, NoDropout, swap_dropout
from dropout_lab.models.dropout.swap import ACTIVATIONS, AFFINE
from dropout_lab.models.networks.base import Head, ImageShape, Network, dropout_places
from dropout_lab.models.networks.published import Published, as_rgb, cannot_take, published_model


@final
class Backbone(Network):
    """Any classification model of torchvision's, its dropout swapped.

    The places are where the model has dropout, and the units that its last linear layer reads, whether it has dropout
    there (VGG, EfficientNet, MobileNet, Inception) or not (ResNet, DenseNet, ConvNeXt, transformers). The last place
    is in the head, so that labels and weight reach a variant that looks at them. Dropout of p = 0, as transformers
    have in each block, drops nothing and is no place. Initialization is torchvision's; dropout is none but what is
    asked for, and the published p are not kept. Nor is stochastic depth, by which ConvNeXt, Swin, EfficientNet and
    MaxViT skip whole blocks of a sample: it is noise like dropout, and beside ``NoDropout`` there would be no baseline.

    ``auxiliary`` gives GoogLeNet its two auxiliary heads (Szegedy et al., *Going Deeper with Convolutions*, 2014, §5):
    each is a network's end of its own, whose dropout place is handed the labels and its own last layer's weight, and
    whose cross-entropy is added to the training loss with that weight, 0.3 in the source. So a variant that looks at
    labels (MalDrop) scores each layer by the loss nearest to it alone, which is what J. Maris and I. Pashayev,
    *Improving Generalization of Feed-Forward Classifiers with Malicious Dropout*, §6, ask of such a network.

    Departures: auxiliary classifiers are left out but for these, and GoogLeNet's and Inception's transform of the input
    is always on. SqueezeNet ends in a convolution and is refused. A vision transformer is built for the images' size.

    torchvision's weights expect images standardized by ImageNet's means (0.485, 0.456, 0.406) and standard deviations
    (0.229, 0.224, 0.225) per channel; ``normalize="standard"`` standardizes by the data's own, which is near.

    Args:
        name: the model's name in torchvision, ``resnet18``.
        image_shape: channels, height, width; how small, depends on the model. Grey images are shown to all three
            channels.
        dropout: makes the layer for each place.
        rates: p of each place, from input to output, then of the auxiliary heads; None leaves each layer its own.
        pretrained: start from torchvision's default weights, fetched once, ImageNet's 1,000 classes.
        weights: start from these instead: the name of some of torchvision's, ``IMAGENET1K_V1``, or a file with a state
            dict in its layout, by itself or in a checkpoint's ``state_dict``, with or without a prefix such as
            ``module.``. The last layer is kept if it has ``num_classes`` outputs.
        stochastic_depth: keep the model's stochastic depth (Huang et al. 2016, arXiv:1603.09382) with its published
            probabilities; in training only, so that :func:`dropout_lab.models.dropout.sampling` leaves it out.
        auxiliary: weight in the training loss of each of GoogLeNet's auxiliary heads, 0 or more; 0 builds none.
    """

    def __init__(
        self,
        name: str,
        image_shape: ImageShape = (3, 224, 224),
        num_classes: int = 1000,
        dropout: DropoutFactory = NoDropout,
        rates: Sequence[float] | None = None,
        pretrained: bool = False,
        weights: str | None = None,
        stochastic_depth: bool = False,
        auxiliary: float = 0.0,
    ) -> None:
        if not 0 <= auxiliary < math.inf:
            raise ValueError(f"auxiliary must be a number of 0 or more, got {auxiliary}")
        if auxiliary and name != "googlenet":
            raise ValueError(
                f"auxiliary must be 0 for {name}: googlenet has auxiliary heads here; got {auxiliary}"
            )
        rgb = as_rgb(name, image_shape[0])
        published = published_model(name, image_shape, num_classes, pretrained, weights, auxiliary > 0)
        model = published.module
        ends = {path: each for path, each in model.named_children() if isinstance(each, InceptionAux)}
        for path in ends:
            # The model then returns what they were given.
            model.set_submodule(path, nn.Identity())
        last, stage = _take_end(published)
        if not stochastic_depth:
            for path in [path for path, each in model.named_modules() if isinstance(each, StochasticDepth)]:
                model.set_submodule(path, nn.Identity())
        own = {path: each for path, each in model.named_modules() if isinstance(each, TORCH_DROPOUTS)}
        for idle in [path for path, each in own.items() if each.p == 0]:
            model.set_submodule(idle, nn.Identity())
            del own[idle]
        places = dropout_places(dropout, len(own) + 1 + len(ends), rates, heads=1 + len(ends))
        layers, penultimate = iter(places[: len(own)]), places[len(own)]
        swap_dropout(model, lambda: next(layers))
        place = f"what is before {published.last!r} in {name}"
        head = Head(penultimate.join(*stage) if stage else penultimate.alone(place), last)
        try:
            super().__init__(image_shape, num_classes, nn.Sequential(*rgb, model), head)
        except (AssertionError, RuntimeError) as error:
            raise ValueError(cannot_take(name, image_shape, error)) from error
        self.start = published.start
        self.auxiliary_weight = auxiliary
        self.auxiliary_heads = nn.ModuleList(
            AuxiliaryHead(end, layer)
            for end, layer in zip(ends.values(), places[len(own) + 1 :], strict=True)
        )

    def forward(self, images: Tensor, target: Tensor | None = None) -> Tensor:
        features = self.body(images)
        if isinstance(features, GoogLeNetOutputs):
            features, second, first = features
            self.auxiliary = [
                (self.auxiliary_weight, head(given, target))
                for head, given in zip(self.auxiliary_heads, (first, second), strict=True)
            ]
        logits: Tensor = self.head(features, target)
        return logits


@final
class AuxiliaryHead(nn.Module):
    """Pool to 4×4 – Conv 1×1 – Dense 1024 – ReLU – dropout – affine, torchvision's."""

    def __init__(self, end: InceptionAux, dropout: Dropout) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.AdaptiveAvgPool2d(4), end.conv, nn.Flatten())
        self.head = Head(dropout.join(end.fc1, nn.ReLU()), end.fc2)
        # What learns its shape from the first input has it from the start, as Network says of its own.
        self.eval()
        with torch.no_grad():
            self.head(torch.zeros(1, end.fc1.in_features))
        self.train()

    def forward(self, x: Tensor, target: Tensor | None = None) -> Tensor:
        logits: Tensor = self.head(self.body(x), target)
        return logits


def _take_end(published: Published) -> tuple[nn.Linear, list[nn.Module]]:
    """Take the last linear layer out of a model, the dropout before it, and the stage whose units it reads.

    The stage is an affine map and an activation, or empty if other layers stand between.
    """
    model = published.module
    names = [name for name, each in model.named_modules() if not list(each.children())]
    end = [published.last]
    before = names[: names.index(published.last)]
    if isinstance(model.get_submodule(before[-1]), TORCH_DROPOUTS):
        end.append(before.pop())
    *_, affine, activation = before
    owner = published.last.rpartition(".")[0]
    stage: list[nn.Module] = []
    # In another module than a Sequential the order of layers is not known.
    if (
        isinstance(model.get_submodule(owner), nn.Sequential)
        and {affine.rpartition(".")[0], activation.rpartition(".")[0]} == {owner}
        and isinstance(model.get_submodule(affine), AFFINE)
        and isinstance(model.get_submodule(activation), ACTIVATIONS)
    ):
        end += [affine, activation]
        stage = [model.get_submodule(affine), model.get_submodule(activation)]
        if "inplace" in vars(stage[1]):
            # It would overwrite the pre-activation, which the variant may read.
            stage[1].inplace = False  # type: ignore[assignment]
    last = model.get_submodule(published.last)
    assert isinstance(last, nn.Linear)
    for name in end:
        model.set_submodule(name, nn.Identity())
    return last, stage
