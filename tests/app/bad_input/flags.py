"""Command lines: words that are wrong, and small files that flags name."""

from pathlib import Path

import torch

from tests.app.bad_input.row import Row
from tests.data.folders import write_classes

FIT = (
    "fit --data DigitsDataModule --model.network GavierMNIST --trainer.max_epochs 1 --trainer.accelerator cpu"
)
SCHEDULED = f"{FIT} --trainer.callbacks RhoScheduler --trainer.callbacks.schedule"
STANDARD = f"{FIT} --model.network.dropout StandardDropout"

CASES = {
    "fit": "missing: model.network, data; give each as a flag or in a --config file",
    "test": "test needs --run FOLDER",
    "test --run r\udce9": r"r.udce9 is not UTF-8, and cannot be kept in a config: rename it, or give a link to it",
    "test --run nowhere": "no run folder nowhere; `fit` makes one",
    "fit --config nowhere.yaml": "no file nowhere.yaml .No such file or directory.; give the path of a YAML file",
    f"{FIT} --config broken.yaml": "broken.yaml: line 2: .*; mend the YAML there",
    f"{FIT} --config unknown.yaml": "trainer.*max_epochss; did you mean max_epochs",
    f"{FIT} --model.network.dropout StandardDropou": "no dropout variant 'StandardDropou' for model.network.dropout;"
    " did you mean StandardDropout?",
    f"{FIT} --model.network.dropout Zzz": "no dropout variant 'Zzz' .*there are .*NoDropout.*StandardDropout",
    f"{FIT} --model.network.dropout dropout_lab.models.dropout.Zzz": "model.network.dropout: .*no attribute 'Zzz'",
    f"{FIT} --model.network.dropout os.system": "model.network.dropout: .*os.system",
    f"{FIT} --model.network.dropout builtins.eval": "model.network.dropout: .*builtins.eval",
    f"{FIT} --model.network subprocess.Popen": "model.network: subprocess.Popen may not be named in settings",
    f"{FIT} --model.network GavierMNIS": "no network 'GavierMNIS' for model.network; did you mean GavierMNIST?",
    f"{FIT} --model.network FullyConnected": "model.network: missing: hidden",
    f"{FIT} --model.network.hidden 3": "no option model.network.hidden; there are image_shape, .*dropout",
    f"{FIT} --model.network.num_classes 3": "model.network.num_classes comes from data.num_classes: leave it out",
    f"{FIT} --model.network.rates [0.1]": "rates needs one p for each of the 2 dropout places",
    f"{FIT} --model.network AlanCNN": "AlanCNN needs images .*set the data's image_size",
    f"{FIT} --data DigitDataModule": "no data module 'DigitDataModule' for data; did you mean DigitsDataModule?",
    f"{FIT} --data MNISTDataModule": "MNIST not found: no MNIST/raw/.* --data.root FOLDER.*--data.download true",
    f"{FIT} --data CIFAR10DataModule --data.root /nowhere": "CIFAR-10 not found: .*/nowhere",
    f"{FIT} --data TinyImageNetDataModule": "Tiny ImageNet not found: no tiny-imagenet-200/wnids.txt .*--data.download",
    f"{FIT} --data MNISTDataModule --data.root idx": "train-images-idx3-ubyte: not an IDX file",
    f"{FIT} --data MNISTDataModule --data.root gz": "train-images-idx3-ubyte.gz: its MD5 is .* the official one",
    f"{FIT} --data CIFAR10DataModule --data.root pickle": "data_batch_1: its MD5 is .* the official one",
    f"{FIT} --data ImageFolderDataModule --data.root nowhere": "no folder nowhere .*--data.root FOLDER",
    f"{FIT} --data ImageFolderDataModule --data.root images --data.val_size 2 --data.test_size 2": (
        "3 of 8 images of ImageFolderDataModule cannot be decoded: images/cat/0.jpg .no image in a known format "
        ".*--data.unreadable skip"
    ),
    f"{FIT} --data ImageFolderDataModule --data.root images --data.unreadable no": "must be one of 'error', 'skip'",
    f"{FIT} --data ISICDataModule --data.root /nowhere": "ISIC 2020 not found: .*accept the terms",
    f"{FIT} --data ISICDataModule --data.root csv": "train.csv, line 2: target must be 0 .*, got '7'",
    f"{FIT} --data ISICDataModule --data.balance x": "data.balance: must be one of 'none', 'sampler', got 'x'",
    f"{FIT} --data.batch_size 0": "batch_size must be 1 or more, got 0",
    f"{FIT} --data.image_size 100000": "image_size must be 4096 or less, got 100000",
    f"{FIT} --model.network FullyConnected --model.network.hidden [10000000000000]": "not enough memory .*: a smaller",
    f"{FIT} --data.batch_size many": "data.batch_size: must be of type int, got 'many'",
    f"{FIT} --data.batch_siz 3": "no option data.batch_siz; did you mean batch_size?",
    f"{FIT} --data.normalize foo": "data.normalize: must be one of 'standard', 'mean-255', .*'none', got 'foo'",
    f"{FIT} --data.val_size 1.5": "val_size must be a number of images",
    f"{FIT} --data.train_limit 9999": "train_limit must be at most 1222",
    f"{STANDARD} --model.network.dropout.p 1.5": r"p must be in \[0, 1\), got 1.5",
    f"{STANDARD} --model.network.dropout.p abc": "model.network.dropout.p: must be of type float, got 'abc'",
    f"{STANDARD} --model.network.dropout.q 1": "no option model.network.dropout.q; there are p, inverted",
    f"{STANDARD} --model.network.rates [0.1,1.5]": r"p must be in \[0, 1\), got 1.5",
    f"{FIT} --model.network.dropout torch.nn.AlphaDropout --model.network.rates [0.1,1.5]": "p must be in",
    f"{FIT} --model.network.dropout Dropout": "'Dropout' is the name of several classes; .*torch.nn.Dropout",
    f"{FIT} --model.optimizer Adamm": "no optimizer 'Adamm' for model.optimizer; did you mean Adam?",
    f"{FIT} --model.optimizer.lrr 1": "no option model.optimizer.lrr; did you mean lr?",
    f"{FIT} --model.optimizer.lr -1": "Invalid learning rate: -1.0",
    f"{FIT} --model.class_weights [1,2]": "class_weights needs 10 numbers",
    f"{FIT} --trainer.max_epochss 3": "no option --trainer.max_epochss; did you mean max_epochs?",
    f"{FIT} --trainer.max_epoch 3": "no option --trainer.max_epoch; did you mean max_epochs?",
    f"{FIT} --trainer.max_epochs x": "trainer.max_epochs: must be of type int, got 'x'",
    f"{FIT} --trainer.callbacks Foo": "no callback 'Foo' for trainer.callbacks",
    f"{FIT} --config mistyped.yaml": "no schedule 'Periodi' for trainer.callbacks.schedule; did you mean Periodic[?]$",
    f"{FIT} --config negative.yaml": "rho must be a number of 0 or more, got -8.0$",
    f"{FIT} --config off.yaml": "trainer.callbacks: YAML reads the key off or no as false: put it in quotes$",
    f"{FIT} --config number.yaml": "trainer.callbacks: must be a Callback$",
    f"{FIT} --config twice.yaml": r"trainer.callbacks has PassRateTracker\(layers='\*'\) twice, .*leave one out$",
    f"{SCHEDULED} Periodi --trainer.callbacks.schedule.rho 8": "no schedule 'Periodi' for .*did you mean Periodic[?]$",
    f"{SCHEDULED} Zzz": "no schedule 'Zzz' .*there are Alternating, .*ReverseAnnealing",
    f"{SCHEDULED} Periodic --trainer.callbacks.schedule.rh 8": "no option trainer.callbacks.schedule.rh; "
    "did you mean rho[?]$",
    f"{SCHEDULED} Periodic": "trainer.callbacks.schedule: missing: rho; give each as a flag or in a --config file$",
    f"{FIT} --model.network.dropout MalDrop --model.network.dropout.rho 4 {SCHEDULED.removeprefix(FIT)} Constant "
    "--trainer.callbacks.schedule.rho 4096": r"Constant\(rho=4096.0\) does not suit network.head.stage.dropout, a "
    "MalDrop, in epoch 0: rho must be at most 1000, what there is to drop, got 4096$",
    f"{FIT} --trainer.accelerator abacus": "accelerator.*'abacus'",
    f"{FIT} --trainer.limit_train_batches 0": "nothing was trained: the limits of the trainer leave no batch",
    f"{FIT} --monitor val/nope": "BestStep watches 'val/nope', which is not logged; there are train/loss",
    f"{FIT} --monitor val/loss": "monitor must be a metric that is better the higher it is, got 'val/loss'",
    f"{FIT} --monitor train/accuracy": "monitor must be a metric of validation such as 'val/accuracy'",
    f"{FIT} --monitor val/top5 --trainer.callbacks BestStep --trainer.callbacks.monitor val/accuracy": (
        "monitor is 'val/top5', and BestStep watches 'val/accuracy'"
    ),
    f"{FIT} --monitor val/nope --trainer.callbacks BestStep": "BestStep watches 'val/nope', which is not logged",
    f"{FIT} --model.class_weights even": "model.class_weights: must be",
    f"{FIT} --trainer.callbacks EarlyStopping --trainer.callbacks.monitor val/nope": "EarlyStopping watches "
    "'val/nope', which is not logged; there are train/loss, .*val/accuracy",
    f"{FIT} --data.val_size 5": "val_size must be at least 10, one image of each digit, got 5",
    f"{FIT} --name a/b": "name must be a single word for a folder, got 'a/b'",
    f"{FIT} --run x": "fit makes a new run folder: --run is for validate, test and predict",
    f"{FIT} --sed_everything 3": "no option --sed_everything; did you mean --seed_everything?",
    f"{FIT} --seed_everything x": "seed_everything: must be of type bool or int, got 'x'",
    f"{FIT} --dat.x 3": "no option --dat.x; did you mean --data?",
    f"{FIT} extra": "'extra' is no option: options begin with --",
    f"{FIT} --ckpt_path nowhere.ckpt": "no checkpoint file nowhere.ckpt",
    f"{FIT} --ckpt_path broken.ckpt": "broken.ckpt is no checkpoint of this program",
    f"{FIT} --ckpt_path unknown.yaml": "unknown.yaml is no checkpoint of this program",
    f"{FIT} --ckpt_path list.ckpt": "list.ckpt is no checkpoint of this program",
    f"{FIT} --ckpt_path other.ckpt": "other.ckpt is a checkpoint of another network: .*--run FOLDER",
    f"{FIT} --runs broken.ckpt": "cannot make the run folder",
}


def _files() -> None:
    Path("broken.yaml").write_text("trainer: [\n")
    Path("unknown.yaml").write_text("trainer:\n  max_epochss: 3\n")
    scheduler = "trainer: {callbacks+: [{class_path: RhoScheduler, init_args: {schedule: %s}}]}\n"
    Path("mistyped.yaml").write_text(scheduler % "{class_path: Periodi, init_args: {rho: 8}}")
    Path("negative.yaml").write_text(scheduler % "{class_path: Periodic, init_args: {rho: -8}}")
    Path("off.yaml").write_text(scheduler % "{class_path: Alternating, init_args: {value: 8, off: 0}}")
    Path("number.yaml").write_text("trainer: {callbacks+: [3]}\n")
    Path("twice.yaml").write_text("trainer: {callbacks+: [PassRateTracker, PassRateTracker]}\n")
    Path("broken.ckpt").write_bytes(b"not a checkpoint")
    torch.save({"state_dict": {"network.weight": torch.zeros(2)}, "global_step": 3}, "other.ckpt")
    torch.save({"state_dict": [1], "global_step": 3}, "list.ckpt")
    write_classes(Path("images"), {"cat": 3, "dog": 5})
    for number in range(3):
        Path(f"images/cat/000{number}.png").rename(f"images/cat/{number}.jpg").write_text(f"a text {number}")
    Path("csv/isic2020/train").mkdir(parents=True)
    Path("csv/isic2020/train.csv").write_text("image_name,patient_id,target\na,b,7\n")
    for file in ("idx/MNIST/raw/train-images-idx3-ubyte", "gz/MNIST/raw/train-images-idx3-ubyte.gz",
                 "pickle/cifar-10-batches-py/data_batch_1"):  # fmt: skip
        Path(file).parent.mkdir(parents=True)
        Path(file).write_bytes(b"nonsense")


ROWS = {command: Row(command, (message,), _files) for command, message in CASES.items()}
