"""What happens around training: logging, progress, results."""

from dropout_lab.callbacks.best_step import BestStep
from dropout_lab.callbacks.collapse_detector import CollapseDetector, TrainingCollapsed
from dropout_lab.callbacks.confusion_matrix import ConfusionMatrix
from dropout_lab.callbacks.dead_units import DeadUnits
from dropout_lab.callbacks.epoch_lines import EpochLines
from dropout_lab.callbacks.exact_choice import ExactChoice
from dropout_lab.callbacks.inference_gap import InferenceGap
from dropout_lab.callbacks.pass_rate_tracker import PassRateTracker
from dropout_lab.callbacks.prediction_panels import PredictionPanels
from dropout_lab.callbacks.rho_scheduler import RhoScheduler
from dropout_lab.callbacks.scale_factors import ScaleFactors
from dropout_lab.callbacks.tensorboard import (
    MEASURED_LATER,
    Charted,
    Charts,
    TensorBoardPages,
    write_test_metrics,
)
from dropout_lab.callbacks.timing import Timing
from dropout_lab.callbacks.train_accuracy import TrainAccuracy

__all__ = [
    "MEASURED_LATER", "BestStep", "Charted", "Charts", "CollapseDetector", "ConfusionMatrix", "DeadUnits", "EpochLines",
    "ExactChoice", "InferenceGap", "PassRateTracker", "PredictionPanels", "RhoScheduler", "ScaleFactors",
    "TensorBoardPages", "Timing", "TrainAccuracy", "TrainingCollapsed", "write_test_metrics",
]  # fmt: skip
