"""What happens around training: logging, progress, results."""

from callbacks.best_step import BestStep
from callbacks.dead_units import DeadUnits
from callbacks.epoch_lines import EpochLines
from callbacks.first_batch import FirstBatch
from callbacks.hyperparameters import Hyperparameters, write_test_metrics
from callbacks.network_graph import NetworkGraph
from callbacks.pass_rate_tracker import PassRateTracker
from callbacks.prediction_csv import PredictionCSV
from callbacks.timing import Timing

__all__ = [
    "BestStep",
    "DeadUnits",
    "EpochLines",
    "FirstBatch",
    "Hyperparameters",
    "NetworkGraph",
    "PassRateTracker",
    "PredictionCSV",
    "Timing",
    "write_test_metrics",
]
