"""The first page of help of the commands that LightningCLI runs: what one mostly wants, at once.

Everything is a thousand lines, and takes seconds: torch and Lightning must be imported for it. ``--help_all`` shows it.
"""

ALL = "--help_all"

_OPTIONS = f"""\
all of these may stand in YAML files instead, where later ones win; classes are named alone or by import path
  -c, --config FILE                  any number of files; configs/ has some for every data set, network and variant
  --print_config                     all settings as they would be, as YAML; nothing is run
  {ALL}                         all options, those of Lightning's Trainer too
  --data.help CLASS, --model.network.help CLASS, --model.network.dropout.help CLASS
                                     arguments of one class; of a dropout after --model.network or --config
  --debug                            show the traceback of an error
"""

_EVALUATED = f"""\
  --run FOLDER                       the run: runs/NAME/version_N, or runs/NAME for its newest version
  --ckpt_path best | last | FILE     which weights (default: best)
  --data.…, --model.…, --trainer.…   change a setting of the run; figures that are not the run's own are shown, not kept
  --model.mc_samples N               test, predict: average N passes with dropout (Monte Carlo dropout)

{_OPTIONS}"""

PAGES = {
    "fit": f"""\
usage: dropout-lab fit [--config FILE ...] [OPTIONS]

Train a network; makes a run folder with config, logs, checkpoints, result.

the data
  --data CLASS                       DigitsDataModule, MNISTDataModule, CIFAR10DataModule, TinyImageNetDataModule,
                                     ISICDataModule, ImageFolderDataModule, or mine.MyDataModule
  --data.root DIR                    folder that holds the files (default: data)
  --data.download true               fetch them if they are missing, where their owner offers them
  --data.batch_size N                images a batch (default: 100)
the network and its dropout
  --model.network CLASS              FullyConnected, GavierMNIST, GavierCIFAR, AlanCNN, MalDropCNN, VGG16, Backbone,
                                     or mine.MyNetwork
  --model.network.dropout CLASS      NoDropout, StandardDropout, DropIn, DropAlan, MalDrop, SpatialMalDrop, DropAct,
                                     DropInv, DropCorr, GaussianDropout, VariationalDropout, Standout, DropConnect,
                                     SpatialDropout, NestedDropout, MultinomialDropout, Chain, any torch.nn.Module
  --model.network.dropout.p 0.3      its arguments, likewise rho, score, …
  --model.optimizer CLASS            of torch.optim (default: Adam); --model.optimizer.lr 0.01
  --model.scheduler CLASS            of torch.optim.lr_scheduler; --model.scheduler.T_max 20
how it is trained
  --trainer.max_epochs N             (default: 10)
  --trainer.accelerator, --trainer.devices, --trainer.strategy, --trainer.precision
                                     on which and how many devices, in which precision
  --model.compile default, --model.channels_last true, --data.device auto
                                     faster, where it pays: configs/speed.yaml
  --trainer.callbacks+ CLASS         add a callback; configs/callbacks/ has one file each
  --seed_everything N                (default: 0)
the run
  --runs DIR                         folder of all runs (default: runs)
  --name NAME                        of this one (default: data-network-dropout)
  --monitor METRIC                   what best.ckpt is best in (default: val/accuracy)
  --resume [FOLDER]                  go on with a run that was interrupted: that in FOLDER, with its settings, or the
                                     newest of these settings; --force goes on with other settings

{_OPTIONS}
example:  dropout-lab fit --config configs/mnist.yaml --data.download true --model.network.dropout DropAct
""",
    "validate": f"""\
usage: dropout-lab validate --run FOLDER [OPTIONS]

Measure a run's best checkpoint on the validation split.

{_EVALUATED}
example:  dropout-lab validate --run runs/mnist
""",
    "test": f"""\
usage: dropout-lab test --run FOLDER [OPTIONS]

Measure a run's best checkpoint on the test split.

{_EVALUATED}
example:  dropout-lab test --run runs/mnist --model.mc_samples 30
""",
    "predict": f"""\
usage: dropout-lab predict --run FOLDER [OPTIONS]

Write a run's predictions on the test split to a CSV file.

{_EVALUATED}
example:  dropout-lab predict --run runs/mnist
""",
}
