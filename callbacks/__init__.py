"""What happens around training: logging, progress, results."""

from callbacks.best_step import BestStep
from callbacks.collapse_detector import CollapseDetector, TrainingCollapsed
from callbacks.epoch_lines import EpochLines
from callbacks.first_batch import FirstBatch
from callbacks.hyperparameters import Hyperparameters, write_test_metrics
from callbacks.inference_gap import InferenceGap
from callbacks.network_graph import NetworkGraph
from callbacks.prediction_csv import PredictionCSV

__all__ = [
    "BestStep",
    "CollapseDetector",
    "EpochLines",
    "FirstBatch",
    "Hyperparameters",
    "InferenceGap",
    "NetworkGraph",
    "PredictionCSV",
    "TrainingCollapsed",
    "write_test_metrics",
]
