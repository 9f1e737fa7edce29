"""dropout-lab: which dropout variant works for a network and a data set, and why.

    from dropout_lab import MalDrop, swap_dropout

Variants, networks, the classifier, data modules, callbacks and schedules are imported when they are first asked for, so
that ``dropout-lab --help`` does not wait for torch.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dropout_lab.callbacks import *
    from dropout_lab.callbacks.schedules import *
    from dropout_lab.datamodules import *
    from dropout_lab.models import *
    from dropout_lab.models.dropout import *
    from dropout_lab.models.networks import *
else:

    def __getattr__(name: str) -> object:
        """Return a public name of one of the rooms (PEP 562)."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        # By full names: ``from dropout_lab import models`` would ask for an attribute, and so come back here.
        import dropout_lab.callbacks as callbacks
        import dropout_lab.callbacks.schedules as schedules
        import dropout_lab.datamodules as datamodules
        import dropout_lab.models as models
        import dropout_lab.models.dropout as dropout
        import dropout_lab.models.networks as networks

        rooms = (dropout, networks, models, datamodules, callbacks, schedules)
        found = next(getattr(room, name) for room in rooms if name in room.__all__)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


__version__ = "0.1.0"

__all__ = [
    "MEASURED_LATER", "TORCH_DROPOUTS", "VGG16", "AlanCNN", "Alternating", "Backbone", "BestStep",
    "CIFAR10DataModule", "Chain", "Charted", "Charts", "CollapseDetector", "ConfusionMatrix",
    "Constant", "Cosine", "CountDropout", "DataError", "DatasetCorruptError", "DatasetNotFoundError",
    "DeadUnits", "DigitsDataModule", "DownloadError", "DropAct", "DropAlan", "DropConnect", "DropCorr",
    "DropIn", "DropInv", "Dropout", "DropoutFactory", "EpochLines", "ForeignDropout", "ForwardAnnealing",
    "FullyConnected", "GaussianDropout", "GavierCIFAR", "GavierMNIST", "Head", "ISICDataModule",
    "ImageClassifier", "ImageDataModule", "ImageFolderDataModule", "ImageShape", "Images", "InferenceGap",
    "LabelledHead", "Linear", "Logistic", "MNISTDataModule", "MalDrop", "MalDropCNN", "Moment",
    "MultinomialDropout", "NestedDropout", "Network", "NoDropout", "PassRateTracker", "Periodic",
    "Pointwise", "PredictionPanels", "Randomized", "RateDropout", "ReverseAnnealing", "RhoScheduler",
    "Schedule", "SpatialDropout", "SpatialMalDrop", "Splits", "Stage", "StandardDropout", "Standout",
    "TensorBoardPages", "Timing", "TinyImageNetDataModule", "TrainingCollapsed", "VariationalDropout",
    "__version__", "as_dropout", "divergence", "dropout_layers", "dropout_places", "labels", "made_layers",
    "sampling", "scheduled_layers", "swap_dropout", "write_test_metrics",
]  # fmt: skip
