"""What happens around training: logging, progress, results."""

from callbacks.best_step import BestStep
from callbacks.confusion_matrix import ConfusionMatrix
from callbacks.epoch_lines import EpochLines
from callbacks.first_batch import FirstBatch
from callbacks.hyperparameters import Hyperparameters, write_test_metrics
from callbacks.network_graph import NetworkGraph
from callbacks.prediction_csv import PredictionCSV
from callbacks.prediction_panels import PredictionPanels
from callbacks.tensorboard import Charted, Charts, ScalarLayout
from callbacks.rho_scheduler import RhoScheduler

__all__ = [
    "BestStep",
    "Charted",
    "Charts",
    "ConfusionMatrix",
    "EpochLines",
    "FirstBatch",
    "Hyperparameters",
    "NetworkGraph",
    "PredictionCSV",
    "PredictionPanels",
    "ScalarLayout",
    "RhoScheduler",
    "write_test_metrics",
]
