"""What happens around training: logging, progress, results."""

from callbacks.best_step import BestStep
from callbacks.best_weights import BestWeights
from callbacks.collapse_detector import CollapseDetector, TrainingCollapsed
from callbacks.confusion_matrix import ConfusionMatrix
from callbacks.dead_units import DeadUnits
from callbacks.epoch_lines import EpochLines
from callbacks.first_batch import FirstBatch
from callbacks.hyperparameters import MEASURED_LATER, Hyperparameters, write_test_metrics
from callbacks.inference_gap import InferenceGap
from callbacks.network_graph import NetworkGraph
from callbacks.pass_rate_tracker import PassRateTracker
from callbacks.prediction_panels import PredictionPanels
from callbacks.rho_scheduler import RhoScheduler
from callbacks.tensorboard import Charted, Charts, ScalarLayout
from callbacks.tensorboard_pages import TensorBoardPages
from callbacks.timing import Timing

__all__ = [
    "MEASURED_LATER",
    "BestStep",
    "BestWeights",
    "Charted",
    "Charts",
    "CollapseDetector",
    "ConfusionMatrix",
    "DeadUnits",
    "EpochLines",
    "FirstBatch",
    "Hyperparameters",
    "InferenceGap",
    "NetworkGraph",
    "PassRateTracker",
    "PredictionPanels",
    "RhoScheduler",
    "ScalarLayout",
    "TensorBoardPages",
    "Timing",
    "TrainingCollapsed",
    "write_test_metrics",
]
