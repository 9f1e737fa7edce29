"""Numbers and choices that no class takes: negative, zero, not a number, infinite, huge, of another type."""

from tests.app.bad_input.row import FIT, Row

VARIANT = f"{FIT} --model.network.dropout"
SCHEDULE = (
    f"{VARIANT} MalDrop --model.network.dropout.rho 4 --trainer.callbacks RhoScheduler "
    "--trainer.callbacks.schedule"
)
HUGE = "1" + 30 * "0"

FLAGS = {
    "--data.batch_size -1": r"batch_size must be 1 or more, got -1",
    "--data.batch_size 1.5": r"data.batch_size: must be of type int, got '1.5'",
    f"--data.batch_size {HUGE}": rf"batch_size must be 2147483647 or less, got {HUGE}",
    "--data.val_size .nan": r"val_size must be a number of images .1 or more. or a share in .0, 1., got nan",
    "--data.val_size .inf": r"val_size must be .* got inf",
    "--data.val_size -5": r"val_size must be .* got -5",
    "--data.val_size 1797": r"val_size must leave images on both sides: 1797 of 1438 images",
    "--data.val_size 0.999": r"val_size must leave 10 images or more, one of each digit: 0.999 of 1438 leaves 1",
    "--data.test_size 0": r"test_size must be .* got 0",
    "--data.train_limit -1": r"train_limit must be 1 or more, got -1",
    "--data.image_size 0": r"image_size must be 1 or more, got 0",
    "--data.seed -1": r"seed must be 0 or more, got -1",
    f"--data.seed {HUGE}": rf"seed must be 4294967295 or less, got {HUGE}",
    "--data.num_workers -1": r"num_workers must be 0 or more, got -1",
    "--data.num_workers 1000000": r"num_workers must be 256 or less, got 1000000",
    "--data.device gpu": r"device must be null, auto, cpu, cuda or cuda:N, got 'gpu'",
    "--data.device cuda": r"device='cuda': the trainer computes on cpu.*Take --data.device auto or null",
    "--data.download maybe": r"data.download: must be of type bool, got 'maybe'",
    "--model.network.hidden [0]": r"hidden needs at least one layer size, each 1 or more, got \[0\]",
    "--model.network.hidden []": r"hidden needs at least one layer size, each 1 or more, got \[\]",
    "--model.network.weight_scale 0": r"weight_scale must be .* got 0.0",
    "--model.network.weight_scale .inf": r"weight_scale must be .* got inf",
    "--model.network.normalization bach": r"normalization: must be one of 'batch', 'layer', got 'bach'",
    "--model.kl_weight -1": r"kl_weight must be a number of 0 or more, got -1.0",
    "--model.kl_weight .inf": r"kl_weight must be a number of 0 or more, got inf",
    "--model.mc_samples -1": r"mc_samples must be a whole number, 0 or more, got -1",
    "--model.compile fast": r"model.compile: must be one of 'default', .* got 'fast'",
    "--model.class_weights []": r"class_weights needs 10 numbers above 0, one a class, or 'balanced', got \[\]",
    "--model.class_weights [0,1,1,1,1,1,1,1,1,1]": r"class_weights needs 10 numbers above 0, .* got \[0.0, 1.0",
    "--model.scheduler_interval hour": r"model.scheduler_interval: must be one of 'epoch', 'step', got 'hour'",
    "--model.optimizer.lr .nan": r"Invalid learning rate: nan",
    "--model.optimizer.lr fast": r"no value or class 'fast' for model.optimizer.lr; a class is named by its import",
    "--model.optimizer.betas [2,3]": r"Invalid beta parameter at index 0: 2.0",
    "--model.scheduler StepLR": r"model.scheduler: missing: step_size; give each as a flag or in a --config file",
    "--model.scheduler StepLR --model.scheduler.step_size 0": r"model.scheduler.step_size must be 1 or more, got 0",
    "--model.scheduler CosineAnnealingLR --model.scheduler.T_max 0": r"scheduler.T_max must be 1 or more, got 0",
    "--model.scheduler ReduceLROnPlateau": r"'ReduceLROnPlateau' is the name of several classes; give one's import",
    "--model.scheduler pytorch_lightning.cli.ReduceLROnPlateau --model.scheduler.monitor val/losss": (
        r"model.scheduler watches 'val/losss', which is not logged; there are train/loss, .*val/loss"
    ),
    "--model.scheduler pytorch_lightning.cli.ReduceLROnPlateau --model.scheduler.monitor val/loss "
    "--model.scheduler_interval step": r"scheduler_interval must be 'epoch' for ReduceLROnPlateau, got 'step'",
    "--model.scheduler torch.optim.lr_scheduler.ReduceLROnPlateau": (
        r"does not say what it watches; name pytorch_lightning.cli.ReduceLROnPlateau, and its monitor"
    ),
    "--model.scheduler LinearLR --trainer.max_epochs -1": (
        r"model.scheduler.total_iters is left out, .* and nothing says how many there are; give it, or trainer.max_ep"
    ),
    "--model.scheduler OneCycleLR --model.scheduler.max_lr 1 --model.scheduler.total_steps 1 "
    "--model.scheduler_interval step": r"OneCycleLR ends after 1 of its steps, and the fit has 2; leave total_steps",
    "--trainer.callbacks EarlyStopping --trainer.callbacks.monitor val/loss --trainer.limit_val_batches 0": (
        r"EarlyStopping watches 'val/loss', and by trainer.limit_val_batches=0 there is no validation; watch train/loss"
    ),
    "--model.scheduler pytorch_lightning.cli.ReduceLROnPlateau --model.scheduler.monitor val/accuracy": (
        r"model.scheduler watches 'val/accuracy' with mode 'min', and it is better the higher it is; give mode: max"
    ),
    "--trainer.strategy ddp_spawn": r"trainer.strategy: DDPStrategy that starts its processes by spawn .* take ddp",
    "--trainer.max_epochs -2": r"trainer.max_epochs must be -1 or more, got -2; give -1 for no end by epochs",
    "--trainer.max_epochs 0": r"trainer.max_epochs must be 1 or more, or -1 for no end by epochs, got 0",
    "--trainer.max_steps 0": r"trainer.max_steps must be 1 or more, or -1 for no end by steps, got 0",
    "--trainer.max_time=-00:00:01:00": r"trainer.max_time must be DD:HH:MM:SS, .* got '-00:00:01:00'",
    "--trainer.max_time.hours -1": r"trainer.max_time must be above 0, got .*-1",
    "--seed_everything -1": r"seed_everything must be a whole number from 0 to 4294967295, .* got -1",
    f"--seed_everything {HUGE}": rf"seed_everything must be a whole number from 0 to 4294967295, .* got {HUGE}",
    f"--trainer.max_epochs {HUGE}": rf"trainer.max_epochs must be a number below 2\^63, got {HUGE}",
    f"--trainer.max_epochs {5000 * '9'}": r"trainer.max_epochs.* 5000 digits",
    f"--model.network.hidden [{HUGE}]": rf"model.network.hidden.0 must be a number below 2\^63, got {HUGE}",
    "--model.class_weights [.nan,1,1,1,1,1,1,1,1,1]": r"class_weights needs 10 numbers above 0, .* got \[nan, 1.0",
    "--model.class_weights [.inf,1,1,1,1,1,1,1,1,1]": r"class_weights needs 10 numbers above 0, .* got \[inf, 1.0",
    "--model.scheduler CosineAnnealingLR --model.scheduler.T_max -1": r"scheduler.T_max must be 1 or more, got -1",
    "--model.scheduler StepLR --model.scheduler.step_size 1 --model.scheduler.gamma .nan": (
        r"scheduler.gamma must be a finite number, got nan"
    ),
    "--model.optimizer.lr .inf": r"model.optimizer.lr must be a finite number, got inf",
    "--model.optimizer.lr 1e999": r"model.optimizer.lr must be a finite number, got inf",
    "--model.optimizer.weight_decay .nan": r"Invalid weight_decay value: nan",
    "--trainer.limit_val_batches .inf": r"limit_val_batches",
    "--trainer.max_steps -5": r"trainer.max_steps must be -1 or more, got -5; give -1 for no end by steps",
    "--trainer.max_time soon": r"trainer.max_time must be DD:HH:MM:SS, as 00:08:00:00, got 'soon'",
    "--trainer.devices 99999": r"trainer.devices must be a number of processes from 1 to .* got '99999'; give 1",
    "--trainer.devices 0": r"trainer.devices must be a number of processes from 1 to .* got '0'; give 1, or auto",
    "--trainer.devices x": r"trainer.devices must be a number of processes from 1 to .* got 'x'; give 1, or auto",
    "--trainer.strategy ddpp": r"invalid strategy name: `strategy='ddpp'`.*Example choices: auto, ddp",
    "--trainer.precision fp99": r"trainer.precision: must be one of .*'bf16', got 'fp99'",
    "--trainer.num_nodes 0": r"num_nodes. must be a positive integer, but got 0",
    "--trainer.limit_val_batches -1": r"invalid value -1 for limit_val_batches, it has to be in \[0.0, 1.0\] or an int",
    "--trainer.limit_train_batches .nan": r"invalid value nan for limit_train_batches, it has to be in",
    "--trainer.val_check_interval 0": r"trainer.val_check_interval must be above 0, got 0; give a number of batches",
    "--trainer.val_check_interval 999": r"val_check_interval. .999. must be less than or equal to the number of the",
    "--trainer.check_val_every_n_epoch 0": r"check_val_every_n_epoch must be 1 or more, got 0; give 1 for each epoch",
    "--trainer.accumulate_grad_batches 0": r"accumulate_grad_batches must be 1 or more, got 0; give 1",
    "--trainer.gradient_clip_val -1": r"gradient_clip_val must be 0 or more, got -1; give null for no clipping",
    "--trainer.gradient_clip_val .nan": r"gradient_clip_val must be 0 or more, got nan; give null for no clipping",
    "--trainer.log_every_n_steps -1": r"log_every_n_steps must be 0 or more, got -1; give 0 for no lines",
    "--trainer.num_sanity_val_steps -7": r"num_sanity_val_steps must be -1 or more, got -7; give 0 for none",
    "--trainer.min_epochs -4": r"min_epochs must be 0 or more, got -4; give null for none",
    "--trainer.profiler foo": r"profiler. parameter .* can only be one of .'simple', 'advanced'",
}

VARIANTS = {
    "StandardDropout --model.network.dropout.p .nan": r"p must be in \[0, 1\), got nan",
    "StandardDropout --model.network.dropout.inverted 3": r"dropout.inverted: must be of type bool",
    "DropIn --model.network.dropout.value lots": r"dropout.value: must be one of 'uniform', 'mean', got 'lots'",
    "DropIn --model.network.dropout.value .inf": r"value must be 'uniform', 'mean' or a number of 0 or more, got inf",
    "DropAlan --model.network.dropout.max_drop 1": r"max_drop must be in \[0.8, 1\), got 1.0",
    "MalDrop": r"model.network.dropout: missing: rho; give each as a flag or in a --config file",
    "MalDrop --model.network.dropout.rho -1": r"rho must be a whole number, 0 or more, got -1",
    "MalDrop --model.network.dropout.rho 9": r"rho must be at most 8, what there is to drop, got 9",
    f"MalDrop --model.network.dropout.rho {HUGE}": rf"rho must be .* got {HUGE}",
    "DropCorr --model.network.dropout.center no": r"dropout.center: must be one of 'unit', 'sample', got 'no'",
    "VariationalDropout --model.network.dropout.p 0": r"p must be in \(0, 0.5\].* got 0.0",
    "DropConnect --model.network.dropout.samples 0": r"samples must be a whole number, 1 or more, got 0",
    f"DropConnect --model.network.dropout.samples {HUGE}": rf"samples must be .* got {HUGE}",
    "NestedDropout --model.network.dropout.p 0": r"p must be in \(0, 1\], got 0.0",
    "torch.nn.Dropout --model.network.dropout.p 1.5": r"dropout probability has to be between 0 and 1, but got 1.5",
    "torchvision.ops.DropBlock2d": r"model.network.dropout: missing: p, block_size; give each as a flag",
    "Chain --model.network.dropout.layers []": r"layers needs at least one dropout layer, got \[\]",
    "Chain --model.network.dropout.layers [StandardDropou]": r"no dropout variant 'StandardDropou' for "
    r"model.network.dropout.layers; did you mean StandardDropout\?",
    "Chain --model.network.dropout.layers [Standout,DropConnect]": r"DropConnect takes over its stage and must be the "
    r"first of a Chain's layers",
}

SCHEDULES = {
    "Constant --trainer.callbacks.schedule.rho .inf": r"rho must be .* got inf",
    "Periodic --trainer.callbacks.schedule.rho 2 --trainer.callbacks.schedule.period 0": r"period must be .* got 0",
    "Linear --trainer.callbacks.schedule.start -1 --trainer.callbacks.schedule.end 2": r"start must be .* got -1",
    "Randomized --trainer.callbacks.schedule.low 3 --trainer.callbacks.schedule.high 2": r"high must be .* got 2.0",
    "Constant --trainer.callbacks.schedule.rho 99": r"Constant\(rho=99.0\) does not suit network.head.stage.dropout",
}

CALLBACKS = {
    "BestStep --trainer.callbacks.thresholds [0.5,0.5]": r"thresholds must be finite numbers, each given once, got",
    "CollapseDetector --trainer.callbacks.every_n_steps 0": r"every_n_steps must be a whole number, 1 or more, got 0",
    "CollapseDetector --trainer.callbacks.loss_tolerance -1": r"loss_tolerance must be a number above 0, got -1",
    "InferenceGap --trainer.callbacks.passes 0": r"passes must be .* got 0",
    "TrainAccuracy --trainer.callbacks.images 0": r"images must be .* got 0",
    "PredictionPanels --trainer.callbacks.images 0": r"images must be a whole number, 1 or more, got 0",
    "ConfusionMatrix --trainer.callbacks.every_n_epochs -1": r"every_n_epochs must be .* got -1",
}

ROWS = {
    words: Row(f"{before} {words}", (says,))
    for before, kind in (
        (FIT, FLAGS),
        (VARIANT, VARIANTS),
        (SCHEDULE, SCHEDULES),
        (f"{FIT} --trainer.callbacks", CALLBACKS),
    )
    for words, says in kind.items()
}
